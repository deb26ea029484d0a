"""Arrays of several backends in one process: which one they belong to, and how they travel."""

import numpy as np
import pytest
from backends import available

from rnn_xp.backend import Backend, backend_of, get_backend, to_host
from rnn_xp.layers import TimeLSTM


def test_array_type_in_is_array_type_out(be):
    array = be.asarray([[1, 2], [3, 4]], "float32")
    assert backend_of(array) == be
    assert array.dtype == be.dtype("float32")
    assert be.zeros((2, 1), "float64").dtype == be.dtype("float64")
    assert backend_of(be.zeros((2,), "float32")) == be
    host = to_host(array)
    assert isinstance(host, np.ndarray)
    np.testing.assert_array_equal(host, np.array([[1, 2], [3, 4]], np.float32))
    be.synchronize()


def test_asarray_copies(be):
    host = np.ones((2, 2), np.float32)
    array = be.asarray(host)
    host[...] = 5
    assert to_host(array).max() == 1.0


def test_to_host_of_scalars(be):
    total = be.xp.sum(be.asarray([1.0, 2.0], "float64"))
    assert to_host(total).shape == ()
    assert float(to_host(total)) == 3.0
    assert to_host(2.5) == 2.5
    assert to_host(np.float32(1.5)).dtype == np.float32


def test_to_host_of_every_dtype(be):
    for value in (np.array([True, False]), np.array([1, 2]), np.array([0.5], np.float32)):
        host = to_host(be.asarray(value))
        assert host.dtype == value.dtype
        np.testing.assert_array_equal(host, value)


@pytest.mark.parametrize("thing", [[1.0], "text", None, 3])
def test_backend_of_what_is_no_array(thing):
    with pytest.raises(TypeError, match=r"expected an array of numpy, cupy.*, got builtins\."):
        backend_of(thing)


def test_backend_of_a_tensor_that_requires_grad(torch_backend):
    import torch

    with pytest.raises(TypeError, match=r"requires grad.*tensor\.detach"):
        backend_of(torch.ones(2, requires_grad=True))


def test_several_backends_side_by_side(rng):
    xs = rng.standard_normal((2, 3, 2)).astype(np.float32)
    layers = [TimeLSTM.create(2, 3, backend=v.open(), rng=4) for v in available()]
    results = []
    for layer, variant in zip(layers, available(), strict=True):
        be = variant.open()
        hs = layer.forward(be.asarray(xs))
        assert backend_of(hs) == be
        results.append(to_host(hs))
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], atol=1e-6)


def test_the_same_seed_gives_the_same_weights_everywhere():
    made = [TimeLSTM.create(2, 3, backend=v.open(), rng=4) for v in available()]
    for layer in made[1:]:
        for a, b in zip(layer.params, made[0].params, strict=True):
            np.testing.assert_array_equal(to_host(a), to_host(b))


def test_a_backend_is_a_value():
    assert get_backend("numpy") == Backend("numpy", np, "cpu")
    assert len({get_backend("numpy"), get_backend("numpy:cpu")}) == 1
