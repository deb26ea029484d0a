// One step of the simple recurrent layer, after its products and before them.
//
//   forward    a = x Wx + h Wh + b;  h' = tanh(a)
//   backward   da = dh' (1 - h'^2)
//
// At a masked step h' = h and the output is zero; backward, da is zero and dh passes by.

#include "narrow.cuh"
#include "sequence.cuh"

extern "C" __global__ void rnn_forward(
    REAL* __restrict__ a,                // (T, N, H) at step t: in, x Wx + h Wh; out, tanh(a)
    const REAL* __restrict__ b,          // (H,)
    REAL* h,                             // (h_slots, N, H): state t is in slot t % h_slots
    unsigned short* __restrict__ h_bits, // (slots, N, H), or null where products take no bits
    REAL* __restrict__ hs,               // (T, N, H): the outputs
    const bool* __restrict__ valid,      // (T, N) or null: false at masked steps
    const int h_slots,
    const int slots,
    const int N,
    const int H,
    const int t)
{
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= H) return;
    for (int n = blockIdx.y; n < N; n += gridDim.y) {
        const long long k = row_of(t, n, N, H) + j;
        const bool counts = !valid || valid[(long long)t * N + n];
        const REAL y = tanh_of(a[k] + b[j]);
        const REAL h_next = counts ? y : h[row_of(t % h_slots, n, N, H) + j];
        a[k] = y;
        hs[k] = counts ? y : (REAL)0;
        h[row_of((t + 1) % h_slots, n, N, H) + j] = h_next;
        if (h_bits) write_operand(h_bits, row_of((t + 1) % slots, n, N, H) + j, h_next);
    }
}

extern "C" __global__ void rnn_backward(
    REAL* __restrict__ a,                 // (T, N, H) at step t: in, tanh(a); out, da
    REAL* __restrict__ dh,                // (N, H): in, what reaches h' from the later steps;
                                          // out, what passes by a masked step; 0 elsewhere
    const REAL* __restrict__ dhs,         // or null: (t, n, j) at t * dhs_step + n * dhs_row + j
    unsigned short* __restrict__ da_bits, // (T, N, H), or null where products take no bits
    const bool* __restrict__ valid,       // (T, N) or null
    const long long dhs_step,
    const long long dhs_row,
    const int N,
    const int H,
    const int t)
{
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= H) return;
    for (int n = blockIdx.y; n < N; n += gridDim.y) {
        const long long k = row_of(t, n, N, H) + j;
        REAL da = 0;
        if (!valid || valid[(long long)t * N + n]) {
            REAL& through = dh[(long long)n * H + j];
            const REAL d = dhs ? through + dhs[t * dhs_step + n * dhs_row + j] : through;
            const REAL y = a[k];
            da = d * (1 - y * y);
            through = 0;
        }
        a[k] = da;
        if (da_bits) write_operand(da_bits, k, da);
    }
}
