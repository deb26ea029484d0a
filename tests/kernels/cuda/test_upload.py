"""Host arrays in one copy from pinned memory, which may be made late."""

import sys

import numpy as np
import pytest
from backends import no_host_transfer
from standin import transfers

from rnn_xp.backend import get_backend, to_host
from rnn_xp.kernels.cuda.upload import PinnedRing


def ring(size):
    return PinnedRing(sys.modules["cupy"], size)


def test_arrays_of_every_kind(cuda_be, rng):
    hosts = [
        rng.integers(0, 99, (3, 5)),
        rng.integers(0, 2, 7).astype(bool),
        np.arange(12, dtype=np.int32).reshape(3, 4).T,
        np.zeros(0, np.int64),
        np.zeros((2, 0), np.float32),
        np.array(2.5),
        rng.normal(size=3),
    ]
    arrays = cuda_be.upload(hosts)
    for array, host in zip(arrays, hosts, strict=True):
        assert array.shape == host.shape
        assert array.dtype == host.dtype
        assert array.flags.c_contiguous
        assert np.array_equal(to_host(array), host)


def test_nothing_and_empty_arrays(cuda_be):
    assert cuda_be.upload([]) == []
    (empty,) = cuda_be.upload([np.zeros(0, np.int32)])
    assert empty.shape == (0,)


def test_the_host_array_may_change_at_once(cuda_be):
    host = np.arange(5)
    (array,) = cuda_be.upload([host])
    host[:] = -1
    assert to_host(array).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [64, 80, 176, 4096])
def test_what_is_underway_is_not_overwritten(cuda_be, rng, size):
    """Copies of several sizes, whose results are looked at only when all are queued."""
    used = ring(size)
    hosts = [rng.integers(0, 9999, count) for count in rng.integers(0, 9, 60)]
    arrays = [used.upload([host])[0] for host in hosts]
    for array, host in zip(arrays, hosts, strict=True):
        assert np.array_equal(to_host(array), host)


def test_a_ring_that_is_too_small_grows(cuda_be):
    used = ring(64)
    hosts = [np.arange(n) for n in (4, 100, 7, 5000)]
    arrays = [used.upload([host])[0] for host in hosts]
    assert used.size >= 40000
    for array, host in zip(arrays, hosts, strict=True):
        assert np.array_equal(to_host(array), host)


def test_an_upload_waits_only_where_the_ring_is_full(cuda_standin):
    used = ring(64)
    with transfers.refused():
        used.upload([np.arange(4)])
        used.upload([np.arange(4)])
        with pytest.raises(AssertionError, match=r"Event\.synchronize"):
            used.upload([np.arange(4)])


def test_the_standin_notices_an_early_overwrite(cuda_standin, monkeypatch):
    """Else the tests above could not fail."""
    monkeypatch.setattr(PinnedRing, "_wait", lambda *_: None)
    used = ring(32)
    first, second = (used.upload([np.full(4, n)])[0] for n in (1, 2))
    assert to_host(first).tolist() == [2, 2, 2, 2]
    assert to_host(second).tolist() == [2, 2, 2, 2]


def test_the_standin_notices_memory_that_is_no_longer_there(cuda_standin):
    cupy = sys.modules["cupy"]
    device = cupy.empty(512, dtype="uint8")
    memory = cupy.cuda.alloc_pinned_memory(512)
    device.data.copy_from_host_async(memory.ptr, 512)
    del memory
    with pytest.raises(AssertionError, match="freed before"):
        to_host(device)
    with pytest.raises(AssertionError, match="not pinned"):
        device.data.copy_from_host_async(np.zeros(512, np.uint8).ctypes.data, 512)


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_other_backends(name, request):
    if name == "torch":
        request.getfixturevalue("torch_backend")
    be, hosts = get_backend(name), [np.arange(3), np.ones(2, bool)]
    with no_host_transfer():
        arrays = be.upload(hosts)
    assert [to_host(a).tolist() for a in arrays] == [h.tolist() for h in hosts]
    assert name == "torch" or all(a is h for a, h in zip(arrays, hosts, strict=True))
