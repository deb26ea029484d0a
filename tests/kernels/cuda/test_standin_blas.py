"""The gemmEx of the stand-in: the product that cuBLAS documents, and what is refused."""

import numpy as np
import pytest
import standin.modules
from standin import blas
from standin.blas import CUBLASError

M, N, K = 2, 3, 4
ONE = {d: np.ones(1, d) for d in ("float32", "float64")}
ZERO = {d: np.zeros(1, d) for d in ("float32", "float64")}


@pytest.fixture
def cupy(monkeypatch):
    standin.modules.install(monkeypatch)
    yield standin.modules.CUPY
    standin.modules.forget()


def call(cupy, arrays, real="float32", **changes):
    """C = A B, column-major, with some of the arguments replaced."""
    a, b, c = arrays
    kind = {"float32": blas.CUDA_R_32F, "float64": blas.CUDA_R_64F}[real]
    compute = {"float32": blas.CUBLAS_COMPUTE_32F, "float64": blas.CUBLAS_COMPUTE_64F}[real]
    # fmt: off
    given = {
        "handle": 1, "transa": 0, "transb": 0, "m": M, "n": N, "k": K,
        "alpha": ONE[real].ctypes.data, "A": a.data.ptr, "Atype": kind, "lda": M,
        "B": b.data.ptr, "Btype": kind, "ldb": K, "beta": ZERO[real].ctypes.data,
        "C": c.data.ptr, "Ctype": kind, "ldc": M, "computeType": compute, "algo": -1,
    } | changes
    # fmt: on
    cupy.cuda.cublas.gemmEx(*given.values())


def arrays(cupy, real="float32"):
    """A, B and C as cuBLAS sees them, of these rows: (columns, rows)."""
    rng = np.random.default_rng(0)
    a, b = (cupy.asarray(rng.standard_normal(s).astype(real)) for s in ((K, M), (N, K)))
    return a, b, cupy.empty((N, M), real)


@pytest.mark.parametrize("real", ["float32", "float64"])
def test_a_product(cupy, real):
    a, b, c = arrays(cupy, real)
    call(cupy, (a, b, c), real)
    np.testing.assert_array_equal(c.get(), (a.get().T @ b.get().T).T)
    call(cupy, (a, b, c), real, beta=ONE[real].ctypes.data, alpha=(2 * ONE[real]).ctypes.data)
    np.testing.assert_allclose(c.get(), 3 * (b.get() @ a.get()), rtol=1e-5)


def test_transposed_and_apart(cupy):
    a = cupy.asarray(np.arange(20.0).reshape(M, K + 6)[:, :K].astype("float32"))
    b = cupy.asarray(np.ones((N, K + 2), "float32"))
    c = cupy.zeros((N, M + 1), "float32")
    call(cupy, (a, b, c), transa=1, lda=K, ldb=K + 2, ldc=M + 1)
    np.testing.assert_array_equal(c.get(), [[6, 46, 0]] * N)


def test_tf32_keeps_ten_bits(cupy):
    a = cupy.asarray(np.full((K, M), 1 + 2.0**-10 + 2.0**-12, "float32"))
    b, c = cupy.ones((N, K), "float32"), cupy.empty((N, M), "float32")
    call(cupy, (a, b, c), computeType=blas.CUBLAS_COMPUTE_32F_FAST_TF32)
    np.testing.assert_array_equal(c.get(), 4 * (1 + 2.0**-10))


WRONG = {
    "lda": ({"lda": M - 1}, "leading dimension 1 of A, expected 2"),
    "ldb": ({"ldb": K - 1}, "leading dimension 3 of B, expected 4"),
    "ldc": ({"ldc": 1}, "leading dimension 1 of C, expected 2"),
    "lda of a transposed one": ({"transa": 1}, "leading dimension 2 of A, expected 4"),
    "lda too large": ({"lda": M + 1}, "A, .* ends 12 bytes after its allocation"),
    "ldc too large": ({"ldc": M + 1}, "C, .* ends 8 bytes after its allocation"),
    "too many columns": ({"n": N + 1}, "B, .* ends 16 bytes after its allocation"),
    "no allocation": ({"A": 4096}, "A at 0x1000 is in no allocation"),
    "type of A and B": ({"Atype": 1, "Btype": 1}, "types 1, 1 to 0 in compute type 68"),
    "mixed types": ({"Btype": 2}, "types 0, 2 to 0"),
    "type of C": ({"Ctype": 1}, "types 0, 0 to 1"),
    "half types, float memory": ({"Atype": 2, "Btype": 2}, "in memory made for float32"),
    "compute type": ({"computeType": blas.CUBLAS_COMPUTE_64F}, "in compute type 70"),
    "operation": ({"transb": 7}, "operations 0 and 7"),
    "algorithm": ({"algo": 3}, "algorithm 3"),
    "negative size": ({"k": -1}, "sizes 2, 3, -1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused_products(cupy, name):
    changes, message = WRONG[name]
    with pytest.raises(CUBLASError, match=message):
        call(cupy, arrays(cupy), **changes)


def test_memory_of_another_type(cupy):
    a, b, _ = arrays(cupy)
    with pytest.raises(CUBLASError, match="C is of type 0, float32, in memory made for float64"):
        call(cupy, (a, b, cupy.empty((N, M), "float64")))


def test_memory_that_was_given_back(cupy):
    a, b, c = arrays(cupy)
    address = a.data.ptr
    del a
    with pytest.raises(CUBLASError, match=r"A at .* is in no allocation"):
        call(cupy, (b, b, c), A=address)
