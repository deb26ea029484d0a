// One step of the GRU layer whose reset gate acts before the recurrent product; gate blocks r, z, n.
// The candidate needs a product of its own, so there are two kernels each way.
//
//   forward    a = x Wx + b
//              r, z = sigmoid(a_rz + h Wh_rz)                     gru_reset_before_gates
//              n = tanh(a_n + (r h) Wh_n);  h' = (1 - z) n + z h  gru_reset_before_state
//   backward   da_z = dh' (h - n) z (1 - z)
//              da_n = dh' (1 - z) (1 - n^2)                       gru_reset_before_candidate
//              dinner = da_n Wh_n.T;  da_r = dinner h r (1 - r)   gru_reset_before_reset
//              dh = da_rz Wh_rz.T + dinner r + dh' z
//
// At a masked step h' = h and the output is zero; backward, da is zero and dh passes by.

#include "narrow.cuh"
#include "sequence.cuh"

extern "C" __global__ void gru_reset_before_gates(
    REAL* __restrict__ a,                    // (T, N, 3H) at step t: in, x Wx + h Wh_rz in the
                                             // blocks r and z; out, r and z
    const REAL* __restrict__ b,              // (3H,)
    const REAL* __restrict__ h,              // (slots, N, H): state t is in slot t % slots
    REAL* __restrict__ inner,                // (inner_slots, N, H): r h in slot t % inner_slots,
                                             // or null where products take bits
    unsigned short* __restrict__ inner_bits, // the same in bits, or null where they do not
    const int inner_slots,
    const int slots,
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(row, j) {
        REAL* gates = a + row_of(t, row, N, 3 * H) + j;
        const REAL r = sigmoid(gates[0] + b[j]);
        const REAL z = sigmoid(gates[H] + b[(long long)H + j]);
        gates[0] = r;
        gates[H] = z;
        const long long k = row_of(t % inner_slots, row, N, H) + j;
        const REAL through = r * h[row_of(t % slots, row, N, H) + j];
        if (inner) inner[k] = through;
        write_operand(inner_bits, k, through);
    }
}

extern "C" __global__ void gru_reset_before_state(
    REAL* __restrict__ a,                // (T, N, 3H) at step t: in, r, z and x Wx_n + (r h) Wh_n;
                                         // out, r, z, n
    const REAL* __restrict__ b,          // (3H,)
    REAL* h,                             // (slots, N, H)
    unsigned short* __restrict__ h_bits, // (slots, N, H), or null where products take no bits
    REAL* __restrict__ hs,               // (T, N, H): the outputs
    const bool* __restrict__ valid,      // (T, N) or null: false at masked steps
    const int slots,
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(row, j) {
        REAL* gates = a + row_of(t, row, N, 3 * H) + j;
        const long long H1 = H, H2 = 2 * H1;
        const bool counts = is_valid(valid, t, row, N);
        const REAL z = gates[H1];
        const REAL n = tanh(gates[H2] + b[H2 + j]);
        gates[H2] = n;
        const REAL h_old = h[row_of(t % slots, row, N, H) + j];
        const REAL h_new = (1 - z) * n + z * h_old;
        const REAL h_next = counts ? h_new : h_old;
        const long long next = row_of((t + 1) % slots, row, N, H) + j;
        hs[row_of(t, row, N, H) + j] = counts ? h_new : (REAL)0;
        h[next] = h_next;
        write_operand(h_bits, next, h_next);
    }
}

extern "C" __global__ void gru_reset_before_candidate(
    REAL* __restrict__ a,                 // (T, N, 3H) at step t: in, r, z, n; out, r, da_z, da_n
    const REAL* __restrict__ h,           // (T + 1, N, H)
    REAL* __restrict__ dh,                // (N, H): in, what reaches h' from the later steps; out,
                                          // dh' z, and what passes by a masked step
    const REAL* __restrict__ dhs,         // or null: (t, n, j) at t * dhs_step + n * dhs_row + j
    unsigned short* __restrict__ da_bits, // (T, N, 3H), or null where products take no bits
    const bool* __restrict__ valid,       // (T, N) or null
    const long long dhs_step,
    const long long dhs_row,
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(row, j) {
        const long long first = row_of(t, row, N, 3 * H) + j;
        const long long H1 = H, H2 = 2 * H1;
        REAL* gates = a + first;
        REAL da_z = 0, da_n = 0;
        if (is_valid(valid, t, row, N)) {
            REAL& through = dh[(long long)row * H + j];
            const REAL d = through + upstream(dhs, t * dhs_step + row * dhs_row + j);
            const REAL z = gates[H1], n = gates[H2];
            da_z = d * (h[row_of(t, row, N, H) + j] - n) * z * (1 - z);
            da_n = d * (1 - z) * (1 - n * n);
            through = d * z;
        }
        gates[H1] = da_z;
        gates[H2] = da_n;
        write_operand(da_bits, first + H1, da_z);
        write_operand(da_bits, first + H2, da_n);
    }
}

extern "C" __global__ void gru_reset_before_reset(
    REAL* __restrict__ a,                 // (T, N, 3H) at step t: in, r in the first block; out, da_r
    const REAL* __restrict__ h,           // (T + 1, N, H)
    const REAL* __restrict__ dinner,      // (N, H): zero in masked rows, because da_n is
    REAL* __restrict__ dh,                // (N, H): gains dinner r
    unsigned short* __restrict__ da_bits, // (T, N, 3H), or null where products take no bits
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(row, j) {
        const long long first = row_of(t, row, N, 3 * H) + j;
        const long long k = (long long)row * H + j;
        const REAL r = a[first], d = dinner[k];
        const REAL da_r = d * h[row_of(t, row, N, H) + j] * r * (1 - r);
        dh[k] += d * r;
        a[first] = da_r;
        write_operand(da_bits, first, da_r);
    }
}
