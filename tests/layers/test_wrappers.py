"""What every net and wrapper owes: one state contract, moving, copying, flat parameters."""

import copy
import pickle

import numpy as np
import pytest
from backends import available, no_host_transfer
from layer_kinds import draw
from wrapper_kinds import NETS, H, N, T

from rnn_xp.backend import backend_of, get_backend, to_host
from rnn_xp.errors import DTypeError, RnnXpError, ShapeError, StaleCacheError
from rnn_xp.layers.composite import random_parts
from rnn_xp.layers.state import arrays_in, map_arrays
from rnn_xp.models.flat import FlatParameters

MASK = np.array([[1, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0]], bool)


@pytest.fixture(params=NETS)
def name(request):
    return request.param


@pytest.fixture(params=[v for v in available()], ids=lambda v: v.name)
def target(request):
    return request.param.open()


def equal(given, expected):
    np.testing.assert_array_equal(to_host(given), to_host(expected))


def close(given, expected):
    for a, b in zip(given, expected, strict=True):
        np.testing.assert_allclose(to_host(a), to_host(b), rtol=0, atol=1e-13)


def ends(net, be):
    """Gradients into the final state, in its structure."""
    return map_arrays(lambda a: draw(be, *a.shape, seed=6), net.state)


def step(net, be, **options):
    """All results of one forward and backward pass, on the host."""
    hs = net.forward(draw(be, N, T, H), **options)
    states = arrays_in(net.state)
    dxs = net.backward(draw(be, N, T, H, seed=4), dstate=ends(net, be))
    results = [hs, *states, dxs, *arrays_in(net.dstate), *net.grads]
    return [to_host(a).copy() for a in results]


def reset_counters(net):
    """Draw the same masks again."""
    for part in random_parts(net):
        part.counter = 0


def test_a_state_goes_out_and_in(name, be):
    """A sequence in two calls, by a stateful net and through `set_state`."""
    if name in ("reversed", "bidirectional"):
        pytest.skip("it runs backwards in time, so halves are not the whole")
    xs = draw(be, N, T, H)
    whole = NETS[name](be).forward(xs, train=False)
    for stateful in (True, False):
        net = NETS[name](be, stateful=stateful)
        assert net.stateful == stateful
        assert not arrays_in(net.state)
        first = net.forward(xs[:, :2, :], train=False)
        if not stateful:
            net.set_state(net.state)
        second = net.forward(xs[:, 2:, :], train=False)
        close([be.xp.concat([first, second], axis=1)], [whole])


def test_states_are_structured_alike(name, be):
    net = NETS[name](be)
    step(net, be)
    zeros = net.zero_state(N)
    shapes = map_arrays(lambda a: str(a.shape), zeros)
    assert map_arrays(lambda a: str(a.shape), net.state) == shapes
    assert map_arrays(lambda a: str(a.shape), net.dstate) == shapes


def test_a_set_state_is_a_copy_used_once(name, be):
    net, xs = NETS[name](be), draw(be, N, T, H)
    start = map_arrays(lambda a: draw(be, *a.shape, seed=8), net.zero_state(N))
    zeros = net.forward(xs, train=False)
    net.set_state(start)
    expected = to_host(net.forward(xs, train=False)).copy()
    assert np.abs(expected - to_host(zeros)).max() > 1e-3
    equal(net.forward(xs, train=False), zeros)
    net.set_state(start)
    for part in arrays_in(start):
        part[...] = part * 0.0
    equal(net.forward(xs, train=False), expected)
    net.set_state(start)
    net.reset_state()
    equal(net.forward(xs, train=False), zeros)


def test_a_state_is_assigned(name, be):
    net, xs = NETS[name](be, stateful=True), draw(be, N, T, H)
    net.forward(xs, train=False)
    kept = net.state
    expected = to_host(net.forward(xs, train=False)).copy()
    net.state = kept
    equal(net.forward(xs, train=False), expected)
    net.state = None
    assert not arrays_in(net.state)


def test_another_batch_size_while_stateful(name, be):
    net = NETS[name](be, stateful=True)
    net.forward(draw(be, N, T, H))
    with pytest.raises(ShapeError, match=r"the batch size is 2, but the state is for 3 rows"):
        net.forward(draw(be, 2, T, H))
    net.reset_state()
    net.forward(draw(be, 2, T, H))


def test_a_refused_backward_uses_nothing_up(name, be):
    net = NETS[name](be)
    expected = step(net, be)
    reset_counters(net)
    net.forward(draw(be, N, T, H))
    dhs, dstate = draw(be, N, T, H, seed=4), ends(net, be)
    wrong = map_arrays(lambda a: a[:2, :], dstate)
    for error, *arguments in (
        (ShapeError, dhs[:, :, :2], dstate),
        (ShapeError, dhs[:2, :, :], dstate),
        (DTypeError, be.xp.astype(dhs, be.xp.float32), dstate),
        (ShapeError, dhs, wrong),
        (TypeError, dhs, (dhs,) * 7),
    ):
        with pytest.raises(error):
            net.backward(arguments[0], dstate=arguments[1])
    if isinstance(dstate, list):  # only what belongs to the lowest layer is wrong
        with pytest.raises(ShapeError):
            net.backward(dhs, dstate=[wrong[0], *dstate[1:]])
    dxs = net.backward(dhs, dstate=dstate)
    close(
        [dxs, *net.grads],
        [expected[-len(net.grads) - 1 - len(arrays_in(dstate))], *expected[-len(net.grads) :]],
    )
    with pytest.raises(StaleCacheError, match="already used"):
        net.backward(dhs)


def test_backward_without_a_forward(name, be):
    net = NETS[name](be)
    with pytest.raises(StaleCacheError):
        net.backward(draw(be, N, T, H))
    net.forward(draw(be, N, T, H), train=False)
    with pytest.raises(StaleCacheError):
        net.backward(draw(be, N, T, H))


def test_no_gradient_is_zeros(name, be):
    net = NETS[name](be)
    net.forward(draw(be, N, T, H))
    given = net.backward(None, dstate=ends(net, be))
    reset_counters(net)
    net.forward(draw(be, N, T, H))
    equal(given, net.backward(be.zeros((N, T, H), "float64"), dstate=ends(net, be)))


def test_masked_steps(name, be):
    """The output there is zero, and what stands there changes nothing."""
    results = []
    for junk in (0.0, np.nan):
        xs, dhs = to_host(draw(be, N, T, H)).copy(), to_host(draw(be, N, T, H, seed=4)).copy()
        xs[~MASK], dhs[~MASK] = junk, junk
        net = NETS[name](be)
        hs = net.forward(be.asarray(xs), mask=MASK)
        assert not to_host(hs)[~MASK].any()
        results.append([hs, *arrays_in(net.state), net.backward(be.asarray(dhs)), *net.grads])
        assert not to_host(results[-1][1 + len(arrays_in(net.state))])[~MASK].any()
    for a, b in zip(*results, strict=True):
        equal(a, b)


def test_lengths_and_time_major(name, be):
    lengths = [T, 0, 2]
    xs, dhs = draw(be, N, T, H), draw(be, N, T, H, seed=4)
    net, other = NETS[name](be), NETS[name](be, time_major=True)
    assert other.time_major
    hs, dxs = net.forward(xs, lengths=lengths), net.backward(dhs)
    turned = [be.xp.permute_dims(a, (1, 0, 2)) for a in (xs, dhs)]
    results = other.forward(turned[0], lengths=lengths), other.backward(turned[1])
    close([be.xp.permute_dims(a, (1, 0, 2)) for a in results], [hs, dxs])
    close(other.grads, net.grads)


def test_the_door(name, be):
    net = NETS[name](be)
    for xs in (draw(be, N, H), be.zeros((N, T, H), "int64"), draw(be, N, T, H + 1)):
        with pytest.raises(RnnXpError):
            net.forward(xs)
    with pytest.raises(ShapeError, match="lengths has shape"):
        net.forward(draw(be, N, T, H), lengths=[1])
    with pytest.raises(ShapeError, match="mask has shape"):
        net.forward(draw(be, N, T, H), mask=MASK[:2])
    with pytest.raises(TypeError, match="state is"):
        net.set_state((draw(be, N, H),) * 7)


def test_to(name, be, target):
    net = NETS[name](be, stateful=True)
    expected = step(net, be)
    moved = net.to(target)
    assert type(moved) is type(net)
    assert moved.stateful
    assert not arrays_in(moved.state)
    with pytest.raises(StaleCacheError):
        moved.backward(draw(target, N, T, H))
    reset_counters(moved)
    close(step(moved, target), expected)
    assert {backend_of(a) for a in (*moved.params, *moved.grads)} == {target}
    for a, b in zip(moved.params, net.params, strict=True):
        assert a is not b
    for leaf in moved.leaves():
        assert all(backend_of(p) == target for p in leaf.params)


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy])
def test_a_copy_between_forward_and_backward(name, be, copier):
    """The copy has no data of the pass, and says so; the original still has it."""
    net = NETS[name](be)
    expected = step(net, be)
    reset_counters(net)
    net.forward(draw(be, N, T, H))
    other = copier(net)
    dhs = draw(be, N, T, H, seed=4)
    with pytest.raises(StaleCacheError):
        other.backward(dhs)
    other.forward(draw(be, N, T, H, seed=9))
    net.backward(dhs, dstate=ends(net, be))
    close(net.grads, expected[-len(net.grads) :])


def test_a_pickled_net(name):
    be = get_backend("numpy")
    net = NETS[name](be, stateful=True)
    net.forward(draw(be, N, T, H))
    close(step(pickle.loads(pickle.dumps(net)), be), step(net, be))


def test_flat_parameters(name, be):
    """A model's buffers hold all parameters and gradients; the net computes with them."""
    plain, net = NETS[name](be), NETS[name](be)
    expected = step(plain, be)
    named = {
        f"{k}.{index}": [(leaf, index)]
        for k, leaf in enumerate(net.leaves())
        for index in range(len(leaf.params))
    }
    flat = FlatParameters(named, 8)
    close(step(net, be), expected)
    assert len(flat.views) == len(net.params) == len(net.grads)
    close(net.params, list(flat.views.values()))
    close(net.grads, list(flat.grad_views.values()))
    close([be.xp.sum(flat.grads)], [sum(float(to_host(g).sum()) for g in plain.grads)])
    # An update of the buffer is an update of the net.
    flat.params[...] = flat.params * 0.5
    for p in plain.params:
        p[...] = p * 0.5
    for each in (net, plain):
        reset_counters(each)
    close(step(net, be), step(plain, be))


def test_no_host_transfer(name, strict):
    net, xs = NETS[name](strict), draw(strict, N, T, H)
    with no_host_transfer():
        net.forward(xs, mask=MASK)
        net.backward(xs)
