"""A cell of one's own, in 30 lines: minGRU, in every net and on every backend.

Feng et al., "Were RNNs all we needed?", arXiv:2410.01201, in its sequential form: gate and
candidate do not see the state, and ``g`` keeps the candidate positive.
"""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import sigmoid
from rnn_xp.layers import Bidirectional, Stack, TimeAffine, TimeCell
from rnn_xp.namespace import namespace_of
from rnn_xp.testing import check_cell_gradients, check_gradients


class MinGRUCell:
    """z = sigmoid(x Wz);  n = g(x Wn), g(a) = a + 0.5 if a >= 0 else sigmoid(a);
    h' = (1 - z) h + z n."""

    def __init__(self, Wz, Wn):
        self.params = [Wz, Wn]
        self.grads = [namespace_of(p).zeros_like(p) for p in self.params]
        self.state_size = self.output_size = Wz.shape[1]

    def zero_state(self, N):
        Wz, _ = self.params
        return namespace_of(Wz).zeros((N, Wz.shape[1]), dtype=Wz.dtype, device=Wz.device)

    def forward(self, x, h):
        xp, (Wz, Wn) = namespace_of(x), self.params
        z, a = sigmoid(x @ Wz, xp), x @ Wn
        s = sigmoid(a, xp)
        n = xp.where(a >= 0.0, a + 0.5, s)
        slope = xp.where(a >= 0.0, xp.ones_like(a), s * (1.0 - s))
        h_next = (1.0 - z) * h + z * n
        return h_next, h_next, (x, h, z, n, slope)

    def backward(self, doutput, dstate, cache):
        x, h, z, n, slope = cache
        d = doutput if dstate is None else doutput + dstate
        da, dz = d * z * slope, d * (n - h) * z * (1.0 - z)
        for grad, term in zip(self.grads, (x.T @ dz, x.T @ da), strict=True):
            grad[...] = grad + term
        return dz @ self.params[0].T + da @ self.params[1].T, d * (1.0 - z)


N, T, D, H = 4, 6, 3, 5
LENGTHS = [6, 0, 3, 5]


def draw(be, *shape, seed=0):
    return be.asarray(np.random.default_rng(seed).standard_normal(shape))


def layer(be, width, seed, **options):
    return TimeCell(
        MinGRUCell(draw(be, width, H, seed=seed), draw(be, width, H, seed=seed + 1)), **options
    )


NETS = {
    "single": (lambda be: layer(be, D, 1), H),
    "bidirectional": (lambda be: Bidirectional(layer(be, D, 1), layer(be, D, 3)), 2 * H),
    "stacked": (lambda be: Stack([layer(be, D, 1), layer(be, H, 3)]), H),
    "stacked bidirectional": (
        lambda be: Stack(
            [
                Bidirectional(layer(be, D, 1), layer(be, D, 3)),
                Bidirectional(layer(be, 2 * H, 5), layer(be, 2 * H, 7), "mean"),
            ]
        ),
        H,
    ),
}
nets = pytest.mark.parametrize("name", NETS)


def test_it_is_written_in_30_lines():
    import inspect

    lines = inspect.getsource(MinGRUCell).splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


def test_one_step(be):
    cell = MinGRUCell(draw(be, D, H), draw(be, D, H, seed=1))
    check_cell_gradients(cell, draw(be, N, D, seed=2), draw(be, N, H, seed=3))


@nets
def test_gradients_with_lengths_and_masks(name, quick_be):
    net, xs = NETS[name][0](quick_be), draw(quick_be, N, T, D, seed=9)
    check_gradients(net, xs, lengths=LENGTHS)
    check_gradients(net, xs, mask=np.random.default_rng(5).random((N, T)) < 0.7)


@nets
def test_gradients_match_torch_autograd(name, be, torch_backend):
    import torch

    net, xs = NETS[name][0](be), draw(be, N, T, D, seed=9)
    hs = net.forward(xs, lengths=LENGTHS)
    dhs = draw(be, *hs.shape, seed=10)
    given = [net.backward(dhs), *net.grads]

    leaf = lambda a: torch.tensor(to_host(a), requires_grad=True)  # noqa: E731
    x, params = leaf(xs), [leaf(p) for p in net.params]

    def run(rows, Wz, Wn):
        """Each row as a sequence of its own length."""
        outputs = []
        for row in rows:
            h, steps = torch.zeros(H, dtype=torch.float64), []
            for x_t in row:
                a, z = x_t @ Wn, torch.sigmoid(x_t @ Wz)
                h = (1 - z) * h + z * torch.where(a >= 0, a + 0.5, torch.sigmoid(a))
                steps.append(h)
            outputs.append(torch.stack(steps) if steps else row.new_zeros(0, H))
        return outputs

    def both(rows, p):
        back = run([row.flip(0) for row in rows], *p[2:])
        return list(zip(run(rows, *p[:2]), [r.flip(0) for r in back], strict=True))

    rows = [x[n, :length] for n, length in enumerate(LENGTHS)]
    if name == "single":
        rows = run(rows, *params)
    elif name == "stacked":
        rows = run(run(rows, *params[:2]), *params[2:])
    else:
        rows = [torch.cat(pair, dim=1) for pair in both(rows, params[:4])]
        if name == "stacked bidirectional":
            rows = [0.5 * (a + b) for a, b in both(rows, params[4:])]
    width = NETS[name][1]
    padded = [torch.cat([r, r.new_zeros(T - len(r), width)]) for r in rows]
    reference = torch.stack(padded)
    loss = (reference * torch.tensor(to_host(dhs))).sum()
    np.testing.assert_allclose(to_host(hs), reference.detach().numpy(), rtol=0, atol=1e-13)
    for a, b in zip(given, torch.autograd.grad(loss, [x, *params]), strict=True):
        np.testing.assert_allclose(to_host(a), b.numpy(), rtol=0, atol=1e-11)


@nets
def test_it_learns(name, be):
    """A running mean of the input, over rows of different lengths: the loss goes down."""
    build, width = NETS[name]
    net, output = build(be), TimeAffine(draw(be, width, 1, seed=11), draw(be, 1, seed=12))
    numbers = np.random.default_rng(13).standard_normal((N, T, D))
    counted = (np.arange(T)[None, :] < np.array(LENGTHS)[:, None])[:, :, None]
    target = np.cumsum(numbers[:, :, :1], axis=1) / np.arange(1, T + 1)[None, :, None]
    xs, target, counted = be.asarray(numbers), be.asarray(target), be.asarray(1.0 * counted)
    losses = []
    for _ in range(40):
        error = (output.forward(net.forward(xs, lengths=LENGTHS)) - target) * counted
        losses.append(float((to_host(error) ** 2).sum()))
        net.backward(output.backward(2.0 * error))
        for part in (net, output):
            for param, grad in zip(part.params, part.grads, strict=True):
                param[...] = param - 0.005 * grad
    assert losses[-1] < 0.3 * losses[0]


def test_another_backend_continues(be, strict):
    """`TimeCell.to` asks for no more than `params` and `grads` that can be set."""
    net = layer(be, D, 1)
    moved = net.to(strict)
    xs = draw(be, N, T, D, seed=9)
    hs = to_host(net.forward(xs))
    np.testing.assert_allclose(
        to_host(moved.forward(strict.asarray(to_host(xs)))), hs, rtol=0, atol=1e-14
    )
