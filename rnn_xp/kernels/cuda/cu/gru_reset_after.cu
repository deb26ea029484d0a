// One step of the GRU layer whose reset gate acts after the recurrent product, after its products
// and before them; gate blocks r, z, n.
//
//   forward    ax = x Wx + b_0;  ah = h Wh + b_1
//              r, z = sigmoid(ax_rz + ah_rz);  n = tanh(ax_n + r ah_n)
//              h' = (1 - z) n + z h
//   backward   da_z = dh' (h - n) z (1 - z);  da_n = dh' (1 - z) (1 - n^2)
//              da_r = da_n ah_n r (1 - r)
//              dax = da_r, da_z, da_n;  dah = da_r, da_z, da_n r;  dh = dah Wh.T + dh' z
//
// At a masked step h' = h and the output is zero; backward, dax and dah are zero and dh passes by.

#include "narrow.cuh"
#include "sequence.cuh"

extern "C" __global__ void gru_reset_after_forward(
    REAL* __restrict__ ax,               // (T, N, 3H) at step t: in, x Wx; out, r, z, n
    REAL* __restrict__ ah,               // (ah_slots, N, 3H) in slot t % ah_slots: in, h Wh;
                                         // out, in its last block, ah_n
    const REAL* __restrict__ b,          // (2, 3H)
    REAL* h,                             // (slots, N, H): state t is in slot t % slots
    unsigned short* __restrict__ h_bits, // (slots, N, H), or null where products take no bits
    REAL* __restrict__ hs,               // (T, N, H): the outputs
    const bool* __restrict__ valid,      // (T, N) or null: false at masked steps
    const int ah_slots,
    const int slots,
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(row, j) {
        REAL* by_x = ax + row_of(t, row, N, 3 * H) + j;
        REAL* by_h = ah + row_of(t % ah_slots, row, N, 3 * H) + j;
        const long long H1 = H, H2 = 2 * H1;
        const REAL* b_0 = b + j;
        const REAL* b_1 = b + 3 * H1 + j;
        const bool counts = is_valid(valid, t, row, N);
        const REAL r = sigmoid(by_x[0] + by_h[0] + (b_0[0] + b_1[0]));
        const REAL z = sigmoid(by_x[H1] + by_h[H1] + (b_0[H1] + b_1[H1]));
        const REAL inner = by_h[H2] + b_1[H2];
        const REAL n = tanh(by_x[H2] + b_0[H2] + r * inner);
        by_x[0] = r;
        by_x[H1] = z;
        by_x[H2] = n;
        by_h[H2] = inner;
        const REAL h_old = h[row_of(t % slots, row, N, H) + j];
        const REAL h_new = (1 - z) * n + z * h_old;
        const REAL h_next = counts ? h_new : h_old;
        const long long next = row_of((t + 1) % slots, row, N, H) + j;
        hs[row_of(t, row, N, H) + j] = counts ? h_new : (REAL)0;
        h[next] = h_next;
        write_operand(h_bits, next, h_next);
    }
}

extern "C" __global__ void gru_reset_after_backward(
    REAL* __restrict__ ax,                 // (T, N, 3H) at step t: in, r, z, n; out, dax
    REAL* __restrict__ ah,                 // (T, N, 3H) at step t: in, ah_n in its last block;
                                           // out, dah
    const REAL* __restrict__ h,            // (T + 1, N, H)
    REAL* __restrict__ dh,                 // (N, H): in, what reaches h' from the later steps;
                                           // out, the part of dh that passes by the products
    const REAL* __restrict__ dhs,          // or null: (t, n, j) at t * dhs_step + n * dhs_row + j
    unsigned short* __restrict__ dax_bits, // (T, N, 3H), or null where products take no bits
    unsigned short* __restrict__ dah_bits, // (T, N, 3H), or null
    const bool* __restrict__ valid,        // (T, N) or null
    const long long dhs_step,
    const long long dhs_row,
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(row, j) {
        const long long first = row_of(t, row, N, 3 * H) + j;
        const long long H1 = H, H2 = 2 * H1;
        REAL* by_x = ax + first;
        REAL* by_h = ah + first;
        REAL da_r = 0, da_z = 0, da_n = 0, dinner = 0;
        if (is_valid(valid, t, row, N)) {
            REAL& through = dh[(long long)row * H + j];
            const REAL d = through + upstream(dhs, t * dhs_step + row * dhs_row + j);
            const REAL r = by_x[0], z = by_x[H1], n = by_x[H2];
            da_z = d * (h[row_of(t, row, N, H) + j] - n) * z * (1 - z);
            da_n = d * (1 - z) * (1 - n * n);
            da_r = da_n * by_h[H2] * r * (1 - r);
            dinner = da_n * r;
            through = d * z;
        }
        by_x[0] = da_r;
        by_x[H1] = da_z;
        by_x[H2] = da_n;
        by_h[0] = da_r;
        by_h[H1] = da_z;
        by_h[H2] = dinner;
        write_operand(dax_bits, first, da_r);
        write_operand(dax_bits, first + H1, da_z);
        write_operand(dax_bits, first + H2, da_n);
        write_operand(dah_bits, first, da_r);
        write_operand(dah_bits, first + H1, da_z);
        write_operand(dah_bits, first + H2, dinner);
    }
}
