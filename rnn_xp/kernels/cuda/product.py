"""CuPy: every matrix product of the kernels, one cuBLAS call each.

``cupy.matmul`` adds to nothing, picks its precision from the environment, and knows no 16-bit
operands with a 32-bit result; `cublasGemmEx` does all three.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import pointer

# cublasOperation_t, cublasGemmAlgo_t, cudaDataType and cublasComputeType_t, as in cublas_api.h
# and library_types.h of CUDA 13.
_N, _T, _DEFAULT = 0, 1, -1
_R_32F, _R_64F, _R_16F, _R_16BF = 0, 1, 2, 14
_COMPUTE_32F, _COMPUTE_64F, _COMPUTE_32F_FAST_TF32 = 68, 70, 77

_DType: TypeAlias = np.dtype[Any]
_SINGLE: _DType = np.dtype("float32")
_DOUBLE: _DType = np.dtype("float64")
_BITS: _DType = np.dtype("uint16")

# (precision, dtype of the operands): dtype of the result, both for cuBLAS, and the compute type.
_TYPES: dict[tuple[str, _DType], tuple[_DType, int, int, int]] = {
    ("float32", _SINGLE): (_SINGLE, _R_32F, _R_32F, _COMPUTE_32F),
    ("float32", _DOUBLE): (_DOUBLE, _R_64F, _R_64F, _COMPUTE_64F),
    ("tf32", _SINGLE): (_SINGLE, _R_32F, _R_32F, _COMPUTE_32F_FAST_TF32),
    ("float16", _BITS): (_SINGLE, _R_16F, _R_32F, _COMPUTE_32F),
    ("bfloat16", _BITS): (_SINGLE, _R_16BF, _R_32F, _COMPUTE_32F),
}

# alpha and beta are read on the host, where CuPy's handles expect them, in the compute type.
_FACTORS = {dtype: np.asarray([0.0, 1.0], dtype=dtype) for dtype in (_SINGLE, _DOUBLE)}
_ZERO = {dtype: int(f.ctypes.data) for dtype, f in _FACTORS.items()}
_ONE = {dtype: int(f.ctypes.data) + f.itemsize for dtype, f in _FACTORS.items()}


def product(
    a: Array, b: Array, out: Array, precision: str = "float32", *, accumulate: bool = False
) -> None:
    """``out = a @ b``, or ``out += a @ b``, on the current stream.

    Parameters
    ----------
    a : array, shape (M, K)
    b : array, shape (K, N)
        Rows may be apart (a leading dimension), and either may be a transposed view: nothing
        is copied.
    out : array, shape (M, N)
        As `a` and `b`. It shares no memory with them.
    precision : {"float32", "tf32", "float16", "bfloat16"}
        "float32": IEEE arithmetic in the dtype of the arrays, float32 or float64; "tf32":
        float32 arrays, of which the tensor cores read 10 bits of mantissa. "float16" and
        "bfloat16": `a` and `b` are uint16 arrays of bits (see `rnn_xp.kernels.cuda.narrow`),
        `out` is float32. Sums are float32 in all three.
    accumulate : bool

    Raises
    ------
    TypeError
        If the dtypes are not those of `precision`.
    ValueError
        If the shapes do not match, or no dimension of an array is contiguous.
    """
    if _layout(out)[0] != _N:
        a, b, out = b.T, a.T, out.T
    _prepared(a, b, out, precision, accumulate)(pointer(a), pointer(b), pointer(out))


def stepwise(
    a: Array, b: Array, out: Array, precision: str = "float32", *, accumulate: bool = False
) -> Callable[[int, int], None]:
    """`product` for a loop over time: everything but the addresses is found out once.

    Parameters
    ----------
    a : array, shape (S, M, K)
        A stack of matrices, as `product` takes them.
    b : array, shape (K, N)
    out : array, shape (R, M, N)
        A stack of matrices with contiguous rows.
    precision, accumulate
        As for `product`.

    Returns
    -------
    step : callable
        ``step(i, j)`` does ``out[j] = a[i] @ b``, or ``out[j] += a[i] @ b``, as long as the
        arrays live. The places are not checked.

    Raises
    ------
    TypeError, ValueError
        As `product`.
    """
    call = _prepared(a, b, out, precision, accumulate)
    first_a, at_b, first_out = pointer(a), pointer(b), pointer(out)
    stride_a, stride_out = a.strides[0], out.strides[0]

    def step(i: int, j: int) -> None:
        call(first_a + i * stride_a, at_b, first_out + j * stride_out)

    return step


def _prepared(
    a: Array, b: Array, out: Array, precision: str, accumulate: bool
) -> Callable[[int, int, int], None]:
    """Check the last two dimensions; a function of the addresses of `a`, `b` and `out`."""
    import cupy

    types = _TYPES.get((precision, a.dtype))
    if types is None or b.dtype != a.dtype or out.dtype != types[0]:
        raise TypeError(
            f"product: {a.dtype} @ {b.dtype} into {out.dtype} is no product in {precision}"
        )
    (M, K), (rows, N) = a.shape[-2:], b.shape
    if rows != K or out.shape[-2:] != (M, N):
        raise ValueError(f"product: {a.shape} @ {b.shape} into {out.shape}")
    (op_a, lda), (op_b, ldb), (op_out, ldc) = _layout(a), _layout(b), _layout(out)
    if op_out != _N:
        raise ValueError(f"product: out of strides {out.strides} has no contiguous rows")
    result, kind, out_kind, compute = types
    one = _ONE[result]
    beta = one if accumulate else _ZERO[result]
    gemm, handle = cupy.cuda.cublas.gemmEx, cupy.cuda.get_cublas_handle()

    def call(at_a: int, at_b: int, at_out: int) -> None:
        # cuBLAS takes columns for rows: the memory of out is its out.T = b.T @ a.T.
        gemm(
            handle,
            op_b,
            op_a,
            N,
            M,
            K,
            one,
            at_b,
            kind,
            ldb,
            at_a,
            kind,
            lda,
            beta,
            at_out,
            out_kind,
            ldc,
            compute,
            _DEFAULT,
        )

    return call


def _layout(array: Array) -> tuple[int, int]:
    """Whether the memory holds the rows of a matrix (`_N`) or its columns; the leading dimension.

    Of a stack of matrices, those of each.
    """
    rows, columns = array.shape[-2:]
    down, right = array.strides[-2:]
    size = array.itemsize
    if right == size or columns == 1:
        leading = down // size if rows > 1 else columns
        if leading >= columns:
            return _N, leading
    if down == size or rows == 1:
        leading = right // size if columns > 1 else rows
        if leading >= rows:
            return _T, leading
    raise ValueError(
        f"product: an array of shape {array.shape} and strides {array.strides} has neither "
        "contiguous rows nor contiguous columns"
    )
