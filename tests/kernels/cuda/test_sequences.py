"""The CuPy sequence kernels against the generic ones, which are the specification."""

from itertools import product

import numpy as np
import pytest
from comparing import must_round
from kernels.cuda.sequence_case import TOLERANCES, DeviceCase, case_of, check, poison
from kernels.test_cpu_sequence import KINDS, MASKS, same
from standin import transfers

from rnn_xp.backend import to_host
from rnn_xp.errors import StaleCacheError
from rnn_xp.kernels import Workspace

# (T, N, D, H)
SIZES = [(7, 5, 6, 9), (1, 5, 6, 9), (7, 1, 6, 9), (3, 2, 1, 9), (3, 2, 6, 1), (1, 1, 1, 1)]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_equals_generic(cuda_be, kind, precision):
    workspace = Workspace()
    for mask, sizes in product(MASKS, SIZES):
        case = case_of(kind, *sizes, precision=precision, mask=mask)
        check(cuda_be, case, precision, workspace=workspace)
    # More columns than a block has threads, and no row at all.
    check(cuda_be, case_of(kind, 2, 3, 40, 130, precision=precision, mask="left"), precision)
    check(cuda_be, case_of(kind, 3, 0, 4, 5, precision=precision), precision)


@pytest.mark.parametrize("precision", ["tf32", "float16", "bfloat16"])
def test_products_of_less_precision(cuda_be, kind, precision):
    errors = {}
    for mask in ("none", "holes", "left"):
        for sizes in SIZES[:3]:
            case = case_of(kind, *sizes, precision=precision, mask=mask)
            errors[mask, sizes] = check(cuda_be, case, precision)
    # More than float32 has: the precision is not that of the default.
    if must_round(cuda_be, precision):
        assert errors["none", SIZES[0]] > 10 * TOLERANCES["float32"][0]
    check(cuda_be, case_of(kind, 3, 0, 4, 5, precision=precision), precision)


def test_each_upstream_on_and_off(cuda_be, kind):
    for mask, precision in (("none", "float64"), ("left", "float64"), ("holes", "bfloat16")):
        case = case_of(kind, 4, 3, 5, 6, mask=mask, precision=precision)
        for dhs, *dstate in product((True, False), repeat=1 + case.parts):
            if dhs or any(dstate):
                check(cuda_be, case, precision, dhs=dhs, dstate=dstate)
        zeros = DeviceCase(cuda_be, case, precision).run(dhs=False, dstate=False)
        for a in zeros[1 + case.parts :]:
            np.testing.assert_array_equal(a, 0)


def test_arrays_of_other_layouts(cuda_be, kind):
    def strided(a):
        """The same numbers in every second column of a larger array."""
        wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), -1, a.dtype)
        wide[..., ::2] = a
        return cuda_be.asarray(wide)[..., ::2]

    def batch_major(a):
        return cuda_be.asarray(a.swapaxes(0, 1)).swapaxes(0, 1)

    def transposed(a):
        return cuda_be.asarray(a.T).T

    def apart(a):
        """The same numbers in the first columns of a larger array."""
        wide = np.full((*a.shape[:-1], a.shape[-1] + 3), -1, a.dtype)
        wide[..., : a.shape[-1]] = a
        return cuda_be.asarray(wide)[..., : a.shape[-1]]

    for precision, mask in (("float64", "none"), ("float64", "holes"), ("float16", "right")):
        case = case_of(kind, precision=precision, mask=mask)
        for sequence, other in ((batch_major, transposed), (strided, strided), (apart, apart)):
            names = ("weights", "state", "dstate", "grads")
            layouts = {"x": sequence, "dhs": sequence, "mask": transposed}
            layouts |= dict.fromkeys(names, other)
            check(cuda_be, case, precision, layouts=layouts)


@pytest.mark.parametrize("precision", ["float64", "float16"])
@pytest.mark.parametrize("mask", ["none", "right"])
def test_contents_of_the_workspace_do_not_matter(cuda_be, kind, mask, precision):
    host = case_of(kind, mask=mask, precision=precision)
    case, workspace = DeviceCase(cuda_be, host, precision), Workspace()
    first = case.run(workspace=workspace)
    assert workspace.buffers()
    for keep in (True, False):
        poison(workspace)
        case.forward(keep=keep, workspace=workspace)
    poison(workspace)
    same(case.run(workspace=workspace), first)


@pytest.mark.parametrize("keep", [True, False])
def test_results_outlive_later_calls(cuda_be, kind, keep):
    case = DeviceCase(cuda_be, case_of(kind, seed=1))
    other = DeviceCase(cuda_be, case_of(kind, seed=2, mask="holes"))
    workspace = Workspace()
    results, cache = case.forward(keep=keep, workspace=workspace)
    if keep:
        results += case.backward(cache, workspace=workspace)
    before = [to_host(a) for a in results]
    other.run(workspace=workspace)
    other.forward(keep=False, workspace=workspace)
    poison(workspace)
    same([to_host(a) for a in results], before)


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_caller_may_overwrite_outputs_before_backward(cuda_be, kind, precision):
    case = DeviceCase(cuda_be, case_of(kind, mask="right", precision=precision), precision)
    expected = case.run()
    out, cache = case.forward()
    for a in out:
        a[...] = np.nan
    DeviceCase(cuda_be, case_of(kind, seed=3)).run()  # without a workspace, calls are independent
    same([to_host(a) for a in case.backward(cache)], expected[len(out) :])


@pytest.mark.parametrize("precision", ["float64", "float16"])
def test_inputs_are_not_modified(cuda_be, kind, precision):
    host = case_of(kind, mask="holes", precision=precision)
    case = DeviceCase(cuda_be, host, precision)
    case.run(workspace=Workspace())
    for name in ("x", "dhs", "mask"):
        same([to_host(getattr(case, name))], [getattr(host, name)])
    for name in ("weights", "state", "dstate"):
        same([to_host(a) for a in getattr(case, name)], getattr(host, name))


def test_stale_cache_is_refused(cuda_be, kind):
    case = DeviceCase(cuda_be, case_of(kind))
    for later in ("forward", "forward that keeps nothing", "backward"):
        workspace = Workspace()
        _, cache = case.forward(workspace=workspace)
        if later == "backward":
            case.backward(cache, workspace=workspace)
        else:
            case.forward(keep=later == "forward", workspace=workspace)
        with pytest.raises(StaleCacheError, match=f"{case.primitive}_backward"):
            case.backward(cache, workspace=workspace)


@pytest.mark.parametrize("precision", ["float64", "float16"])
def test_keeping_nothing_changes_nothing_and_needs_little(cuda_be, kind, precision):
    sizes = []
    for T in (3, 13):
        host = case_of(kind, T, mask="holes", precision=precision)
        case, workspace = DeviceCase(cuda_be, host, precision), Workspace()
        kept, _ = case.forward()
        plain, cache = case.forward(keep=False, workspace=workspace)
        assert cache is None
        same(map(to_host, plain), map(to_host, kept))
        sizes.append(sum(a.size for a in workspace.buffers()))
    # What grows with T: the pre-activations, (T, N, 4H) at most, and the masked input.
    assert sizes[1] - sizes[0] <= 10 * 5 * (4 * 9 + 6)


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
@pytest.mark.parametrize("poisoned", [np.nan, np.inf])
def test_masked_steps_are_never_looked_at(cuda_be, kind, poisoned, precision):
    for mask in ("right", "left", "holes", "empty-row"):
        case = case_of(kind, mask=mask, precision=precision)
        expected = DeviceCase(cuda_be, case, precision).run()
        case.x[~case.mask] = poisoned
        case.dhs[~case.mask] = poisoned
        actual = DeviceCase(cuda_be, case, precision).run()
        same(actual, expected)
        for output in (actual[0], actual[1 + case.parts]):  # hs, dx
            np.testing.assert_array_equal(output[~case.mask], 0)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_host_waits_for_nothing(cuda_be, kind, precision):
    host = case_of(kind, mask="holes", precision=precision)
    case, workspace = DeviceCase(cuda_be, host, precision), Workspace()
    with transfers.refused():
        _, cache = case.forward(workspace=workspace)
        case.backward(cache, workspace=workspace)
