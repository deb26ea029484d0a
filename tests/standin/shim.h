// What a CUDA source finds here instead of NVRTC's built-ins, so that g++ compiles it as C++.
// fibers.h runs a block; this file has the words of CUDA C++ that the kernels use.

#pragma once
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x, y, z; };
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
constexpr int warpSize = 32;

#include "fibers.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
// Blocks run one after another and a block's threads in one thread of the system, so a static
// variable is shared as it should be; the section makes it possible to spoil it before a block.
#define __shared__ static __attribute__((section("standin_shared")))

#define __syncthreads() standin::barrier(__LINE__)
#define __syncwarp(...) standin::warp_sync(__LINE__, ##__VA_ARGS__)
#define __shfl_sync(mask, value, lane) standin::shuffle(__LINE__, mask, value, lane)
#define __shfl_xor_sync(mask, value, lanes) \
    standin::shuffle(__LINE__, mask, value, standin::lane() ^ (lanes))
#define __shfl_down_sync(mask, value, lanes) \
    standin::shuffle(__LINE__, mask, value, standin::below(lanes))
#define __shfl_up_sync(mask, value, lanes) \
    standin::shuffle(__LINE__, mask, value, standin::above(lanes))
#define __ballot_sync(mask, predicate) standin::ballot(__LINE__, mask, predicate)
#define __any_sync(mask, predicate) (standin::ballot(__LINE__, mask, predicate) != 0)
#define __all_sync(mask, predicate) (standin::ballot(__LINE__, mask, !(predicate)) == 0)
inline void __threadfence() {}
inline void __threadfence_block() {}

template <class T> inline T atomicAdd(T* at, T value) { T old = *at; *at = old + value; return old; }
template <class T> inline T atomicMax(T* at, T value) { T old = *at; if (value > old) *at = value; return old; }
template <class T> inline T atomicMin(T* at, T value) { T old = *at; if (value < old) *at = value; return old; }
template <class T> inline T atomicExch(T* at, T value) { T old = *at; *at = value; return old; }
template <class T> inline T atomicOr(T* at, T value) { T old = *at; *at = old | value; return old; }
template <class T> inline T atomicCAS(T* at, T seen, T value)
{
    T old = *at;
    if (old == seen) *at = value;
    return old;
}
inline unsigned atomicInc(unsigned* at, unsigned last)
{
    const unsigned old = *at;
    *at = old >= last ? 0 : old + 1;
    return old;
}

template <class To, class From> inline To standin_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "bits of another size");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}
inline unsigned __float_as_uint(float x) { return standin_bits<unsigned>(x); }
inline int __float_as_int(float x) { return standin_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return standin_bits<float>(x); }
inline float __int_as_float(int x) { return standin_bits<float>(x); }
inline long long __double_as_longlong(double x) { return standin_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return standin_bits<double>(x); }

inline unsigned __umulhi(unsigned a, unsigned b) { return (uint64_t)a * b >> 32; }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned __int128)a * b >> 64;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
template <class T> inline T __ldg(const T* at) { return *at; }
template <class T> inline T __ldcg(const T* at) { return *at; }
template <class T> inline T __ldcs(const T* at) { return *at; }
template <class T> inline void __stcg(T* at, T value) { *at = value; }
template <class T> inline void __stcs(T* at, T value) { *at = value; }

// CUDA's fast versions, here exact.
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
// For float as for double, as NVRTC has them.
using std::exp;
using std::expm1;
using std::isfinite;
using std::isinf;
using std::isnan;
using std::log;
using std::sqrt;
using std::tanh;

#define STANDIN_MIN_MAX(T)                              \
    inline T min(T a, T b) { return b < a ? b : a; }    \
    inline T max(T a, T b) { return a < b ? b : a; }
STANDIN_MIN_MAX(int)
STANDIN_MIN_MAX(unsigned)
STANDIN_MIN_MAX(long long)
STANDIN_MIN_MAX(unsigned long long)
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// Vectors of CUDA; like there, aligned to their size.
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

#include "launch.h"
