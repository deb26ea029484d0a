// One step of the LSTM layer, after its products and before them; gate blocks i, f, g, o.
//
//   forward    a = x Wx + h Wh + b
//              i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
//              c' = f c + i g;  h' = o tanh(c')
//   backward   dc' += dh' o (1 - tanh(c')^2)
//              da_i = dc' g i (1 - i);   da_f = dc' c f (1 - f)
//              da_g = dc' i (1 - g^2);   da_o = dh' tanh(c') o (1 - o)
//              dc = dc' f
//
// At a masked step c' = c, h' = h and the output is zero; backward, da is zero, dh and dc pass by.
// tanh(c') is computed once more rather than kept: that is less than to store and load it.

#include "narrow.cuh"
#include "sequence.cuh"

extern "C" __global__ void lstm_forward(
    REAL* __restrict__ a,                // (T, N, 4H) at step t: in, x Wx + h Wh; out, i, f, g, o
    const REAL* __restrict__ b,          // (4H,)
    REAL* h,                             // (h_slots, N, H): state t is in slot t % h_slots
    REAL* c,                             // (slots, N, H): likewise
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
        REAL* gates = a + row_of(t, n, N, 4 * H) + j;
        const bool counts = is_valid(valid, t, n, N);
        const long long H1 = H, H2 = 2 * H1, H3 = 3 * H1;
        const REAL i = sigmoid(gates[0] + b[j]);
        const REAL f = sigmoid(gates[H1] + b[H1 + j]);
        const REAL g = tanh(gates[H2] + b[H2 + j]);
        const REAL o = sigmoid(gates[H3] + b[H3 + j]);
        gates[0] = i;
        gates[H1] = f;
        gates[H2] = g;
        gates[H3] = o;
        const REAL c_old = c[row_of(t % slots, n, N, H) + j];
        REAL c_next = f * c_old + i * g;
        REAL h_next = o * tanh(c_next);
        hs[row_of(t, n, N, H) + j] = counts ? h_next : (REAL)0;
        if (!counts) {
            c_next = c_old;
            h_next = h[row_of(t % h_slots, n, N, H) + j];
        }
        const long long next = row_of((t + 1) % slots, n, N, H) + j;
        c[next] = c_next;
        h[row_of((t + 1) % h_slots, n, N, H) + j] = h_next;
        write_operand(h_bits, next, h_next);
    }
}

extern "C" __global__ void lstm_backward(
    REAL* __restrict__ a,                 // (T, N, 4H) at step t: in, i, f, g, o; out, da
    const REAL* __restrict__ c,           // (T + 1, N, H)
    REAL* __restrict__ dh,                // (N, H): in, what reaches h' from the later steps;
                                          // out, what passes by a masked step; 0 elsewhere
    REAL* __restrict__ dc,                // (N, H): in, dc'; out, dc
    const REAL* __restrict__ dhs,         // or null: (t, n, j) at t * dhs_step + n * dhs_row + j
    unsigned short* __restrict__ da_bits, // (T, N, 4H), or null where products take no bits
    const bool* __restrict__ valid,       // (T, N) or null
    const long long dhs_step,
    const long long dhs_row,
    const int N,
    const int H,
    const int t)
{
    EACH_ELEMENT(n, j) {
        const long long first = row_of(t, n, N, 4 * H) + j;
        const long long H1 = H, H2 = 2 * H1, H3 = 3 * H1;
        REAL* gates = a + first;
        REAL da_i = 0, da_f = 0, da_g = 0, da_o = 0;
        if (is_valid(valid, t, n, N)) {
            REAL& through = dh[(long long)n * H + j];
            REAL& carried = dc[(long long)n * H + j];
            const REAL d = through + upstream(dhs, t * dhs_step + n * dhs_row + j);
            const REAL i = gates[0], f = gates[H1], g = gates[H2], o = gates[H3];
            const REAL y = tanh(c[row_of(t + 1, n, N, H) + j]);
            const REAL dc_next = carried + d * o * (1 - y * y);
            da_i = dc_next * g * i * (1 - i);
            da_f = dc_next * c[row_of(t, n, N, H) + j] * f * (1 - f);
            da_g = dc_next * i * (1 - g * g);
            da_o = d * y * o * (1 - o);
            through = 0;
            carried = dc_next * f;
        }
        gates[0] = da_i;
        gates[H1] = da_f;
        gates[H2] = da_g;
        gates[H3] = da_o;
        write_operand(da_bits, first, da_i);
        write_operand(da_bits, first + H1, da_f);
        write_operand(da_bits, first + H2, da_g);
        write_operand(da_bits, first + H3, da_o);
    }
}
