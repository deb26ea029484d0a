// The loss scale after a step: half of it, the same, or twice as much. One thread.
//
// REAL is float or double.

extern "C" __global__ void loss_scale_update(
    const REAL* __restrict__ scale,
    const REAL* __restrict__ good,
    const bool* __restrict__ ok,
    const int interval,
    const REAL least,
    const REAL most,
    REAL* __restrict__ new_scale,
    REAL* __restrict__ new_good)
{
    const REAL s = *scale;
    const REAL count = *ok ? *good + 1 : (REAL)0;
    const bool grown = count >= interval;
    *new_good = grown ? (REAL)0 : count;
    if (*ok)
        *new_scale = grown && s < most ? 2 * s : s;
    else
        *new_scale = s > least ? s / 2 : s;
}
