"""The cuBLAS call of a product: operands, leading dimensions, transposes, types."""

import ctypes
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rnn_xp.kernels.cuda import product as module
from rnn_xp.kernels.cuda.product import product

REALS = {0: np.float32, 1: np.float64, 2: np.float16, 14: None}
COMPUTE = {68: np.float32, 77: np.float32, 70: np.float64}


def columns(address, kind, rows, cols, leading):
    """The column-major (rows, cols) matrix at an address, as the numbers that it stands for."""
    dtype = np.dtype(np.uint16 if kind in (2, 14) else REALS[kind])
    size = (leading * (cols - 1) + rows) * dtype.itemsize
    memory = np.frombuffer((ctypes.c_char * size).from_address(address), dtype)
    view = np.lib.stride_tricks.as_strided(
        memory, (rows, cols), (dtype.itemsize, leading * dtype.itemsize), writeable=True
    )
    if kind == 14:
        return (view.astype(np.uint32) << 16).view(np.float32)
    return view.view(np.float16).astype(np.float32) if kind == 2 else view


def gemm_ex(handle, ta, tb, m, n, k, alpha, A, At, lda, B, Bt, ldb, beta, C, Ct, ldc, ct, algo):
    """What cublasGemmEx is documented to compute."""
    assert handle == 7
    assert algo == -1
    assert lda >= max(1, k if ta else m)
    assert ldb >= max(1, n if tb else k)
    assert ldc >= max(1, m)
    alpha, beta = (
        np.frombuffer(
            (ctypes.c_char * np.dtype(COMPUTE[ct]).itemsize).from_address(p), COMPUTE[ct]
        )[0]
        for p in (alpha, beta)
    )
    a = columns(A, At, k, m, lda).T if ta else columns(A, At, m, k, lda)
    b = columns(B, Bt, n, k, ldb).T if tb else columns(B, Bt, k, n, ldb)
    c = columns(C, Ct, m, n, ldc)
    c[...] = alpha * (a @ b) + (beta * c if beta else 0)


@pytest.fixture(autouse=True)
def blas(monkeypatch):
    cuda = SimpleNamespace(cublas=SimpleNamespace(gemmEx=gemm_ex), get_cublas_handle=lambda: 7)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr(module, "pointer", lambda array: array.__array_interface__["data"][0])


def matrix(rng, shape, kind, precision):
    """A random matrix in one of the layouts that a product takes."""
    rows, cols = shape
    dtype = "float32" if precision != "float64" else precision
    made = {
        "rows": lambda: rng.standard_normal((rows, cols)),
        "apart": lambda: rng.standard_normal((rows, cols + 3)),
        "transposed": lambda: rng.standard_normal((cols, rows)),
        "transposed, apart": lambda: rng.standard_normal((cols, rows + 2)),
    }[kind]().astype(dtype)
    if precision == "float16":
        made = made.astype(np.float16).view(np.uint16)
    elif precision == "bfloat16":
        made = (made.view(np.uint32) >> 16).astype(np.uint16)
    return {
        "rows": lambda: made,
        "apart": lambda: made[:, :cols],
        "transposed": lambda: made.T,
        "transposed, apart": lambda: made[:, :rows].T,
    }[kind]()


def numbers(array, precision):
    if precision == "float16":
        return array.view(np.float16).astype(np.float64)
    if precision == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64)


KINDS = ("rows", "apart", "transposed", "transposed, apart")


@pytest.mark.parametrize("precision", ["float32", "float64", "tf32", "float16", "bfloat16"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("out_kind", KINDS)
@pytest.mark.parametrize("a_kind", KINDS)
@pytest.mark.parametrize("b_kind", KINDS)
@pytest.mark.parametrize("sizes", [(3, 5, 4), (1, 6, 3), (4, 1, 3), (3, 2, 1), (1, 1, 1)])
def test_product(precision, accumulate, out_kind, a_kind, b_kind, sizes):
    M, K, N = sizes
    rng = np.random.default_rng(0)
    a = matrix(rng, (M, K), a_kind, precision)
    b = matrix(rng, (K, N), b_kind, precision)
    dtype = "float64" if precision == "float64" else "float32"
    whole = rng.standard_normal((M + 2, N + 2)).astype(dtype)
    whole = whole.T.copy().T if "transposed" in out_kind else whole
    if "apart" not in out_kind:
        whole = whole[:M, :N].copy(order="K")
    before = whole.copy()
    out = whole[:M, :N]
    if not accumulate:
        out[...] = np.nan
    expected = numbers(a, precision) @ numbers(b, precision)
    expected += before[:M, :N] if accumulate else 0
    product(a, b, out, "float32" if precision == "float64" else precision, accumulate=accumulate)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)
    assert np.array_equal(whole[:, N:], before[:, N:])
    assert np.array_equal(whole[M:], before[M:])


def test_what_is_no_product_is_refused():
    f, d, h = (np.ones((3, 3), dtype) for dtype in ("float32", "float64", "uint16"))
    for a, b, out, precision in (
        (f, d, f, "float32"),
        (f, f, d, "float32"),
        (d, d, d, "tf32"),
        (f, f, f, "float16"),
        (h, h, h, "float16"),
        (h, h, f, "float32"),
        (h, f, f, "bfloat16"),
    ):
        with pytest.raises(TypeError, match=f"is no product in {precision}"):
            product(a, b, out, precision)
    with pytest.raises(ValueError, match=r"\(3, 3\) @ \(2, 3\) into \(3, 3\)"):
        product(f, f[:2], f)
    with pytest.raises(ValueError, match=r"\(3, 3\) @ \(3, 3\) into \(2, 3\)"):
        product(f, f, f[:2])
    with pytest.raises(ValueError, match="neither contiguous rows"):
        product(f, f, np.ones((6, 6), "float32")[::2, ::2])
    with pytest.raises(ValueError, match="neither contiguous rows nor contiguous columns"):
        product(np.ones((6, 6), "float32")[::2, ::2], f, f)
    with pytest.raises(ValueError, match="neither contiguous rows"):
        product(np.broadcast_to(np.ones(3, "float32"), (3, 3)), f, f)
