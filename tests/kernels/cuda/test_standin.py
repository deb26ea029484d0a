"""The stand-in for CuPy is honest: it refuses what a device would refuse, or take amiss."""

import numpy as np
import pytest
import standin.launch
import standin.modules
from standin import transfers
from standin.compiler import CompileError
from standin.launch import LaunchError

from rnn_xp.backend import backend_of, to_host

SOURCE = r"""
extern "C" __global__ void axpy(
    float* a, const float* __restrict__ b, const int n, const float f)  // a += f b
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) a[i] += f * b[i];
}
extern "C" __global__ void put(float* a, const long long at) { a[at] = 1; }
extern "C" __global__ void where(int* out)
{
    const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    const int i = block * blockDim.x * blockDim.y * blockDim.z + thread;
    atomicAdd(&out[i], i + 1);
}
extern "C" __global__ void total(const float* a, float* out)
{
    __shared__ float parts[32];
    float sum = a[blockIdx.x * blockDim.x + threadIdx.x];
    for (int lanes = 16; lanes; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x) return;
    sum = 0;
    for (int w = 0; w < blockDim.x / 32; ++w) sum += parts[w];
    atomicAdd(out, sum);
}
extern "C" __global__ void reversed(float* a)
{
    extern __shared__ float copy[];
    copy[threadIdx.x] = a[threadIdx.x];
    __syncthreads();
    a[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void unwritten(float* out)
{
    __shared__ float kept[1];
    out[blockIdx.x] = kept[0];
    kept[0] = 1;
}
extern "C" __global__ void unsynchronized(float* a)
{
    __shared__ float row[32];
    row[threadIdx.x] = a[threadIdx.x];
    if (threadIdx.x) a[threadIdx.x] = row[threadIdx.x - 1];
}
extern "C" __global__ void after_the_block_before(float* a)
{
    if (blockIdx.x) a[blockIdx.x] = a[blockIdx.x - 1] + 1;
}
extern "C" __global__ void apart()
{
    if (threadIdx.x % 2) __syncthreads();
    else __syncthreads();
}
extern "C" __global__ void alone()
{
    if (threadIdx.x == 3) __shfl_sync(0xffffffffu, 1, 0);
    else __syncthreads();
}
extern "C" __global__ void left_out() { __shfl_sync(0xfu, 1, 0); }
extern "C" __global__ void absent() { __shfl_sync(0xffffffffu, 1, 20); }
"""
f32, i32, i64 = np.float32, np.int32, np.int64


@pytest.fixture
def cupy(cuda_standin):
    import cupy

    return cupy


@pytest.fixture
def kernel(cupy):
    return cupy.RawModule(code=SOURCE, options=("--std=c++17",)).get_function


def test_a_kernel_does_what_it_says(cupy, kernel):
    a, b = cupy.asarray(np.arange(5, dtype=f32)), cupy.ones(5, f32)
    kernel("axpy")((2,), (3,), (a, b, i32(4), f32(0.5)))
    np.testing.assert_array_equal(a.get(), [0.5, 1.5, 2.5, 3.5, 4])


def test_every_thread_of_every_block_runs_once(cupy, kernel):
    out = cupy.zeros(24 * 60, i32)
    kernel("where")((2, 3, 4), (5, 6, 2), (out,))
    np.testing.assert_array_equal(out.get(), np.arange(24 * 60) + 1)


def test_threads_meet_in_warps_and_blocks(cupy, kernel):
    host = np.random.default_rng(0).integers(0, 9, 192).astype(f32)
    out = cupy.zeros(1, f32)
    kernel("total")((2,), (96,), (cupy.asarray(host), out))
    assert float(out[0]) == host.sum()
    a = cupy.asarray(host[:50].copy())
    kernel("reversed")((1,), (50,), (a,), shared_mem=200)
    np.testing.assert_array_equal(a.get(), host[49::-1])


BAD_LAUNCHES = {
    "dtype of an array": ((1,), (4,), {0: "double"}, "argument 0 is an array of float64"),
    "dtype of a number": ((1,), (4,), {2: i64(4)}, "argument 2 is int64, expected int32"),
    "wide number": ((1,), (4,), {3: np.float64(1)}, "argument 3 is float64, expected float32"),
    "Python int": ((1,), (4,), {2: 4}, "argument 2 is int 4, expected a NumPy int32"),
    "Python float": ((1,), (4,), {3: 0.5}, "argument 3 is float 0.5"),
    "None": ((1,), (4,), {1: None}, r"argument 1 is NoneType, expected a device array"),
    "host array": ((1,), (4,), {1: np.ones(4, f32)}, "argument 1 is ndarray, expected a device"),
    "pointer that is a number": ((1,), (4,), {1: np.uintp(8)}, "argument 1 is uint64"),
    "array for a number": ((1,), (4,), {2: "int"}, "argument 2 is ndarray"),
    "rows apart": ((1,), (4,), {0: "apart"}, "argument 0 is not C-contiguous"),
    "transposed": ((1,), (4,), {1: "transposed"}, "argument 1 is not C-contiguous"),
    "one too few": ((1,), (4,), {3: "left out"}, "3 arguments, expected 4"),
    "one too many": ((1,), (4,), {4: f32(1)}, "5 arguments, expected 4"),
    "large block": ((1,), (1025,), {}, "expected 1 to 1024"),
    "deep block": ((1,), (1, 1, 65), {}, "expected 1 to 64"),
    "block of many": ((1,), (32, 33), {}, "more than 1024 threads"),
    "no block": ((0,), (4,), {}, "grid .* expected 1 to 2147483647"),
    "high grid": ((1, 65536), (4,), {}, "expected 1 to 65535"),
    "sizes that are none": ((1.0,), (4,), {}, "expected integers"),
    "size without a tuple": (1, (4,), {}, "expected a tuple"),
}


@pytest.mark.parametrize("name", BAD_LAUNCHES)
def test_refused_launches(cupy, kernel, name):
    grid, block, changes, message = BAD_LAUNCHES[name]
    wrong = {
        "double": cupy.ones(4),
        "int": cupy.ones(1, i32),
        "apart": cupy.ones((2, 4), f32)[:, :2],
        "transposed": cupy.ones((2, 2), f32).T,
    }
    a = cupy.ones(4, f32)
    given = dict(enumerate((a, cupy.ones(4, f32), i32(4), f32(1))))
    for place, value in changes.items():
        given[place] = wrong.get(value, value) if isinstance(value, str) else value
    arguments = tuple(v for v in given.values() if not (isinstance(v, str) and v == "left out"))
    with pytest.raises(LaunchError, match=message):
        kernel("axpy")(grid, block, arguments)
    np.testing.assert_array_equal(a.get(), 1)


def test_shared_memory(cupy, kernel):
    a = cupy.ones(50, f32)
    with pytest.raises(LaunchError, match="past its 196 bytes of dynamic shared memory"):
        kernel("reversed")((1,), (50,), (a,), shared_mem=196)
    with pytest.raises(LaunchError, match="expected 0 to 49152"):
        kernel("reversed")((1,), (50,), (a,), shared_mem=49153)
    more = kernel("reversed")
    more.max_dynamic_shared_size_bytes = 1 << 16
    more((1,), (50,), (a,), shared_mem=1 << 16)
    out = cupy.zeros(2, f32)
    kernel("unwritten")((2,), (1,), (out,))
    assert np.isnan(out.get()).all()


@pytest.mark.parametrize("name", ["unsynchronized", "after_the_block_before"])
def test_what_depends_on_the_order_differs_from_launch_to_launch(cupy, kernel, name):
    blocks, threads = (1, 8) if name == "unsynchronized" else (8, 1)
    found = []
    for _ in range(2):
        a = cupy.zeros(8, f32)
        kernel(name)((blocks,), (threads,), (a,))
        found.append(a.get())
    assert not np.array_equal(*found)


@pytest.mark.parametrize("at", [-1, 6])
def test_writes_outside_an_array(cupy, kernel, at):
    a = cupy.zeros(6, f32)
    kernel("put")((1,), (1,), (a, i64(5)))
    with pytest.raises(LaunchError, match="writes outside the memory of argument 0"):
        kernel("put")((1,), (1,), (a, i64(at)))


def test_what_was_never_written_is_nan(cupy, kernel):
    a, b = cupy.zeros(3, f32), cupy.empty(2, f32)
    kernel("axpy")((1,), (3,), (a, b, i32(3), f32(1)))  # the third lies past the end of b
    assert np.isnan(a.get()).all()
    assert np.isnan(cupy.empty((2, 2)).get()).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("apart", "threads wait at __syncthreads of line"),
        ("alone", "32 threads wait for others that never come"),
        ("left_out", "the mask 0xf leaves out lane [0-9]+, which calls"),
        ("absent", "reads lane 20, which takes no part"),
    ],
)
def test_threads_that_do_not_come_together(kernel, name, message):
    with pytest.raises(LaunchError, match=message):
        kernel(name)((1,), (16 if name == "absent" else 32,), ())


def test_sources_that_are_none(cupy):
    with pytest.raises(CompileError, match=r"kernel\.cu:1:"):
        cupy.RawModule(code="__global__ void f() { int x = y; }").get_function("f")
    with pytest.raises(LaunchError, match="no kernel 'g' in the source, only f"):
        cupy.RawModule(code='extern "C" __global__ void f() {}').get_function("g")


WAYS_TO_THE_HOST = {
    "get": lambda cupy, a: a.get(),
    "asnumpy": lambda cupy, a: cupy.asnumpy(a),
    "float": lambda cupy, a: float(a[0]),
    "int": lambda cupy, a: int(a[0]),
    "bool": lambda cupy, a: bool((a > 0).all()),
    "item": lambda cupy, a: a[0].item(),
    "tolist": lambda cupy, a: a.tolist(),
    "a mask": lambda cupy, a: a[a > 0],
    "clip of array-api-compat": lambda cupy, a: standin.modules.XP.clip(a, 0.0, 1.0),
    "device": lambda cupy, a: a.device.synchronize(),
    "stream": lambda cupy, a: cupy.cuda.Stream.null.synchronize(),
    "event": lambda cupy, a: cupy.cuda.Stream().record().synchronize(),
}


@pytest.mark.parametrize("way", WAYS_TO_THE_HOST)
def test_transfers_to_the_host(cupy, way):
    a = cupy.ones(3)
    go = WAYS_TO_THE_HOST[way]
    go(cupy, a)
    with transfers.refused():
        b = cupy.asarray(np.ones(3))  # up is no way down
        b += 2 * a[1:2] @ a[:1] + cupy.where(a > 0, a, b).sum()
        with pytest.raises(AssertionError, match="hidden host transfer"):
            go(cupy, a)
    go(cupy, a)


def test_arrays_of_two_places_do_not_mix(cupy):
    a, host = cupy.ones(3), np.ones(3)
    for mix in (
        lambda: a + host,
        lambda: host + a,
        lambda: np.exp(a),
        lambda: np.asarray(a),
        lambda: cupy.exp(host),
        lambda: a.__setitem__(0, host),
        lambda: a.set(a),
    ):
        with pytest.raises(TypeError):
            mix()
    for whole, name in ((cupy, "nothing"), (cupy.cuda, "nothing"), (a, "nothing")):
        with pytest.raises(AttributeError, match="tests/standin"):
            getattr(whole, name)


def test_the_backend_is_cupys(cuda_standin):
    assert cuda_standin.label == "cupy:0"
    assert type(cuda_standin.zeros((2,), "float32")) is standin.launch.ndarray


def test_a_backend_is_a_key_though_its_device_is_none(cuda_be):
    with pytest.raises(TypeError, match="unhashable"):
        hash(cuda_be.device)
    assert {backend_of(cuda_be.zeros((2,), "float32")), cuda_be} == {cuda_be}


def test_a_copy_shares_no_memory(cuda_be):
    a = cuda_be.asarray([1.0, 2.0])
    same = cuda_be.xp.asarray(a, device=cuda_be.device)
    copy = cuda_be.xp.asarray(a, copy=True, device=cuda_be.device)
    a[...] = 3.0
    assert to_host(same).tolist() == [3.0, 3.0]
    assert to_host(copy).tolist() == [1.0, 2.0]
