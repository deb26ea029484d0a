// Dropout masks: the raw stream of NumPy's Philox generator, 16 bits an element.
//
// Block j of four words is philox4x64-10 (Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011, with the multipliers and Weyl constants of the
// reference implementation, Random123) of the counter (j + 1, 0, call, 0) under the key
// (seed, stream); see rnn_xp/rng.py. One thread computes one block, which is 16 elements.
//
// REAL is float or double.

struct alignas(16) Group {
    REAL x[16 / sizeof(REAL)];  // what one store writes
};

extern "C" __global__ void dropout_mask(
    REAL* __restrict__ mask,  // (n,), at a multiple of 16 bytes
    const long long n,
    const unsigned long long seed,
    const unsigned long long stream,
    const unsigned long long call,
    const int threshold,      // a draw below it is dropped
    const REAL kept)          // value of the others
{
    const long long block = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const long long first = 16 * block;
    if (first >= n) return;
    const unsigned long long M0 = 0xD2E7470EE14C6C93ull, M1 = 0xCA5A826395121157ull;
    const unsigned long long W0 = 0x9E3779B97F4A7C15ull, W1 = 0xBB67AE8584CAA73Bull;
    unsigned long long c[4] = {(unsigned long long)block + 1, 0, call, 0};
    unsigned long long k0 = seed, k1 = stream;
    #pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned long long low0 = M0 * c[0], high0 = __umul64hi(M0, c[0]);
        const unsigned long long low1 = M1 * c[2], high1 = __umul64hi(M1, c[2]);
        c[0] = high1 ^ c[1] ^ k0;
        c[1] = low1;
        c[2] = high0 ^ c[3] ^ k1;
        c[3] = low0;
        k0 += W0;
        k1 += W1;
    }
    const int width = 16 / sizeof(REAL);
    Group group;
    #pragma unroll
    for (int e = 0; e < 16; ++e) {
        const int draw = (int)(c[e / 4] >> (16 * (e % 4))) & 0xffff;
        const REAL value = draw < threshold ? (REAL)0 : kept;
        if (first + 16 > n) {  // the last block may be a short one
            if (first + e < n) mask[first + e] = value;
            continue;
        }
        group.x[e % width] = value;
        if (e % width == width - 1) ((Group*)(mask + first))[e / width] = group;
    }
}
