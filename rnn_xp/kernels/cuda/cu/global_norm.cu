// Norm of all elements of some arrays, and what clipping makes of it.
//
// One launch adds the squares of one array. Each block writes its sum; the block that is the
// last to finish adds these in a fixed order, so the result does not depend on which it was.
// Sums are doubles.
//
// REAL is float or double. blockDim.x is THREADS, a multiple of 32.

#define THREADS 256

// Sum over the block; thread 0 has it.
__device__ __forceinline__ double block_sum(double x, double* shared)
{
    for (int lane = 16; lane > 0; lane /= 2) x += __shfl_xor_sync(0xffffffffu, x, lane);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    x = 0;
    for (int w = 0; w < THREADS / 32; ++w) x += shared[w];
    __syncthreads();  // `shared` is free again
    return x;
}

extern "C" __global__ void global_norm(
    const REAL* __restrict__ a,
    const long long n,
    double* sums,  // (1 + gridDim.x,): of all arrays so far, then of each block
    int* arrived,  // one element, zero before and after
    REAL* norm,    // one element
    const int first,  // of the arrays
    const int last)
{
    __shared__ double shared[THREADS / 32];
    __shared__ int finishes;
    double sum = 0;
    for (long long k = (long long)blockIdx.x * THREADS + threadIdx.x; k < n;
         k += (long long)gridDim.x * THREADS) {
        const double x = a[k];
        sum += x * x;
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) {
        sums[1 + blockIdx.x] = sum;
        __threadfence();  // the sum is seen before the arrival is
        finishes = atomicAdd(arrived, 1) == (int)gridDim.x - 1;
        __threadfence();  // and all sums are, after the last one
    }
    __syncthreads();
    if (!finishes) return;  // the whole block agrees

    sum = 0;  // __ldcg: from where all blocks write, not from this one's cache
    for (int k = threadIdx.x; k < (int)gridDim.x; k += THREADS) sum += __ldcg(sums + 1 + k);
    sum = block_sum(sum, shared);
    if (threadIdx.x != 0) return;
    *arrived = 0;
    if (!first) sum += sums[0];
    sums[0] = sum;
    if (!last) return;
    // Infinite where the sum of squares is none of REAL's numbers, as documented.
    const double largest = sizeof(REAL) == 4 ? 3.4028234663852886e38 : 1.7976931348623157e308;
    *norm = (REAL)(sum > largest ? sum * largest * largest : sqrt(sum));
}

// scale = min(1, max_norm / (norm + 1e-6)), 1 where the norm is not finite.
// ok = norm and loss are finite. x - x is NaN if x is not finite.
extern "C" __global__ void clip_coefficient(
    const REAL* __restrict__ norm,
    const REAL* __restrict__ loss,  // or null
    const REAL max_norm,            // infinite for no clipping
    REAL* __restrict__ scale,
    bool* __restrict__ ok)
{
    const REAL x = *norm;
    const bool finite = x - x == 0;
    const REAL rate = max_norm / (x + (REAL)1e-6);
    *scale = finite && rate < 1 ? rate : (REAL)1;
    *ok = finite && (!loss || *loss - *loss == 0);
}
