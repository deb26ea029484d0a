"""One step of each cell: the equations, the protocol, the door. Gradients: tests/proof."""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError

N, D, H = 2, 3, 4
SHAPES = {
    "rnn": (RNNCell, 1, (H,)),
    "lstm": (LSTMCell, 4, (4 * H,)),
    "gru-after": (GRUCell, 3, (2, 3 * H)),
    "gru-before": (GRUCell, 3, (3 * H,)),
}


def logistic(a):
    return 1.0 / (1.0 + np.exp(-a))


def equations(name, x, h, c, Wx, Wh, b):
    """The textbook, gate by gate, in NumPy: (h', c')."""
    Wxs = np.split(Wx, Wx.shape[1] // H, axis=1)
    Whs = np.split(Wh, Wh.shape[1] // H, axis=1)
    if name == "rnn":
        return np.tanh(x @ Wx + h @ Wh + b), None
    if name == "lstm":
        i, f, g, o = (x @ U + h @ V + w for U, V, w in zip(Wxs, Whs, np.split(b, 4), strict=True))
        c = logistic(f) * c + logistic(i) * np.tanh(g)
        return logistic(o) * np.tanh(c), c
    if name == "gru-after":
        (br, bz, bn), (cr, cz, cn) = (np.split(row, 3) for row in b)
        r = logistic(x @ Wxs[0] + br + h @ Whs[0] + cr)
        z = logistic(x @ Wxs[1] + bz + h @ Whs[1] + cz)
        n = np.tanh(x @ Wxs[2] + bn + r * (h @ Whs[2] + cn))
    else:
        br, bz, bn = np.split(b, 3)
        r = logistic(x @ Wxs[0] + h @ Whs[0] + br)
        z = logistic(x @ Wxs[1] + h @ Whs[1] + bz)
        n = np.tanh(x @ Wxs[2] + (r * h) @ Whs[2] + bn)
    return (1 - z) * n + z * h, None


@pytest.fixture(params=SHAPES)
def name(request):
    return request.param


@pytest.fixture
def drawn(name, rng):
    cls, gates, bias = SHAPES[name]
    shapes = ((D, gates * H), (H, gates * H), bias)
    return cls, [rng.standard_normal(s) for s in shapes]


def state_of(name, h, c):
    return (h, c) if name == "lstm" else h


def test_the_equations(name, drawn, be, rng):
    cls, weights = drawn
    x, h, c = rng.standard_normal((N, D)), rng.standard_normal((N, H)), rng.standard_normal((N, H))
    cell = cls(*(be.asarray(w) for w in weights))
    state = state_of(name, be.asarray(h), be.asarray(c))
    output, new, _ = cell.forward(be.asarray(x), state)
    expected_h, expected_c = equations(name, x, h, c, *weights)
    np.testing.assert_allclose(to_host(output), expected_h, rtol=1e-13, atol=1e-14)
    if name == "lstm":
        assert new[0] is output
        np.testing.assert_allclose(to_host(new[1]), expected_c, rtol=1e-13, atol=1e-14)
    else:
        assert new is output


def test_sizes_and_zero_state(name, drawn, be):
    cls, weights = drawn
    cell = cls(*(be.asarray(w) for w in weights))
    assert (cell.input_size, cell.output_size) == (D, H)
    assert cell.state_size == ((H, H) if name == "lstm" else H)
    zero = cell.zero_state(5)
    for part in zero if name == "lstm" else (zero,):
        assert part.shape == (5, H)
        assert part.dtype == cell.params[0].dtype
        assert part.device == cell.params[0].device
        assert not to_host(part).any()
    if name.startswith("gru"):
        assert cell.reset_after == (name == "gru-after")


def test_backward_adds_into_the_gradients(name, drawn, be, rng):
    cls, weights = drawn
    arrays = [be.asarray(w) for w in weights]
    grads = [be.xp.zeros_like(a) for a in arrays]
    cell = cls(*arrays, grads=grads)
    h = be.asarray(rng.standard_normal((N, H)))
    x, dh = be.asarray(rng.standard_normal((N, D))), be.asarray(rng.standard_normal((N, H)))
    _, _, cache = cell.forward(x, state_of(name, h, h))
    cell.backward(dh, None, cache)
    once = [to_host(g).copy() for g in cell.grads]
    assert all(g.any() for g in once)
    cell.backward(dh, None, cache)
    for own, given, first in zip(cell.grads, grads, once, strict=True):
        assert own is given
        np.testing.assert_allclose(to_host(own), 2 * first)


def test_no_upstream_gradient_into_the_state_is_zeros(name, drawn, be, rng):
    cls, weights = drawn
    h = be.asarray(rng.standard_normal((N, H)))
    x, dh = be.asarray(rng.standard_normal((N, D))), be.asarray(rng.standard_normal((N, H)))
    results = []
    for dstate in (None, state_of(name, be.xp.zeros_like(h), be.xp.zeros_like(h))):
        cell = cls(*(be.asarray(w) for w in weights))
        _, _, cache = cell.forward(x, state_of(name, h, h))
        dx, dbefore = cell.backward(dh, dstate, cache)
        dbefore = dbefore if name == "lstm" else (dbefore,)
        results.append([to_host(a) for a in (dx, *dbefore, *cell.grads)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_output_and_state_are_one_gradient(name, drawn, be, rng):
    """The output is the state h, so their gradients add up."""
    cls, weights = drawn
    cell = cls(*(be.asarray(w) for w in weights))
    h = be.asarray(rng.standard_normal((N, H)))
    dh = be.asarray(rng.standard_normal((N, H)))
    zeros = be.xp.zeros_like(h)
    _, _, cache = cell.forward(be.asarray(rng.standard_normal((N, D))), state_of(name, h, h))
    one, _ = cell.backward(dh, None, cache)
    other, _ = cell.backward(zeros, state_of(name, dh, zeros), cache)
    np.testing.assert_array_equal(to_host(one), to_host(other))


def test_a_cell_keeps_no_data(name, drawn, be, rng):
    """Two steps, then their backward passes in any order: the caches are the caller's."""
    cls, weights = drawn
    x = [be.asarray(rng.standard_normal((N, D))) for _ in range(2)]
    h = be.asarray(rng.standard_normal((N, H)))
    dh = be.asarray(rng.standard_normal((N, H)))
    cell = cls(*(be.asarray(w) for w in weights))
    caches = [cell.forward(a, state_of(name, h, h))[2] for a in x]
    late = to_host(cell.backward(dh, None, caches[0])[0])
    fresh = cls(*(be.asarray(w) for w in weights))
    _, _, cache = fresh.forward(x[0], state_of(name, h, h))
    np.testing.assert_array_equal(late, to_host(fresh.backward(dh, None, cache)[0]))


# ---- the door


@pytest.mark.parametrize("position", [0, 1, 2])
def test_wrong_weight_shapes(name, drawn, be, position):
    cls, weights = drawn
    for change in (lambda a: a[..., :-1], lambda a: a[None], lambda a: a.reshape(-1)[:1]):
        arrays = [be.asarray(w) for w in weights]
        arrays[position] = be.asarray(change(weights[position]))
        with pytest.raises(ShapeError, match=rf"^{cls.__name__}: (Wx|Wh|b) has shape") as caught:
            cls(*arrays)
        assert "expected" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["int64", "bool", "complex64"])
def test_weights_that_are_not_float(drawn, be, dtype):
    cls, weights = drawn
    arrays = [be.asarray(w, dtype) for w in weights]
    with pytest.raises(DTypeError, match=f"{cls.__name__}: Wx has dtype .*expected float32 or"):
        cls(*arrays)


def test_half_precision_is_refused(drawn):
    cls, weights = drawn
    with pytest.raises(DTypeError, match="Wx has dtype float16, expected float32 or float64"):
        cls(*(w.astype(np.float16) for w in weights))


def test_weights_of_two_dtypes(drawn, be):
    cls, weights = drawn
    arrays = [
        be.asarray(w, t) for w, t in zip(weights, ("float32", "float32", "float64"), strict=True)
    ]
    with pytest.raises(DTypeError, match=r"b has dtype .*float64, the parameters have .*float32"):
        cls(*arrays)


def test_weights_of_two_backends(drawn, strict):
    cls, weights = drawn
    with pytest.raises(MixedBackendError, match=r"Wh is a numpy\.ndarray.*array_api_strict"):
        cls(strict.asarray(weights[0]), weights[1], weights[2])
    with pytest.raises(MixedBackendError, match=r"b is a array_api_strict\.Array.*numpy"):
        cls(weights[0], weights[1], strict.asarray(weights[2]))


def test_weights_on_two_devices(drawn, strict):
    import array_api_strict

    cls, weights = drawn
    with pytest.raises(MixedBackendError, match=r"Wh is on device .*CPU_DEVICE"):
        cls(strict.asarray(weights[0]), array_api_strict.asarray(weights[1]), weights[2])


def test_weights_that_are_lists(drawn):
    cls, weights = drawn
    with pytest.raises(DTypeError, match=r"Wx is a builtins\.list, expected an array"):
        cls(weights[0].tolist(), *weights[1:])


def test_tensors_that_require_grad(drawn, torch_backend):
    cls, weights = drawn
    for k, which in enumerate(("Wx", "Wh", "b")):
        arrays = [torch_backend.asarray(w) for w in weights]
        arrays[k].requires_grad_(True)
        with pytest.raises(TypeError, match=f"{cls.__name__}: {which} is a torch tensor that req"):
            cls(*arrays)


def test_gradients_that_are_not_like_the_weights(drawn):
    cls, weights = drawn
    grads = [np.zeros_like(w) for w in weights]
    with pytest.raises(ShapeError, match=f"^{cls.__name__}: got 2 grads, expected 3$"):
        cls(*weights, grads=grads[:2])
    with pytest.raises(ShapeError, match=rf"^{cls.__name__}: grads\[0\] has shape .*, expected"):
        cls(*weights, grads=grads[::-1])
    with pytest.raises(DTypeError, match=rf"^{cls.__name__}: grads\[0\] has dtype float32"):
        cls(*weights, grads=[g.astype(np.float32) for g in grads])
