// The bits of the 16-bit numbers nearest to those of an array; see narrow.cuh.

#include "narrow.cuh"

extern "C" __global__ void narrow_all(
    const float* __restrict__ a,      // (size,)
    unsigned short* __restrict__ out, // (size,)
    const long long size)
{
#if NARROW
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step)
        out[i] = narrow(a[i]);
#endif
}
