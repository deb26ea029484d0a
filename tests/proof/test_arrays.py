"""What arrays may look like, and who may change which: the grid's rows once more.

Inputs that are strided or read-only, buffers full of NaN, two layers of one shape at once,
results that the caller keeps or overwrites.
"""

import numpy as np
import pytest
from backends import BY_NAME
from proof.grid import SEQUENCES
from proof.sequences import SequenceCase

from rnn_xp.backend import get_backend, to_host
from rnn_xp.layers import TimeAffineSoftmaxWithLoss

CASES = [c for c in SEQUENCES if isinstance(c, SequenceCase) and c.option.net == "single"]
cases = pytest.mark.parametrize("case", CASES, ids=repr)
on_numpy = pytest.mark.parametrize("mode", ["auto", "generic"])


def step(case, net, layers, arrays, upstream):
    """One forward and backward pass: everything that comes out, on the host."""
    case.start(layers, arrays)
    outputs = case.outputs(case.call(net, arrays["xs"], train=True), layers)
    results = outputs | {f"d{k}": v for k, v in case.backward(net, layers, upstream).items()}
    return {k: v.copy() for k, v in results.items()}


def prepared(case, be, change=lambda a: a):
    arrays = {k: change(be.asarray(v, "float64")) for k, v in case.inputs.items()}
    upstream = {k: change(be.asarray(v, "float64")) for k, v in case.upstream.items()}
    return arrays, upstream


def assert_equal(given, reference):
    assert given.keys() == reference.keys()
    for name in reference:
        np.testing.assert_array_equal(given[name], reference[name], err_msg=name)


def assert_close(given, reference):
    assert given.keys() == reference.keys()
    for name in reference:
        np.testing.assert_allclose(given[name], reference[name], rtol=0, atol=1e-13, err_msg=name)


def strided(a):
    """The same values in every second place of a larger array, in Fortran order."""
    wide = np.full([2 * n for n in a.shape], np.nan, order="F")
    view = wide[tuple(slice(1, None, 2) for _ in a.shape)]
    view[...] = a
    return view


def transposed(a):
    """The same values, with the memory in the opposite order of axes."""
    return np.ascontiguousarray(a.T).T


def read_only(a):
    a.flags.writeable = False
    return a


@cases
@on_numpy
@pytest.mark.parametrize("change", [strided, transposed, read_only])
def test_layout_and_writability_do_not_matter(case, mode, change, monkeypatch):
    monkeypatch.setenv("RNN_XP_KERNELS", mode)
    results = []
    for f in (lambda a: a, change):
        arrays, upstream = prepared(case, get_backend("numpy"), f)
        results.append(step(case, *case.build(arrays), arrays, upstream))
    assert_close(*results)


@cases
def test_strided_tensors(case, torch_backend):
    def every_second(a):
        wide = torch_backend.xp.stack([a, a * float("nan")], axis=-1)
        return wide[..., 0]

    results = []
    for f in (lambda a: a, every_second):
        arrays, upstream = prepared(case, torch_backend, f)
        results.append(step(case, *case.build(arrays), arrays, upstream))
    assert_close(*results)


@cases
def test_inputs_are_not_modified(case, be):
    arrays, upstream = prepared(case, be)
    step(case, *case.build(arrays), arrays, upstream)
    assert_equal({k: to_host(v) for k, v in arrays.items()}, case.inputs)
    assert_equal({k: to_host(v) for k, v in upstream.items()}, case.upstream)


@cases
def test_buffers_carry_nothing_from_call_to_call(case, be):
    arrays, upstream = prepared(case, be)
    net, layers = case.build(arrays)
    first = step(case, net, layers, arrays, upstream)
    poison(layers[0])
    assert_equal(step(case, net, layers, arrays, upstream), first)


def poison(layer):
    """Fill every buffer of the layer's workspace with what must never be read."""
    for buffer in layer._workspace.buffers():
        if to_host(buffer).dtype.kind == "f":
            buffer[...] = float("nan")
        elif to_host(buffer).dtype.kind == "b":
            buffer[...] = True


@on_numpy
def test_buffers_of_the_loss_carry_nothing(mode, monkeypatch, rng):
    monkeypatch.setenv("RNN_XP_KERNELS", mode)
    W, b = rng.standard_normal((3, 7)), rng.standard_normal(7)
    xs, ts = rng.standard_normal((2, 5, 3)), rng.integers(0, 7, (2, 5))
    layer = TimeAffineSoftmaxWithLoss(W, b)

    def results():
        loss = layer.forward(xs, ts)
        return {"loss": loss, "dxs": layer.backward(), "dW": layer.grads[0], "db": layer.grads[1]}

    first = {k: np.array(v) for k, v in results().items()}
    poison(layer)
    assert_equal(results(), first)


@cases
def test_a_shorter_and_a_longer_batch_in_turn(case, be):
    arrays, upstream = prepared(case, be)
    net, layers = case.build(arrays)
    first = step(case, net, layers, arrays, upstream)
    turn = case.turn
    for T in (2, 7):  # the buffers are made anew for other shapes
        short = case.upstream["hs"][:, :1, :].repeat(T, axis=1)
        xs = case.inputs["xs"][:, :1, :].repeat(T, axis=1)
        net.forward(turn(be.asarray(xs)))
        net.backward(turn(be.asarray(short)))
    assert_equal(step(case, net, layers, arrays, upstream), first)


@cases
def test_two_layers_of_one_shape_do_not_share(case, be):
    arrays, upstream = prepared(case, be)
    other = {k: 0.5 * v for k, v in arrays.items()}
    alone = [step(case, *case.build(a), a, upstream) for a in (arrays, other)]
    nets = [case.build(a) for a in (arrays, other)]
    outputs = []
    for (net, layers), a in zip(nets, (arrays, other), strict=True):
        case.start(layers, a)
        outputs.append(case.outputs(case.call(net, a["xs"], train=True), layers))
    for k in (1, 0):
        net, layers = nets[k]
        grads = case.backward(net, layers, upstream)
        assert_equal(outputs[k] | {f"d{n}": v for n, v in grads.items()}, alone[k])


@cases
def test_what_the_caller_got_survives_the_next_call(case, be):
    arrays, upstream = prepared(case, be)
    net, layers = case.build(arrays)

    def call(xs):
        case.start(layers, arrays)
        hs = case.call(net, xs, train=True)
        states = layers[0].state
        dxs = net.backward(case.turn(upstream["hs"]))
        dstate = layers[0].dstate if case.kind.cell else (layers[0].dh,)
        return [hs, *case.kind.unpack(states), dxs, *case.kind.unpack(dstate)[:1]]

    got = call(arrays["xs"])
    copies = [to_host(a).copy() for a in got]
    call(-2.0 * arrays["xs"])
    poison(layers[0])
    for array, copy in zip(got, copies, strict=True):
        np.testing.assert_array_equal(to_host(array), copy)


@cases
def test_overwriting_the_output_changes_neither_gradients_nor_state(case, be):
    arrays, upstream = prepared(case, be)
    net, layers = case.build(arrays)
    first = step(case, net, layers, arrays, upstream)
    case.start(layers, arrays)
    hs = case.call(net, arrays["xs"], train=True)
    hs[...] = hs * float("nan")
    outputs = case.outputs(hs, layers)
    del outputs["hs"]
    grads = case.backward(net, layers, upstream)
    del first["hs"]
    assert_equal(outputs | {f"d{k}": v for k, v in grads.items()}, first)


@cases
def test_overwriting_the_input_gradient_changes_nothing_later(case, be):
    arrays, upstream = prepared(case, be)
    net, layers = case.build(arrays)
    first = step(case, net, layers, arrays, upstream)
    case.start(layers, arrays)
    case.call(net, arrays["xs"], train=True)
    dxs = net.backward(case.turn(upstream["hs"]))
    dxs[...] = dxs * float("nan")
    assert_equal(step(case, net, layers, arrays, upstream), first)


def test_the_poison_is_real():
    """On NumPy some layer has buffers; else the tests above poison nothing."""
    if get_backend("numpy").kernels("float64").name == "generic":
        pytest.skip("no fast NumPy kernels")
    case = CASES[0]
    arrays, upstream = prepared(case, BY_NAME["numpy"].open())
    net, layers = case.build(arrays)
    step(case, net, layers, arrays, upstream)
    assert layers[0]._workspace.buffers()
