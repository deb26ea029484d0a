// What the probes of gpu_probes.py launch.

// One step of a barrier of all blocks. False once a block has waited longer than `limit` clocks:
// a barrier that not all can reach must end with an error, not hang the device.
__device__ bool wait_for_all(
    unsigned int* arrived, unsigned int target, int* error, long long limit)
{
    __shared__ int failed;
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned int seen;
        failed = 0;
        asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(arrived) : "memory");
        const long long start = clock64();
        do {
            asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(arrived) : "memory");
            if (clock64() - start > limit) {
                failed = 1;
                atomicExch(error, 1);
            }
        } while (!failed && (int)(seen - target) < 0);
    }
    __syncthreads();
    return !failed;
}

// `rounds` barriers, one after the other. error: 1 after a time-out, 2 where the grid is not the
// one that was asked for.
extern "C" __global__ void barriers(
    unsigned int* arrived, int* error, const int blocks, const int rounds, const long long limit)
{
    if (gridDim.x != (unsigned int)blocks) {
        if (threadIdx.x == 0) atomicExch(error, 2);
        return;
    }
    for (int r = 1; r <= rounds; ++r)
        if (!wait_for_all(arrived, (unsigned int)r * blocks, error, limit)) return;
}

extern "C" __global__ void add_one(float* a, const int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i] += 1.0f;
}

// Keep the device busy for so long.
extern "C" __global__ void spin(const long long nanoseconds)
{
    long long start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - start < nanoseconds);
}
