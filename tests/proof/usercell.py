"""A cell as a user would write one, with all that the protocol allows.

Its state is nested, its output is narrower than its state, and its cache is a dict.
"""

from rnn_xp.namespace import namespace_of


class LeakyCell:
    """``a' = tanh(x W + a U)``, ``s' = 0.75 s + 0.25 a'``, output ``(a' * s') P``.

    The state is ``(a, (s,))``.
    """

    def __init__(self, W, U, P):
        self.params = [W, U, P]
        self.grads = [namespace_of(p).zeros_like(p) for p in self.params]

    @property
    def state_size(self):
        H = self.params[1].shape[0]
        return (H, (H,))

    @property
    def output_size(self):
        return self.params[2].shape[1]

    def zero_state(self, N):
        U = self.params[1]
        xp = namespace_of(U)
        zeros = xp.zeros((N, U.shape[0]), dtype=U.dtype, device=U.device)
        return (zeros, (zeros,))

    def forward(self, x, state):
        W, U, P = self.params
        a, (s,) = state
        a_next = namespace_of(x).tanh(x @ W + a @ U)
        s_next = 0.75 * s + 0.25 * a_next
        kept = {"x": x, "a": a, "a_next": a_next, "s_next": s_next}
        return (a_next * s_next) @ P, (a_next, (s_next,)), kept

    def backward(self, doutput, dstate, cache):
        W, U, P = self.params
        a_next, s_next = cache["a_next"], cache["s_next"]
        dproduct = doutput @ P.T
        da = dproduct * s_next
        ds = dproduct * a_next
        if dstate is not None:
            da, ds = da + dstate[0], ds + dstate[1][0]
        da = (da + 0.25 * ds) * (1.0 - a_next * a_next)
        terms = (cache["x"].T @ da, cache["a"].T @ da, (a_next * s_next).T @ doutput)
        for grad, term in zip(self.grads, terms, strict=True):
            grad[...] = grad + term
        return da @ W.T, (da @ U.T, (0.75 * ds,))
