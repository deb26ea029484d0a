// What the step kernels of all recurrent layers share.
//
// REAL is float or double; narrow.cuh comes before this file. A block works on a stretch of one row of the
// batch, all rows in turn: blockIdx.x counts stretches of the H columns, blockIdx.y rows.

__device__ __forceinline__ REAL tanh_of(REAL x) { return sizeof(REAL) == 4 ? tanhf(x) : tanh(x); }

// 1 / (1 + exp(-x)) that cannot overflow.
__device__ __forceinline__ REAL sigmoid_of(REAL x)
{
    return (REAL)0.5 * tanh_of((REAL)0.5 * x) + (REAL)0.5;
}

// Where products take 16-bit numbers: the bits of `x` as element `k` of an operand.
__device__ __forceinline__ void write_operand(unsigned short* bits, long long k, REAL x)
{
#if NARROW
    bits[k] = narrow((float)x);
#endif
}

// Where element (t, n, 0) of an array (T, N, width) is.
__device__ __forceinline__ long long row_of(int t, int n, int N, int width)
{
    return ((long long)t * N + n) * width;
}
