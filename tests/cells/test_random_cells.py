"""`ZoneoutCell` and `DropoutCell`: what they do, their masks and counters, the door."""

import numpy as np
import pytest
from random_kinds import RATIOS, WRAPPERS, D, H, N, make, numbers, packed, reset

from rnn_xp.backend import get_backend, to_host
from rnn_xp.cells import (
    DropoutCell,
    LSTMCell,
    ResidualCell,
    RNNCell,
    StackedCell,
    ZoneoutCell,
    random_cells,
)
from rnn_xp.layers import TimeCell

wrappers = pytest.mark.parametrize("name", WRAPPERS)


@wrappers
def test_masks_are_the_same_on_every_backend(name, be):
    params, xs, states, _, _ = numbers(name)
    results = []
    for backend in (get_backend("numpy"), be):
        layer = make(name, [backend.asarray(p) for p in params])
        reset(layer, backend, states, 7)
        results.append(to_host(layer.forward(backend.asarray(xs[0]))))
    np.testing.assert_allclose(*results, atol=1e-13, rtol=0)
    for value in results:  # what was dropped is exactly zero on both
        np.testing.assert_array_equal(value == 0.0, results[0] == 0.0)


@wrappers
def test_evaluation_is_not_random_and_does_not_count(name, be):
    params, xs, states, _, _ = numbers(name)
    layer = make(name, [be.asarray(p) for p in params])
    outputs = []
    for call in (0, 5):
        reset(layer, be, states, call)
        outputs.append(to_host(layer.forward(be.asarray(xs[0]), train=False)))
        assert all(cell.counter == call for cell in random_cells(layer.cell))
    np.testing.assert_array_equal(*outputs)


def test_dropout_is_the_cell_itself_in_evaluation(be):
    params, xs, states, _, _ = numbers("dropout lstm")
    results = []
    for layer in (make("dropout lstm", params), TimeCell(LSTMCell(*params))):
        layer.set_state(packed(states))
        results.append(layer.forward(xs[0], train=False))
    np.testing.assert_array_equal(*results)


def test_zoneout_in_evaluation_is_the_expectation(be):
    """The mean over many masks of one step, and exactly p * old + (1 - p) * new."""
    params, xs, states, _, _ = numbers("zoneout lstm")
    arrays = [be.asarray(p) for p in params]
    x, state = be.asarray(xs[0][:, 0]), tuple(be.asarray(s) for s in states)
    cell = ZoneoutCell(LSTMCell(*arrays), RATIOS)
    output, zoned, _ = cell.forward(x, state)
    _, new, _ = LSTMCell(*arrays).forward(x, state)
    assert output is zoned[0]
    for p, old, fresh, got in zip(RATIOS, states, new, zoned, strict=True):
        np.testing.assert_allclose(to_host(got), p * old + (1 - p) * to_host(fresh), rtol=1e-14)
    if be.name == "numpy":
        draws = [cell.for_call(N, 1, True).forward(x, state)[1] for _ in range(4000)]
        for k in range(2):
            mean = np.mean([d[k] for d in draws], axis=0)
            np.testing.assert_allclose(mean, zoned[k], atol=0.06)


def test_zoneout_keeps_or_takes_every_element(be):
    params, xs, states, _, _ = numbers("zoneout lstm")
    arrays = [be.asarray(p) for p in params]
    x, state = be.asarray(xs[0][:, 0]), tuple(be.asarray(s) for s in states)
    _, new, _ = LSTMCell(*arrays).forward(x, state)
    call = ZoneoutCell(LSTMCell(*arrays), (0.5, 0.0), seed=3).for_call(N, 1, True)
    output, (h, c), _ = call.forward(x, state)
    assert output is h
    kept = to_host(h) == states[0]
    np.testing.assert_array_equal(to_host(h)[~kept], to_host(new[0])[~kept])
    assert kept.any()
    assert not kept.all()
    assert not to_host(c != new[1]).any()  # ratio 0: the cell's own


def test_an_output_that_is_not_the_state_is_left_alone():
    from proof.usercell import LeakyCell

    rng = np.random.default_rng(0)
    params = [rng.standard_normal(s) for s in ((D, H), (H, H), (H, 2))]
    x, state = rng.standard_normal((N, D)), tuple(rng.standard_normal((2, N, H)))
    state = (state[0], (state[1],))
    expected, _, _ = LeakyCell(*params).forward(x, state)
    output, _, _ = ZoneoutCell(LeakyCell(*params), 0.5).for_call(N, 1, True).forward(x, state)
    np.testing.assert_array_equal(output, expected)


@pytest.mark.parametrize("variational", [False, True])
def test_dropout_masks_per_step_or_for_all(variational):
    ones = np.ones((1, 1))
    cell = DropoutCell(
        RNNCell(ones, 0 * ones, np.zeros(1), activation=None), 0.5, variational=variational
    )
    layer = TimeCell(cell)
    xs = np.ones((200, 6, 1))
    hs = layer.forward(xs)[:, :, 0]
    assert set(np.unique(hs)) == {0.0, 2.0}
    same = (hs == hs[:, :1]).all()
    assert same == variational
    assert 0.4 < (hs[:, 0] == 0.0).mean() < 0.6  # rows differ
    again = layer.forward(xs)[:, :, 0]
    assert (again != hs).any()  # another call, another mask
    cell.counter = 0
    np.testing.assert_array_equal(layer.forward(xs)[:, :, 0], hs)


def test_a_resumed_run_draws_what_the_uninterrupted_one_would_have(be):
    name = "zoneout of dropout"
    params, xs, states, _, _ = numbers(name)
    arrays = [be.asarray(p) for p in params]
    whole = make(name, arrays)
    reset(whole, be, states, 0)
    outputs = [to_host(whole.forward(be.asarray(xs[k % 2]))) for k in range(3)]
    resumed = make(name, arrays)
    reset(resumed, be, states, 0)
    for k in range(2):
        resumed.forward(be.asarray(xs[k]))
    counters, state = [c.counter for c in random_cells(resumed.cell)], resumed.state
    assert counters == [2, 2]
    third = make(name, arrays)
    third.set_state(state)
    for cell, counter in zip(random_cells(third.cell), counters, strict=True):
        cell.counter = counter
    np.testing.assert_array_equal(to_host(third.forward(be.asarray(xs[0]))), outputs[2])


def test_a_refused_call_does_not_count():
    params, xs, states, _, _ = numbers("dropout lstm")
    layer = make("dropout lstm", params)
    layer.set_state(packed(states))
    with pytest.raises(ValueError, match="batch size"):
        layer.forward(xs[0][:2])
    assert layer.cell.counter == 0


def test_a_call_has_as_many_steps_as_were_announced():
    params, xs, states, _, _ = numbers("dropout rnn")
    for cell in (DropoutCell(RNNCell(*params), 0.5), ZoneoutCell(RNNCell(*params), 0.5)):
        call = cell.for_call(N, 1, True)
        assert call.params is cell.params
        assert call.grads is cell.grads
        call.forward(xs[0][:, 0], states[0])
        message = rf"^{type(cell).__name__}: step 2 of a call of T = 1 steps"
        with pytest.raises(ValueError, match=message):
            call.forward(xs[0][:, 0], states[0])


def test_the_copy_on_another_backend_goes_on_counting(strict):
    params, xs, states, _, _ = numbers("zoneout of dropout")
    layer = make("zoneout of dropout", params)
    layer.set_state(packed(states))
    layer.forward(xs[0])
    moved = layer.to(strict)
    assert [c.counter for c in random_cells(moved.cell)] == [1, 1]
    assert all(p is q for p, q in zip(layer.params, params, strict=True))  # left as it was
    assert layer.cell.params[0] is params[0]
    kept = layer.state
    moved.set_state(tuple(strict.asarray(s) for s in kept))
    np.testing.assert_allclose(
        to_host(moved.forward(strict.asarray(xs[1]))), layer.forward(xs[1]), atol=1e-13
    )


# ---- the door


@pytest.mark.parametrize("wrong", [-0.1, 1.0, 0.999999, float("nan")])
@pytest.mark.parametrize("place", ["input", "state", "output"])
def test_ratios_outside_of_zero_to_one(wrong, place):
    cell = RNNCell(np.ones((D, H)), np.ones((H, H)), np.ones(H))
    with pytest.raises(ValueError, match=rf"^DropoutCell: {place} = .*, expected 0 <= ratio < 1"):
        DropoutCell(cell, **{place: wrong})
    with pytest.raises(ValueError, match=r"^ZoneoutCell: ratio = .*, expected 0 <= ratio < 1"):
        ZoneoutCell(cell, wrong)


def test_ratios_and_seeds_of_the_wrong_kind():
    cell = LSTMCell(np.ones((D, 4 * H)), np.ones((H, 4 * H)), np.ones(4 * H))
    with pytest.raises(TypeError, match=r"^ZoneoutCell: ratio is a str, expected a number"):
        ZoneoutCell(cell, ("a", 0.5))
    with pytest.raises(TypeError, match=r"^DropoutCell: input is a bool, expected a number"):
        DropoutCell(cell, True)
    with pytest.raises(ValueError, match=r"^ZoneoutCell: 3 ratios, expected .* the 2 parts"):
        ZoneoutCell(cell, (0.1, 0.2, 0.3))
    for wrapper in (lambda **o: ZoneoutCell(cell, 0.1, **o), lambda **o: DropoutCell(cell, **o)):
        with pytest.raises(ValueError, match="seed = -1, stream = 0, expected 0 to"):
            wrapper(seed=-1)


def test_state_dropout_belongs_next_to_the_weights():
    params, *_ = numbers("dropout rnn")
    square = [np.ones((H, H)), np.ones((H, H)), np.ones(H)]
    for outer in (ResidualCell(RNNCell(*square)), StackedCell([RNNCell(*params)])):
        with pytest.raises(ValueError, match=f"not on a {type(outer).__name__}; put the"):
            DropoutCell(outer, state=0.5)
        DropoutCell(outer, input=0.5, output=0.5)
