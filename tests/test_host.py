"""Token ids, targets, lengths and masks: what enters from the host is checked once, there."""

import numpy as np
import pytest
from backends import available

from rnn_xp.backend import to_host
from rnn_xp.errors import DataError, DTypeError, MixedBackendError, ShapeError
from rnn_xp.host import (
    check_range,
    device_integers,
    host_integers,
    is_host,
    targets,
    time_mask,
    token_ids,
    upload,
)

T, N = 4, 3


def device(be, values, dtype="int64"):
    return be.xp.asarray(np.array(values, dtype), device=be.device)


@pytest.fixture
def like(be):
    return be.zeros((1,), "float32")


@pytest.fixture
def elsewhere(be):
    """A backend that is not `be`."""
    return next(v.open() for v in available()[::-1] if v.open().name != be.name)


def test_is_host(strict):
    assert all(is_host(a) for a in (np.zeros(1), np.int64(2), [1], (1,), 3))
    assert not any(is_host(a) for a in (strict.zeros((1,), "float32"), None, "text"))


@pytest.mark.parametrize("values", [[1, 2], (1, 2), np.array([1, 2], np.int8), np.uint8([1, 2])])
def test_host_integers(values):
    array = host_integers(values, "Layer", "ids")
    assert array.dtype.kind in "iu"
    assert array.tolist() == [1, 2]


def test_no_ids_are_legal():
    assert host_integers([], "Layer", "ids").dtype == np.int64
    with pytest.raises(DTypeError):
        host_integers(np.zeros(0), "Layer", "ids")


@pytest.mark.parametrize("values", [[1.0], np.zeros(2, np.float32), [True], ["a"], [None]])
def test_what_is_no_integer(values):
    with pytest.raises(DTypeError, match=r"Layer: ids has dtype .*, expected integers"):
        host_integers(values, "Layer", "ids")


def test_ragged_lists():
    with pytest.raises(ShapeError, match="Layer: ids is a ragged list"):
        host_integers([[1, 2], [3]], "Layer", "ids")


@pytest.mark.parametrize("ids", [[-1, 0], [0, 7]])
def test_range(ids):
    message = r"Layer: ids holds ids from -?\d to \d, expected 0 to 6 for a vocabulary of 7"
    with pytest.raises(DataError, match=message):
        check_range(np.array(ids), 7, "Layer", "ids")
    check_range(np.array([0, 6]), 7, "Layer", "ids")
    check_range(np.zeros(0, int), 7, "Layer", "ids")


# ---- token ids


def test_token_ids_from_the_host(be, like):
    ids = token_ids(np.array([[3, 1], [3, 0]], np.int16), 4, like, "Layer")
    assert ids.host.tolist() == to_host(ids.device).tolist() == [3, 1, 3, 0]
    assert ids.host.dtype == np.int64
    assert ids.device.device == like.device
    order, starts, unique = ids.sorted_runs()
    assert order.tolist() == [3, 1, 0, 2]
    assert starts.tolist() == [0, 1, 2]
    assert unique.tolist() == [0, 1, 3]
    assert ids.sorted_runs() is ids.sorted_runs()


def test_no_token_ids(be, like):
    ids = token_ids(np.zeros((0, 3), int), 4, like, "Layer")
    assert ids.device.shape == (0,)
    assert [len(part) for part in ids.sorted_runs()] == [0, 0, 0]


def test_token_ids_from_the_device_are_trusted(strict):
    like = strict.zeros((1,), "float32")
    ids = token_ids(device(strict, [[5, 1]]), 4, like, "Layer")
    assert ids.host is None
    assert to_host(ids.device).tolist() == [5, 1]


def test_device_integers(strict, be, like, elsewhere):
    with pytest.raises(DTypeError, match=r"Layer: ids has dtype .*float32, expected integers"):
        device_integers(like, like, "Layer", "ids")
    with pytest.raises(DTypeError, match="expected integers"):
        device_integers(device(be, [True], "bool"), like, "Layer", "ids")
    with pytest.raises(MixedBackendError, match=r"Layer: ids is a .*, but the parameters are"):
        device_integers(device(elsewhere, [1]), like, "Layer", "ids")
    with pytest.raises(MixedBackendError, match=r"Layer: ids is a builtins\.str"):
        device_integers("1 2", like, "Layer", "ids")


def test_ids_on_another_device(strict):
    import array_api_strict as xp

    with pytest.raises(MixedBackendError, match=r"ids is on device .*CPU_DEVICE.*device1"):
        device_integers(xp.asarray([1]), strict.zeros((1,), "float32"), "Layer", "ids")


# ---- targets


def test_targets_from_the_host(be, like):
    chosen = targets([[3, -1], [0, -1]], 4, like, -1, "Layer")
    assert to_host(chosen.ids).tolist() == [3, 0, 0, 0]
    assert to_host(chosen.valid).tolist() == [True, False, True, False]
    assert chosen.count == 2
    part = chosen.rows(1, 3)
    assert to_host(part.ids).tolist() == [0, 0]
    assert to_host(part.valid).tolist() == [False, True]
    assert part.count == 2
    everything = targets([[3, 1]], 4, like, -1, "Layer")
    assert everything.valid is None
    assert everything.count == 2
    assert everything.rows(0, 1).valid is None


def test_targets_from_the_device(strict):
    like = strict.zeros((1,), "float32")
    chosen = targets(device(strict, [[3, -1], [0, -1]]), 4, like, -1, "Layer")
    assert to_host(chosen.ids).tolist() == [3, 0, 0, 0]
    assert to_host(chosen.valid).tolist() == [True, False, True, False]
    assert to_host(chosen.count).item() == 2.0


@pytest.mark.parametrize("ids", [[[4, 0]], [[-2, 0]], [[-1, 9]]])
def test_targets_out_of_range(ids, like):
    with pytest.raises(DataError, match="Layer: targets holds ids from"):
        targets(ids, 4, like, -1, "Layer")


def test_an_ignored_label_may_be_a_word(like):
    chosen = targets([[0, 2, 0]], 4, like, 0, "Layer")
    assert chosen.count == 1
    assert to_host(chosen.valid).tolist() == [False, True, False]


# ---- masks

EXPECTED = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)  # (N, T)


@pytest.mark.parametrize("lengths", [[4, 0, 2], (4, 0, 2), np.array([4, 0, 2], np.int32)])
@pytest.mark.parametrize("time_major", [False, True])
def test_lengths(be, like, lengths, time_major):
    mask = time_mask(lengths, None, N, T, like, time_major, "Layer")
    assert mask.dtype == be.xp.bool
    assert mask.device == like.device
    np.testing.assert_array_equal(to_host(mask), EXPECTED.T)


@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("as_list", [False, True])
def test_mask_from_the_host(be, like, time_major, as_list):
    given = EXPECTED.T if time_major else EXPECTED
    given = given.tolist() if as_list else given
    mask = time_mask(None, given, N, T, like, time_major, "Layer")
    assert mask.device == like.device
    np.testing.assert_array_equal(to_host(mask), EXPECTED.T)


@pytest.mark.parametrize("time_major", [False, True])
def test_mask_and_lengths_from_the_device(be, like, time_major):
    given = EXPECTED.T if time_major else EXPECTED
    masks = (
        time_mask(None, device(be, given, "bool"), N, T, like, time_major, "Layer"),
        time_mask(device(be, [4, 0, 2]), None, N, T, like, time_major, "Layer"),
        time_mask(device(be, [4, 0, 2], "int32"), None, N, T, like, time_major, "Layer"),
    )
    for mask in masks:
        np.testing.assert_array_equal(to_host(mask), EXPECTED.T)


def test_no_mask(like):
    assert time_mask(None, None, N, T, like, False, "Layer") is None


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([4, 0], ShapeError, r"lengths has shape \(2,\), expected \(N,\) = \(3,\)"),
        (4, ShapeError, r"lengths has shape \(\), expected"),
        ([[4], [0], [2]], ShapeError, r"lengths has shape \(3, 1\)"),
        ([4, 0, 5], DataError, "lengths go from 0 to 5, expected 0 to T = 4"),
        ([4, -1, 2], DataError, "lengths go from -1 to 4, expected 0 to T = 4"),
        ([4.0, 0.0, 2.0], DTypeError, "lengths has dtype float64, expected integers"),
        ([True, False, True], DTypeError, "lengths has dtype bool, expected integers"),
    ],
)
def test_bad_lengths(like, lengths, error, message):
    with pytest.raises(error, match=f"Layer: {message}"):
        time_mask(lengths, None, N, T, like, False, "Layer")


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (EXPECTED.astype(int), DTypeError, "mask has dtype int64, expected bool"),
        (EXPECTED.astype(np.float32), DTypeError, "mask has dtype float32, expected bool"),
        (EXPECTED.T, ShapeError, r"mask has shape \(4, 3\), expected \(N, T\) = \(3, 4\)"),
        (EXPECTED[:, :, None], ShapeError, r"mask has shape \(3, 4, 1\)"),
        (EXPECTED[0], ShapeError, r"mask has shape \(4,\)"),
    ],
)
def test_bad_masks(like, mask, error, message):
    with pytest.raises(error, match=f"Layer: {message}"):
        time_mask(None, mask, N, T, like, False, "Layer")


def test_time_major_masks_are_named_so(like):
    with pytest.raises(ShapeError, match=r"expected \(T, N\) = \(4, 3\)"):
        time_mask(None, EXPECTED, N, T, like, True, "Layer")


def test_masks_of_another_backend(like, elsewhere):
    if elsewhere.name == "numpy":
        return  # NumPy arrays are host arrays: they are uploaded
    with pytest.raises(MixedBackendError, match="Layer: mask is a"):
        time_mask(None, device(elsewhere, EXPECTED, "bool"), N, T, like, False, "Layer")
    with pytest.raises(MixedBackendError, match="Layer: lengths is a"):
        time_mask(device(elsewhere, [4, 0, 2]), None, N, T, like, False, "Layer")


def test_lengths_and_mask(like):
    with pytest.raises(ValueError, match="Layer: give lengths or mask, not both"):
        time_mask([4, 0, 2], EXPECTED, N, T, like, False, "Layer")


def test_upload(be, like):
    host = np.arange(6).reshape(2, 3)
    for given in (host, host.T, host[:, ::-1]):
        array = upload(given, like)
        assert array.device == like.device
        np.testing.assert_array_equal(to_host(array), given)
