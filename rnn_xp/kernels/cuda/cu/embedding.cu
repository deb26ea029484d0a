// Gradient of an embedding: row unique[u] of dW gains the sum of the rows of dout whose id
// it is. The ids were sorted on the host, so each output element is summed by
// one thread in a fixed order: no atomics, the same bits every time.
//
// REAL is float or double.

extern "C" __global__ void embedding_backward(
    const REAL* __restrict__ dout,    // (M, D)
    const int* __restrict__ order,    // (M,)   sorts the ids, stably
    const int* __restrict__ starts,   // (U + 1,) where each id begins in `order`
    const int* __restrict__ unique,   // (U,)   the ids, ascending
    REAL* __restrict__ dW,            // (V, D)
    const int D)
{
    const int u = blockIdx.x;
    const int d = blockIdx.y * blockDim.x + threadIdx.x;
    if (d >= D) return;
    REAL sum = 0;
    for (int k = starts[u]; k < starts[u + 1]; ++k)
        sum += dout[(long long)order[k] * D + d];
    dW[(long long)unique[u] * D + d] += sum;
}
