// The bits of the 16-bit number nearest to a float, ties to even.
//
// NARROW is 0 for none, 1 for float16 (5 bits of exponent, 10 of mantissa), 2 for bfloat16
// (8 and 7). All NaNs become 0x7fff, as the instructions of the device have it.

#ifndef NARROW_CUH
#define NARROW_CUH

typedef unsigned short half_bits;

#if NARROW == 1

__device__ __forceinline__ half_bits narrow(float x)
{
#ifdef __CUDA_ARCH__
    half_bits bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
#else
    const unsigned int all = __float_as_uint(x), sign = (all >> 16) & 0x8000u;
    const unsigned int a = all & 0x7fffffffu;
    if (a > 0x7f800000u) return 0x7fff;
    if (a >= 0x477ff000u) return (half_bits)(sign | 0x7c00u);  // from 65520 on
    if (a < 0x38800000u) {
        // Subnormal, a multiple of 2^-24: adding 0.5 puts its last bit at 2^-24.
        return (half_bits)(sign | (__float_as_uint(__uint_as_float(a) + 0.5f) - 0x3f000000u));
    }
    // Exponent from bias 127 to bias 15; half of the last bit that stays, less one if it is even.
    const unsigned int odd = (a >> 13) & 1u;
    return (half_bits)(sign | ((a - 0x38000000u + 0xfffu + odd) >> 13));
#endif
}

#elif NARROW == 2

__device__ __forceinline__ half_bits narrow(float x)
{
#ifdef __CUDA_ARCH__
    half_bits bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bits;
#else
    const unsigned int all = __float_as_uint(x);
    if ((all & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
    return (half_bits)((all + 0x7fffu + ((all >> 16) & 1u)) >> 16);
#endif
}

#endif  // NARROW

#endif  // NARROW_CUH
