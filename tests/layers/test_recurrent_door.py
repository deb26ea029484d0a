"""What recurrent layers refuse, in one line that names the layer, what came and what should."""

import numpy as np
import pytest
from backends import available
from layer_kinds import LAYERS, D, H, N, T, draw, make, set_state

from rnn_xp.errors import (
    DataError,
    DTypeError,
    MixedBackendError,
    RnnXpError,
    ShapeError,
    StaleCacheError,
)
from rnn_xp.layers import TimeCell, TimeGRU, TimeLSTM, TimeRNN


@pytest.fixture(params=LAYERS)
def name(request):
    return request.param


@pytest.fixture
def layer(name, be):
    return make(name, be)


@pytest.fixture
def xs(be):
    return draw(be, N, T, D)


@pytest.fixture
def elsewhere(be):
    return next(v.open() for v in available()[::-1] if v.open().name != be.name)


def refuses(layer, error, message, call, *args, **options):
    with pytest.raises(error, match=message) as caught:
        call(*args, **options)
    text = str(caught.value)
    assert text.startswith(f"{type(layer).__name__}: ")
    assert "\n" not in text


# ---- xs


@pytest.mark.parametrize("shape", [(N, T), (N, T, D + 1), (N, T, D, 1), (0, T, D), (N, 0, D)])
def test_shape_of_xs(layer, be, shape):
    message = r"xs has shape \(.*\), expected \(N, T, D\) with D = 2"
    refuses(layer, ShapeError, message, layer.forward, be.zeros(shape, "float64"))


def test_shape_of_time_major_xs(name, be):
    layer = make(name, be, time_major=True)
    message = r"expected \(T, N, D\) with D = 2"
    refuses(layer, ShapeError, message, layer.forward, be.zeros((T, N, D + 1), "float64"))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_dtype_of_xs(layer, be, dtype):
    message = "xs has dtype .*, the parameters have dtype .*float64"
    refuses(layer, DTypeError, message, layer.forward, be.zeros((N, T, D), dtype))


def test_xs_of_another_backend(layer, elsewhere):
    message = "xs is a .*, but the parameters are .* arrays; move one of them"
    refuses(layer, MixedBackendError, message, layer.forward, draw(elsewhere, N, T, D))


def test_xs_on_another_device(name, strict):
    import array_api_strict

    layer = make(name, strict)
    xs = array_api_strict.zeros((N, T, D))
    message = "xs is on device .*CPU_DEVICE.*, the parameters are on .*device1"
    refuses(layer, MixedBackendError, message, layer.forward, xs)


def test_xs_as_a_list(layer):
    message = r"xs is a builtins\.list"
    refuses(layer, MixedBackendError, message, layer.forward, [[[1.0, 2.0]]])


def test_xs_that_requires_grad(name, torch_backend):
    layer = make(name, torch_backend)
    xs = draw(torch_backend, N, T, D).requires_grad_(True)
    refuses(layer, TypeError, "xs is a torch tensor that requires grad", layer.forward, xs)


# ---- lengths and mask


def test_lengths_and_mask_are_checked(layer, xs):
    mask = np.ones((N, T), bool)
    both = {"lengths": [1] * N, "mask": mask}
    refuses(layer, ValueError, "give lengths or mask, not both", layer.forward, xs, **both)
    for options, error, message in (
        ({"lengths": [1] * (N + 1)}, ShapeError, "lengths has shape"),
        ({"lengths": [T + 1] * N}, DataError, "lengths go from 5 to 5, expected 0 to T = 4"),
        ({"lengths": [-1] * N}, DataError, "lengths go from -1 to -1"),
        ({"lengths": [1.0] * N}, DTypeError, "lengths has dtype float64"),
        ({"mask": mask.T}, ShapeError, r"mask has shape \(4, 3\), expected \(N, T\)"),
        ({"mask": mask.astype(int)}, DTypeError, "mask has dtype int64, expected bool"),
    ):
        refuses(layer, error, message, layer.forward, xs, **options)


def test_device_masks_of_another_backend(layer, xs, elsewhere):
    if elsewhere.name == "numpy":
        layer.forward(xs, mask=np.ones((N, T), bool))  # a host array: uploaded
        return
    mask = elsewhere.xp.ones((N, T), dtype=elsewhere.xp.bool, device=elsewhere.device)
    refuses(layer, MixedBackendError, "mask is a", layer.forward, xs, mask=mask)
    lengths = elsewhere.xp.ones((N,), dtype=elsewhere.xp.int64, device=elsewhere.device)
    refuses(layer, MixedBackendError, "lengths is a", layer.forward, xs, lengths=lengths)


# ---- states


def test_shape_of_states(layer, be):
    h, c = be.zeros((N, H), "float64"), be.zeros((N, H), "float64")
    for bad in (be.zeros((N, H + 1), "float64"), be.zeros((H,), "float64")):
        refuses(layer, ShapeError, "has shape .*, expected", set_state, layer, bad, c)
    if isinstance(layer, TimeLSTM | TimeCell):
        bad = be.zeros((N + 1, H), "float64")
        refuses(layer, ShapeError, r"expected \(N, .*\) = \(3, 5\)", set_state, layer, h, bad)


def test_dtype_and_backend_of_states(layer, be, elsewhere):
    c = be.zeros((N, H), "float64")
    refuses(layer, DTypeError, "float32", set_state, layer, be.zeros((N, H), "float32"), c)
    foreign = elsewhere.zeros((N, H), "float64")
    refuses(layer, MixedBackendError, "is a", set_state, layer, foreign, c)


def test_state_of_another_batch_size(layer, be):
    set_state(layer, be.zeros((N + 1, H), "float64"), be.zeros((N + 1, H), "float64"))
    message = r"the batch size is 3, but the state is for 4 rows; call reset_state\(\)"
    for _ in range(2):  # the refused call uses nothing up
        refuses(layer, ShapeError, message, layer.forward, draw(be, N, T, D))
    layer.forward(draw(be, N + 1, T, D))
    layer.forward(draw(be, N, T, D))


def test_another_batch_size_while_stateful(name, be):
    layer = make(name, be, stateful=True)
    layer.forward(draw(be, N, T, D))
    message = r"the batch size is 2, but the state is for 3 rows; call reset_state\(\)"
    for _ in range(2):
        refuses(layer, ShapeError, message, layer.forward, draw(be, 2, T, D))
    layer.reset_state()
    layer.forward(draw(be, 2, T, D))


def test_assigned_states(layer, be):
    def assign(value):
        layer.state = value

    wrong = be.zeros((N, H), "float32")
    if isinstance(layer, TimeCell):
        for value in (wrong, (wrong,), (wrong, (wrong,)), [wrong, wrong]):
            message = r"state is .*, expected \(array, array,\)"
            refuses(layer, ShapeError, message, assign, value)
        refuses(layer, DTypeError, "state has dtype", assign, (wrong, wrong))
        refuses(layer, MixedBackendError, "state is a", assign, ([1.0], [1.0]))
        return
    for value in (wrong, [wrong], (wrong,) * 3):
        refuses(layer, TypeError, r"state is set to a \w+, expected a tuple \(h", assign, value)
    right = (wrong,) * len(layer.state_names)
    refuses(layer, DTypeError, "h has dtype", assign, right)


# ---- backward


def test_backward_before_forward(layer, be):
    message = r"backward needs a forward\(train=True\)"
    refuses(layer, StaleCacheError, message, layer.backward, be.zeros((N, T, H), "float64"))


def test_backward_twice(layer, be, xs):
    dhs = draw(be, N, T, H)
    layer.forward(xs)
    layer.backward(dhs)
    refuses(layer, StaleCacheError, "already used", layer.backward, dhs)


def test_backward_after_a_pass_without_train(layer, be, xs):
    layer.forward(xs)
    layer.forward(xs, train=False)
    refuses(layer, StaleCacheError, "train=False", layer.backward, draw(be, N, T, H))


def test_backward_after_a_refused_forward(layer, be, xs):
    """A call that fails leaves the data of the one before alone, or none: never a mixture."""
    dhs = draw(be, N, T, H)
    layer.forward(xs)
    with pytest.raises(RnnXpError):
        layer.forward(be.zeros((N, T, D + 1), "float64"))
    reference = make_like(layer, be)
    reference.forward(xs)
    expected = reference.backward(dhs)
    given = layer.backward(dhs)
    assert bool(be.xp.all(given == expected))


def make_like(layer, be):
    return layer.to(be)


def test_shape_and_dtype_of_dhs(layer, be, xs, elsewhere):
    for dhs, error, message in (
        (be.zeros((N, T, H + 1), "float64"), ShapeError, r"has shape .*, expected \(N, T, "),
        (be.zeros((T, N, H), "float64"), ShapeError, r"= \(3, 4, 5\)"),
        (be.zeros((N, T, H), "float32"), DTypeError, "has dtype"),
        (elsewhere.zeros((N, T, H), "float64"), MixedBackendError, "is a"),
    ):
        layer.forward(xs)
        refuses(layer, error, message, layer.backward, dhs)


def test_final_state_gradients(layer, be, xs):
    good, bad = be.zeros((N, H), "float64"), be.zeros((N + 1, H), "float64")
    narrow = be.zeros((N, H), "float32")
    for part, error in ((bad, ShapeError), (narrow, DTypeError)):
        layer.forward(xs)
        if isinstance(layer, TimeCell):
            refuses(layer, error, "dstate", layer.backward, None, (good, part))
        elif isinstance(layer, TimeLSTM):
            refuses(layer, error, "dcT", layer.backward, None, good, part)
        else:
            refuses(layer, error, "dhT", layer.backward, None, part)


def test_upstream_gradients_that_require_grad(name, torch_backend):
    layer = make(name, torch_backend)
    layer.forward(draw(torch_backend, N, T, D))
    dhs = draw(torch_backend, N, T, H).requires_grad_(True)
    refuses(layer, TypeError, "requires grad", layer.backward, dhs)


# ---- making one


@pytest.mark.parametrize("cls", [TimeRNN, TimeLSTM, TimeGRU])
def test_create(cls, be):
    layer = cls.create(D, H, rng=3, backend=be, dtype="float64", time_major=True)
    assert layer.forward(draw(be, T, N, D)).shape == (T, N, H)
    with pytest.raises(ValueError, match=f"{cls.__name__}: D = 0, expected a positive integer"):
        cls.create(0, H)
    with pytest.raises(DTypeError, match=f"{cls.__name__}: Wx has dtype float16"):
        cls.create(D, H, dtype="float16")


def test_create_gives_the_bias_its_meaning():
    assert TimeLSTM.create(D, H).params[2][H : 2 * H].tolist() == [1.0] * H
    assert TimeLSTM.create(D, H, forget_bias=0.5).params[2].sum() == 0.5 * H
    assert TimeGRU.create(D, H).reset_after
    assert not TimeGRU.create(D, H, reset_after=False).reset_after


def test_layers_adopt_their_arrays(name, be):
    from layer_kinds import weights

    arrays = weights(name, be)
    layer = LAYERS[name][0](*arrays)
    assert all(a is b for a, b in zip(layer.params, arrays, strict=True))
    assert [g.shape for g in layer.grads] == [p.shape for p in layer.params]
