// The input of a recurrent layer as the products take it: time-major, contiguous, zero at masked
// steps (where it is never read: it may be NaN there), and in the precision of the products. A block
// copies one row of the batch at one step.

#include "narrow.cuh"
#include "sequence.cuh"

extern "C" __global__ void sequence_input(
    const REAL* __restrict__ x,          // element (t, n, d) at t * x_step + n * x_row + d
    const bool* __restrict__ valid,      // (T, N) or null: false at masked steps
    REAL* __restrict__ out,              // (T, N, D), or null where products take bits
    unsigned short* __restrict__ bits,   // (T, N, D), or null where they do not
    const long long x_step,
    const long long x_row,
    const int T,
    const int N,
    const int D)
{
    const long long rows = (long long)T * N;
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        const long long t = row / N, n = row % N;
        const REAL* from = x + t * x_step + n * x_row;
        const bool counts = is_valid(valid, t, n, N);
        for (int d = threadIdx.x; d < D; d += blockDim.x) {
            const REAL value = counts ? from[d] : (REAL)0;
            if (out) out[row * D + d] = value;
            write_operand(bits, row * D + d, value);
        }
    }
}
