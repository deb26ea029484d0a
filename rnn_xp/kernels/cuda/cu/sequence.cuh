// What the step kernels of all recurrent layers share.
//
// REAL is float or double; narrow.cuh comes before this file.

// The elements of an array (N, H) that are this thread's: column j of every gridDim.y-th row n.
#define EACH_ELEMENT(n, j)                                                                  \
    for (int j = blockIdx.x * blockDim.x + threadIdx.x, n = blockIdx.y; j < H && n < N; \
         n += gridDim.y)

// 1 / (1 + exp(-x)) that cannot overflow.
__device__ __forceinline__ REAL sigmoid(REAL x)
{
    return (REAL)0.5 * tanh((REAL)0.5 * x) + (REAL)0.5;
}

// Where element (t, n, 0) of an array (T, N, width) is.
__device__ __forceinline__ long long row_of(int t, int n, int N, int width)
{
    return ((long long)t * N + n) * width;
}

// Whether row n counts at step t; without a mask all do.
__device__ __forceinline__ bool is_valid(const bool* valid, int t, int n, int N)
{
    return !valid || valid[row_of(t, n, N, 1)];
}

// Element `k` of the gradient from above, zero if there is none.
__device__ __forceinline__ REAL upstream(const REAL* dhs, long long k) { return dhs ? dhs[k] : 0; }

// The bits of `x` as element `k` of an operand; nothing where products take no bits.
__device__ __forceinline__ void write_operand(unsigned short* bits, long long k, REAL x)
{
#if NARROW
    if (bits) bits[k] = narrow((float)x);
#endif
}
