// Softmax, cross-entropy and its gradient, in place over the logits; one block a row.
//
//   loss    = log(sum_v exp(a_v)) - a_target               nats
//   d a_v   = scale * (exp(a_v) / sum - [v == target])
//
// Two passes over the row: the first finds maximum and sum together (the sum is rescaled
// whenever the maximum grows), the second writes the gradient.
//
// With NARROW it also writes the bits of RAISED * d a_v / scale for the products to come. Without
// RAISED that is between -1 and 1; with it, float16 keeps all its bits down to 2e-9, a probability
// that tokens do have, and nothing comes near 65504, where it ends.
//
// REAL is float or double. blockDim.x is THREADS, a multiple of 32.

#include "narrow.cuh"

#define THREADS 256
#define RAISED 32768.0f

// Merge the partial (maximum, sum) pair of another part of the row into this one.
__device__ __forceinline__ void merge(REAL& m, REAL& s, REAL other_m, REAL other_s)
{
    if (other_m > m) {
        s = s * exp(m - other_m) + other_s;
        m = other_m;
    } else if (other_s != 0) {  // so that NaN is kept
        s += other_s * exp(other_m - m);
    }
}

extern "C" __global__ void softmax_loss(
    REAL* __restrict__ logits,              // (M, V): in, without the bias; out, the gradient
    const REAL* __restrict__ bias,          // (V,) or null
    const long long* __restrict__ targets,  // (M,)
    const bool* __restrict__ valid,         // (M,) or null: false where a row does not count
    REAL* __restrict__ losses,              // (M,)
    const int V,
    const REAL scale_value,
    const REAL* __restrict__ scale_device,  // one element, used instead of scale_value; or null
    unsigned short* __restrict__ bits,      // (M, V); not used without NARROW, or a gradient
    const int gradient)
{
    __shared__ REAL shared_m[THREADS / 32];
    __shared__ REAL shared_s[THREADS / 32];
    const int row = blockIdx.x;
    REAL* a = logits + (long long)row * V;

    if (valid && !valid[row]) {  // the whole block agrees
        if (gradient)
            for (int v = threadIdx.x; v < V; v += THREADS) {
                a[v] = 0;
#if NARROW
                bits[(long long)row * V + v] = 0;
#endif
            }
        if (threadIdx.x == 0) losses[row] = 0;
        return;
    }

    // The lowest finite number, so that no difference of two maxima is inf - inf.
    REAL m = sizeof(REAL) == 4 ? (REAL)-3.402823466e38f : (REAL)-1.7976931348623157e308;
    REAL s = 0;
    for (int v = threadIdx.x; v < V; v += THREADS)
        merge(m, s, bias ? a[v] + bias[v] : a[v], 1);
    for (int lane = 16; lane > 0; lane /= 2) {
        const REAL other_m = __shfl_xor_sync(0xffffffffu, m, lane);
        const REAL other_s = __shfl_xor_sync(0xffffffffu, s, lane);
        merge(m, s, other_m, other_s);
    }
    if (threadIdx.x % 32 == 0) {
        shared_m[threadIdx.x / 32] = m;
        shared_s[threadIdx.x / 32] = s;
    }
    __syncthreads();
    m = shared_m[0];
    s = shared_s[0];
    for (int w = 1; w < THREADS / 32; ++w) merge(m, s, shared_m[w], shared_s[w]);

    const long long target = targets[row];
    if (threadIdx.x == 0) {
        const REAL picked = bias ? a[target] + bias[target] : a[target];
        losses[row] = log(s) - (picked - m);
    }
    if (!gradient) return;
    __syncthreads();  // thread 0 has read the target's logit before anyone overwrites it
    const REAL scale = scale_device ? *scale_device : scale_value;
    const REAL factor = scale / s;
    for (int v = threadIdx.x; v < V; v += THREADS) {
        const REAL e = exp((bias ? a[v] + bias[v] : a[v]) - m);
        a[v] = e * factor - (v == target ? scale : (REAL)0);
#if NARROW
        bits[(long long)row * V + v] = narrow(RAISED * (e / s - (v == target ? (REAL)1 : (REAL)0)));
#endif
    }
}
