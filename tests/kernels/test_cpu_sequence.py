"""The NumPy sequence kernels against the generic ones, which are the specification."""

import inspect

import numpy as np
import pytest

from rnn_xp.errors import StaleCacheError
from rnn_xp.kernels import GENERIC, Workspace, select
from rnn_xp.kernels.cpu import FAST, buffers

FAST_TABLE = select("numpy", FAST, "float64", "auto")
# Relative to the largest entry. The sums are the same ones, in another order.
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}

# name of the primitive, gates, parts of the state, rows of the bias
KINDS = {
    "rnn": ("rnn", 1, 1, None),
    "lstm": ("lstm", 4, 2, None),
    "gru-after": ("gru", 3, 1, 2),
    "gru-before": ("gru", 3, 1, None),
}
MASKS = ("none", "all", "right", "left", "holes", "empty-row")


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def close(actual, expected, dtype="float64"):
    """Each array of `actual` equals the one of `expected`."""
    for a, e in zip(actual, expected, strict=True):
        assert a.shape == e.shape
        assert a.dtype == e.dtype == np.dtype(dtype)
        scale = max(np.abs(e).max(), 1e-30)
        np.testing.assert_allclose(a, e, rtol=0, atol=TOLERANCE[dtype] * scale)


def same(actual, expected):
    """The same bit for bit."""
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e)


def make_mask(name, T, N, rng):
    if name == "none":
        return None
    steps = np.arange(T)[:, None]
    lengths = rng.integers(1, T + 1, N)
    if name == "all":
        return np.ones((T, N), bool)
    if name == "right":
        return steps < lengths
    if name == "left":
        return steps >= T - lengths
    mask = rng.random((T, N)) < 0.6
    if name == "empty-row":
        mask[:, 0] = False
    return mask


class Case:
    """Inputs of one kind of layer, and both passes of a table on them."""

    def __init__(self, kind, T=7, N=5, D=6, H=9, dtype="float64", mask="none", seed=0):
        self.primitive, gates, self.parts, bias_rows = KINDS[kind]
        rng = np.random.default_rng(seed)

        def draw(*shape):
            return rng.standard_normal(shape).astype(dtype)

        self.dtype = dtype
        self.x = draw(T, N, D)
        self.weights = [draw(D, gates * H), draw(H, gates * H) / 3]
        self.weights.append(draw(gates * H) if bias_rows is None else draw(2, gates * H))
        self.state = [draw(N, H) for _ in range(self.parts)]
        self.mask = make_mask(mask, T, N, rng)
        self.dhs = draw(T, N, H)
        self.dstate = [draw(N, H) for _ in range(self.parts)]
        self.grads = [np.full_like(w, np.nan) for w in self.weights]

    def forward(self, table, *, keep=True, workspace=None):
        """``([hs, *state], cache)``."""
        function = getattr(table, f"{self.primitive}_forward")
        *out, cache = function(
            self.x, *self.weights, *self.state, self.mask, keep=keep, workspace=workspace
        )
        return out, cache

    def backward(self, table, cache, *, dhs=True, dstate=True, workspace=None):
        """``[dx, *dstate, *grads]``; `dstate` may be a bool for each part."""
        function = getattr(table, f"{self.primitive}_backward")
        given = [dstate] * self.parts if isinstance(dstate, bool) else dstate
        upstream = [d if on else None for d, on in zip(self.dstate, given, strict=True)]
        grads = [np.full_like(g, np.nan) for g in self.grads]
        out = function(self.dhs if dhs else None, *upstream, cache, grads, workspace=workspace)
        return [*out, *grads]

    def run(self, table, *, workspace=None, **upstream):
        out, cache = self.forward(table, workspace=workspace)
        return out + self.backward(table, cache, workspace=workspace, **upstream)

    def check(self, workspace=None, **upstream):
        actual = self.run(FAST_TABLE, workspace=workspace, **upstream)
        close(actual, self.run(GENERIC, **upstream), self.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("N", [1, 2, 5])
@pytest.mark.parametrize("T", [1, 3, 7])
def test_equals_generic(kind, T, N, mask, dtype):
    Case(kind, T, N, mask=mask, dtype=dtype).check(Workspace())


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_sizes_and_chunks(kind, mask, monkeypatch):
    # One step at a time, two at a time (7 steps: a rest of one), all at once.
    monkeypatch.setattr(buffers, "CHUNK_BYTES", 1)
    Case(kind, mask=mask).check()
    monkeypatch.setattr(buffers, "CHUNK_BYTES", 10 * 5 * 9 * 8)
    Case(kind, mask=mask).check()
    monkeypatch.undo()
    monkeypatch.setattr(buffers, "SMALL_WEIGHTS", 0)  # products by columns; with N = 64 apart
    Case(kind, T=2, N=64, D=3, H=5, mask=mask).check()
    Case(kind, T=3, N=4, D=1, H=1, mask=mask).check()
    Case(kind, T=3, N=20, D=50, H=130, dtype="float32", mask=mask).check()


@pytest.mark.parametrize("mask", ["none", "left"])
@pytest.mark.parametrize("dhs", [True, False])
def test_each_upstream_on_and_off(kind, dhs, mask):
    case = Case(kind, mask=mask)
    choices = [(a, b) for a in (True, False) for b in (True, False)]
    for dstate in choices if case.parts == 2 else [(True,), (False,)]:
        if dhs or any(dstate):
            case.check(dhs=dhs, dstate=dstate)


def test_no_upstream_at_all_gives_zeros(kind):
    case = Case(kind)
    for a in case.run(FAST_TABLE, dhs=False, dstate=False)[1 + case.parts :]:
        np.testing.assert_array_equal(a, 0)


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_strided_and_read_only_inputs(kind, mask):
    plain = Case(kind, mask=mask)
    expected = plain.run(GENERIC)
    case = Case(kind, mask=mask)

    def strided(a):
        """The same numbers in every second column of a larger array, read-only."""
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), -1, a.dtype)
        view = wide[..., ::2]
        view[...] = a
        view.setflags(write=False)
        return view

    def batch_major(a):
        view = np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
        view.setflags(write=False)
        return view

    for layout in (batch_major, strided):
        case.x, case.dhs = layout(plain.x), layout(plain.dhs)
        case.state = [strided(a) for a in plain.state]
        case.dstate = [strided(a) for a in plain.dstate]
        case.weights = [strided(a) for a in plain.weights]
        if mask != "none":
            case.mask = np.ascontiguousarray(plain.mask.T).T
            case.mask.setflags(write=False)
        close(case.run(FAST_TABLE), expected)


def test_inputs_are_not_modified(kind):
    case, untouched = Case(kind, mask="holes"), Case(kind, mask="holes")
    case.run(FAST_TABLE, workspace=Workspace())
    for name in ("x", "dhs", "mask", "weights", "state", "dstate"):
        same(getattr(case, name), getattr(untouched, name))


def test_grads_may_be_views(kind):
    case = Case(kind)
    expected = case.run(GENERIC)[-3:]
    _, cache = case.forward(FAST_TABLE)
    wide = [np.full((*g.shape[:-1], 2 * g.shape[-1] + 1), 7.0) for g in case.grads]
    backward = getattr(FAST_TABLE, f"{case.primitive}_backward")
    for views in (
        [w[..., 1::2] for w in wide],
        [w[..., : g.shape[-1]] for w, g in zip(wide, case.grads, strict=True)],
        [np.full(g.shape[::-1], np.nan).T for g in case.grads],
        [np.full(g.shape, np.nan)[::-1] for g in case.grads],
    ):
        backward(case.dhs, *case.dstate, cache, views)
        close(views, expected)


@pytest.mark.parametrize("mask", ["none", "right"])
def test_contents_of_the_workspace_do_not_matter(kind, mask):
    case = Case(kind, mask=mask)
    workspace = Workspace()
    first = case.run(FAST_TABLE, workspace=workspace)
    assert workspace.buffers()
    for keep in (True, False):
        for buffer in workspace.buffers():
            buffer[...] = np.nan
        case.forward(FAST_TABLE, keep=keep, workspace=workspace)
    for buffer in workspace.buffers():
        buffer[...] = np.nan
    same(case.run(FAST_TABLE, workspace=workspace), first)


@pytest.mark.parametrize("keep", [True, False])
def test_results_outlive_later_calls(kind, keep):
    case, other = Case(kind, seed=1), Case(kind, seed=2, mask="holes")
    workspace = Workspace()
    results, cache = case.forward(FAST_TABLE, keep=keep, workspace=workspace)
    if keep:
        results += case.backward(FAST_TABLE, cache)
    before = [a.copy() for a in results]
    other.run(FAST_TABLE, workspace=workspace)
    other.forward(FAST_TABLE, keep=False, workspace=workspace)
    same(results, before)
    for a in results:
        assert not any(np.shares_memory(a, buffer) for buffer in workspace.buffers())


@pytest.mark.parametrize("mask", ["none", "right"])
def test_caller_may_overwrite_outputs_before_backward(kind, mask):
    case = Case(kind, mask=mask)
    expected = case.run(GENERIC)
    out, cache = case.forward(FAST_TABLE)
    for a in out:
        a[...] = np.nan
    Case(kind, seed=3).run(FAST_TABLE)  # without a workspace, calls are independent
    close(case.backward(FAST_TABLE, cache), expected[1 + case.parts :])


def test_shapes_may_change_from_call_to_call(kind):
    workspace = Workspace()
    for T, N, mask, dtype in [
        (7, 5, "none", "float64"),
        (3, 2, "holes", "float64"),
        (7, 1, "none", "float32"),
        (1, 5, "left", "float64"),
        (7, 5, "right", "float64"),
    ]:
        Case(kind, T, N, mask=mask, dtype=dtype).check(workspace)


def test_stale_cache_is_refused(kind):
    case = Case(kind)
    for keep in (True, False):
        workspace = Workspace()
        _, cache = case.forward(FAST_TABLE, workspace=workspace)
        case.forward(FAST_TABLE, keep=keep, workspace=workspace)
        with pytest.raises(StaleCacheError, match=f"{case.primitive}_backward"):
            case.backward(FAST_TABLE, cache, workspace=workspace)


@pytest.mark.parametrize("mask", MASKS)
def test_keeping_nothing_changes_nothing(kind, mask):
    case = Case(kind, mask=mask)
    kept, _ = case.forward(FAST_TABLE)
    plain, cache = case.forward(FAST_TABLE, keep=False)
    assert cache is None
    same(plain, kept)


def test_keeping_nothing_needs_little_memory(kind):
    # One buffer grows with T: the pre-activations, (T, N, 4H) at most.
    sizes = []
    for T in (3, 13):
        workspace = Workspace()
        Case(kind, T).forward(FAST_TABLE, keep=False, workspace=workspace)
        sizes.append(sum(a.size for a in workspace.buffers()))
    assert sizes[1] - sizes[0] <= 10 * 5 * 4 * 9


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("mask", ["right", "left", "holes", "empty-row"])
def test_masked_steps_are_never_looked_at(kind, mask, poison):
    case = Case(kind, mask=mask)
    expected = case.run(FAST_TABLE)
    case.x[~case.mask] = poison
    case.dhs[~case.mask] = poison
    actual = case.run(FAST_TABLE)
    same(actual, expected)
    for output in (actual[0], actual[1 + case.parts]):  # hs, dx
        np.testing.assert_array_equal(output[~case.mask], 0)


def test_signatures_equal_the_generic_ones_to_the_annotations():
    for fast in FAST:
        for name, function in fast.functions.items():
            expected = inspect.signature(getattr(GENERIC, name))
            assert inspect.signature(function) == expected, name
