"""Host arrays to the device in one copy."""

import numpy as np
import pytest
from backends import no_host_transfer

from rnn_xp.backend import get_backend, to_host


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


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_other_backends(name, request):
    if name == "torch":
        request.getfixturevalue("torch_backend")
    be, hosts = get_backend(name), [np.arange(3), np.ones(2, bool), np.array(2.5)]
    with no_host_transfer():
        arrays = be.upload(hosts)
    assert [to_host(a).tolist() for a in arrays] == [h.tolist() for h in hosts]
    assert [tuple(a.shape) for a in arrays] == [h.shape for h in hosts]
    assert name == "torch" or all(a is h for a, h in zip(arrays, hosts, strict=True))
