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
    EACH_ELEMENT(n, j) {
        const long long k = row_of(t, n, N, H) + j;
        const bool counts = is_valid(valid, t, n, N);
        const REAL y = tanh(a[k] + b[j]);
        const REAL h_next = counts ? y : h[row_of(t % h_slots, n, N, H) + j];
        a[k] = y;
        hs[k] = counts ? y : (REAL)0;
        h[row_of((t + 1) % h_slots, n, N, H) + j] = h_next;
        write_operand(h_bits, row_of((t + 1) % slots, n, N, H) + j, h_next);
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
    EACH_ELEMENT(n, j) {
        const long long k = row_of(t, n, N, H) + j;
        REAL da = 0;
        if (is_valid(valid, t, n, N)) {
            REAL& through = dh[(long long)n * H + j];
            const REAL d = through + upstream(dhs, t * dhs_step + n * dhs_row + j);
            const REAL y = a[k];
            da = d * (1 - y * y);
            through = 0;
        }
        a[k] = da;
        write_operand(da_bits, k, da);
    }
}
