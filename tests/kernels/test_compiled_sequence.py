"""The compiled sequence kernels against the generic ones, in float32."""

import inspect

import numpy as np
import pytest

pytest.importorskip("numba")

from kernels.test_cpu_sequence import KINDS, MASKS, Case, same

from rnn_xp.errors import StaleCacheError
from rnn_xp.kernels import GENERIC, Workspace, select
from rnn_xp.kernels.compiled import FAST
from rnn_xp.kernels.cpu import buffers

TABLE = select("numpy", FAST, "float32", "auto")
FORWARD, GRADIENT = 1e-6, 5e-6


@pytest.fixture(params=[kind for kind in KINDS if kind != "rnn"])
def kind(request):
    return request.param


def case_of(kind, *sizes, **options):
    """A case whose recurrence does not amplify rounding, so the tolerances can be tight."""
    case = Case(kind, *sizes, dtype="float32", **options)
    D, H = case.weights[0].shape[0], case.weights[1].shape[0]
    case.weights[0] /= np.float32(np.sqrt(D))
    case.weights[1] *= np.float32(3 / np.sqrt(H)) / 2
    return case


def close(case, actual, expected):
    outputs = 1 + case.parts
    for k, (a, e) in enumerate(zip(actual, expected, strict=True)):
        assert a.shape == e.shape
        assert a.dtype == np.float32
        scale = max(np.abs(e).max(), 1e-30)
        tolerance = FORWARD if k < outputs else GRADIENT
        np.testing.assert_allclose(a, e, rtol=0, atol=tolerance * scale)


def exactly(case, **upstream):
    """What the specification says, in float64."""
    wide = Case.__new__(Case)
    wide.__dict__.update(case.__dict__)
    wide.dtype = "float64"
    for name in ("x", "dhs"):
        setattr(wide, name, getattr(case, name).astype("float64"))
    for name in ("weights", "state", "dstate", "grads"):
        setattr(wide, name, [a.astype("float64") for a in getattr(case, name)])
    return wide.run(GENERIC, **upstream)


def check(case, workspace=None, **upstream):
    close(case, case.run(TABLE, workspace=workspace, **upstream), exactly(case, **upstream))


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("N", [1, 2, 5])
@pytest.mark.parametrize("T", [1, 3, 7])
def test_equals_generic(kind, T, N, mask):
    check(case_of(kind, T, N, mask=mask), Workspace())


@pytest.mark.parametrize("small_weights", [0, buffers.SMALL_WEIGHTS])
@pytest.mark.parametrize("mask", ["none", "holes"])
@pytest.mark.parametrize(
    "sizes", [(2, 64, 3, 5), (3, 4, 1, 1), (3, 20, 50, 130), (2, 3, 4, 16), (2, 128, 4, 65)]
)
def test_sizes(kind, sizes, mask, small_weights, monkeypatch):
    """In both orders of memory that `buffers.Run.product_buffer` chooses from."""
    monkeypatch.setattr(buffers, "SMALL_WEIGHTS", small_weights)
    check(case_of(kind, *sizes, mask=mask))


@pytest.mark.parametrize("mask", ["none", "left", "holes"])
@pytest.mark.parametrize("dhs", [True, False])
def test_each_upstream_on_and_off(kind, dhs, mask):
    case = case_of(kind, mask=mask)
    choices = [(a, b) for a in (True, False) for b in (True, False)]
    for dstate in choices if case.parts == 2 else [(True,), (False,)]:
        if dhs or any(dstate):
            check(case, dhs=dhs, dstate=dstate)


def test_no_upstream_at_all_gives_zeros(kind):
    case = case_of(kind)
    for a in case.run(TABLE, dhs=False, dstate=False)[1 + case.parts :]:
        np.testing.assert_array_equal(a, 0)


@pytest.mark.parametrize("mask", ["none", "holes"])
def test_strided_and_read_only_inputs(kind, mask):
    plain = case_of(kind, mask=mask)
    expected = exactly(plain)
    case = case_of(kind, mask=mask)

    def strided(a):
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), -1, a.dtype)
        view = wide[..., ::2]
        view[...] = a
        view.setflags(write=False)
        return view

    def read_only(a):
        a = a.copy()
        a.setflags(write=False)
        return a

    def batch_major(a):
        return np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)

    def unaligned(a):
        raw = np.empty(a.nbytes + 1, np.uint8)[1:]
        view = raw.view(a.dtype).reshape(a.shape)
        view[...] = a
        return view

    for layout in (read_only, strided, batch_major, unaligned):
        case.x, case.dhs = layout(plain.x), layout(plain.dhs)
        other = read_only if layout is batch_major else layout
        for name in ("state", "dstate", "weights"):
            setattr(case, name, [other(a) for a in getattr(plain, name)])
        if mask != "none":
            case.mask = read_only(np.ascontiguousarray(plain.mask.T).T)
        close(case, case.run(TABLE), expected)


def test_inputs_are_not_modified(kind):
    case, untouched = case_of(kind, mask="holes"), case_of(kind, mask="holes")
    case.run(TABLE, workspace=Workspace())
    for name in ("x", "dhs", "mask", "weights", "state", "dstate"):
        same(getattr(case, name), getattr(untouched, name))


@pytest.mark.parametrize("mask", ["none", "right", "holes"])
def test_contents_of_the_workspace_do_not_matter(kind, mask):
    case = case_of(kind, mask=mask)
    workspace = Workspace()
    first = case.run(TABLE, workspace=workspace)
    assert workspace.buffers()
    for poison in (np.nan, np.inf):
        for keep in (True, False):
            for buffer in workspace.buffers():
                buffer[...] = poison
            case.forward(TABLE, keep=keep, workspace=workspace)
        for buffer in workspace.buffers():
            buffer[...] = poison
        same(case.run(TABLE, workspace=workspace), first)


@pytest.mark.parametrize("keep", [True, False])
def test_results_outlive_later_calls(kind, keep):
    case, other = case_of(kind, seed=1), case_of(kind, seed=2, mask="holes")
    workspace = Workspace()
    results, cache = case.forward(TABLE, keep=keep, workspace=workspace)
    if keep:
        results += case.backward(TABLE, cache)
    before = [a.copy() for a in results]
    other.run(TABLE, workspace=workspace)
    other.forward(TABLE, keep=False, workspace=workspace)
    same(results, before)
    for a in results:
        assert not any(np.shares_memory(a, buffer) for buffer in workspace.buffers())


def test_caller_may_overwrite_outputs_before_backward(kind):
    case = case_of(kind, mask="right")
    expected = exactly(case)
    out, cache = case.forward(TABLE)
    kept = [a.copy() for a in out]
    for a in out:
        a[...] = np.nan
    close(case, kept + case.backward(TABLE, cache), expected)


def test_a_stale_cache_and_a_used_one_are_refused(kind):
    case = case_of(kind)
    workspace = Workspace()
    _, cache = case.forward(TABLE, workspace=workspace)
    case.forward(TABLE, keep=False, workspace=workspace)
    with pytest.raises(StaleCacheError, match=f"{case.primitive}_backward"):
        case.backward(TABLE, cache)
    _, cache = case.forward(TABLE)
    case.backward(TABLE, cache)
    with pytest.raises(StaleCacheError, match=f"{case.primitive}_backward"):
        case.backward(TABLE, cache)


@pytest.mark.parametrize("mask", MASKS)
def test_keeping_nothing_changes_nothing(kind, mask):
    case = case_of(kind, mask=mask)
    kept, _ = case.forward(TABLE)
    plain, cache = case.forward(TABLE, keep=False)
    assert cache is None
    same(plain, kept)


def test_what_is_kept_is_little(kind):
    """Per step and row: the gates and states, no copy of them for the backward pass."""
    sizes = []
    for T in (3, 13):
        workspace = Workspace()
        case = case_of(kind, T)
        case.run(TABLE, workspace=workspace)
        sizes.append(sum(a.size for a in workspace.buffers()))
    assert sizes[1] - sizes[0] <= 10 * 5 * 9 * 6  # T, N, H; six arrays


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("mask", ["right", "left", "holes", "empty-row"])
def test_masked_steps_are_never_looked_at(kind, mask, poison):
    case = case_of(kind, mask=mask)
    expected = case.run(TABLE)
    case.x[~case.mask] = poison
    case.dhs[~case.mask] = poison
    actual = case.run(TABLE)
    same(actual, expected)
    for output in (actual[0], actual[1 + case.parts]):  # hs, dx
        np.testing.assert_array_equal(output[~case.mask], 0)


def test_nan_of_one_row_comes_out_in_that_row(kind):
    case = case_of(kind, 4, 3, H=70)
    case.x[2, 1, 0] = np.nan
    hs = case.forward(TABLE)[0][0]
    assert np.isnan(hs[2:, 1]).all()
    assert np.isfinite(hs[:2]).all()
    assert np.isfinite(hs[:, [0, 2]]).all()


@pytest.mark.parametrize("size", [1e3, 1e30, np.inf])
def test_extreme_inputs_saturate(kind, size):
    case = case_of(kind, 3, 4, 2, 33)
    case.weights[0][...] = np.sign(case.weights[0])
    case.x[...] = size
    case.x[..., 1] = size / 2 if np.isfinite(size) else 0.0
    if size == np.inf:
        case.weights[0][1] = 0.0
        case.x[..., 1] = 1.0
    with np.errstate(all="ignore"):
        ours, theirs = case.forward(TABLE)[0], case.forward(GENERIC)[0]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_two_runs_give_the_same_bits(kind):
    case = case_of(kind, 3, 20, 50, 130)
    same(case.run(TABLE), case.run(TABLE))


def test_signatures_equal_the_generic_ones_to_the_annotations():
    for fast in FAST:
        for name, function in fast.functions.items():
            expected = inspect.signature(getattr(GENERIC, name))
            assert inspect.signature(function) == expected, name
