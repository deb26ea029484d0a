// Optimiser updates, each in one launch over arrays of one size. The equations are at the
// functions of the same names in kernels/generic/updates.py.
//
// `scale` multiplies the gradient and `ok` says whether anything is written; both come as a
// number, or as a pointer to one that an earlier kernel computes (else null).
//
// REAL is float or double.

#define SCALE_OR_RETURN                                     \
    if (!(ok_device ? *ok_device : ok_value != 0)) return;  \
    const REAL scale = scale_device ? *scale_device : scale_value;

#define EACH(k, n)                                                                  \
    for (long long k = (long long)blockIdx.x * blockDim.x + threadIdx.x; k < (n);   \
         k += (long long)gridDim.x * blockDim.x)

extern "C" __global__ void sgd(
    REAL* __restrict__ p,
    const REAL* __restrict__ g,
    const long long n,
    const REAL lr,
    const REAL weight_decay,
    const REAL scale_value,
    const REAL* __restrict__ scale_device,
    const int ok_value,
    const bool* __restrict__ ok_device)
{
    SCALE_OR_RETURN
    EACH(k, n) {
        REAL step = scale * g[k];
        if (weight_decay != 0) step += weight_decay * p[k];
        p[k] -= lr * step;
    }
}

// Classical momentum, or Nesterov's.
extern "C" __global__ void momentum(
    REAL* __restrict__ p,
    const REAL* __restrict__ g,
    REAL* __restrict__ v,
    const long long n,
    const REAL lr,
    const REAL decay,
    const int nesterov,
    const REAL scale_value,
    const REAL* __restrict__ scale_device,
    const int ok_value,
    const bool* __restrict__ ok_device)
{
    SCALE_OR_RETURN
    EACH(k, n) {
        const REAL step = lr * (scale * g[k]);
        const REAL velocity = decay * v[k] - step;
        p[k] += nesterov ? decay * velocity - step : velocity;
        v[k] = velocity;
    }
}

// AdaGrad (decay = gain = 1) and RMSprop (gain = 1 - decay).
extern "C" __global__ void divided_by_root(
    REAL* __restrict__ p,
    const REAL* __restrict__ g,
    REAL* __restrict__ h,
    const long long n,
    const REAL lr,
    const REAL decay,
    const REAL gain,
    const REAL eps,
    const REAL scale_value,
    const REAL* __restrict__ scale_device,
    const int ok_value,
    const bool* __restrict__ ok_device)
{
    SCALE_OR_RETURN
    EACH(k, n) {
        const REAL scaled = scale * g[k];
        const REAL squares = decay * h[k] + gain * (scaled * scaled);
        p[k] -= lr * scaled / (sqrt(squares) + eps);
        h[k] = squares;
    }
}

extern "C" __global__ void adam(
    REAL* __restrict__ p,
    const REAL* __restrict__ g,
    REAL* __restrict__ m,
    REAL* __restrict__ v,
    REAL* t,                 // one element: how many steps were applied
    int* arrived,            // one element, zero before and after
    const long long n,
    const REAL lr,
    const REAL beta1,
    const REAL gain1,        // 1 - beta1
    const REAL log_beta1,    // minus infinity if beta1 is 0
    const REAL beta2,
    const REAL gain2,
    const REAL log_beta2,
    const REAL eps,
    const int eps_hat,
    const REAL weight_decay, // in the gradient
    const REAL keep,         // what p is multiplied by first
    const REAL scale_value,
    const REAL* __restrict__ scale_device,
    const int ok_value,
    const bool* __restrict__ ok_device)
{
    SCALE_OR_RETURN
    const REAL step = *t + 1;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();  // this block has read the old count before its arrival is seen
        if (atomicAdd(arrived, 1) == (int)gridDim.x - 1) {  // so has every other
            *arrived = 0;
            *t = step;
        }
    }
    const REAL c1 = -expm1(step * log_beta1);
    const REAL root_c2 = sqrt(-expm1(step * log_beta2));
    const REAL rate = lr * root_c2 / c1;
    const REAL floor = eps_hat ? eps : eps * root_c2;
    EACH(k, n) {
        REAL scaled = scale * g[k];
        if (weight_decay != 0) scaled += weight_decay * p[k];
        const REAL mean = beta1 * m[k] + gain1 * scaled;
        const REAL squares = beta2 * v[k] + gain2 * (scaled * scaled);
        p[k] = keep * p[k] - rate * mean / (sqrt(squares) + floor);
        m[k] = mean;
        v[k] = squares;
    }
}
