"""CuPy: every matrix product of the kernels, one cuBLAS call each.

``cupy.matmul`` adds to nothing, picks its precision from the environment, and knows no 16-bit
operands with a 32-bit result; `cublasGemmEx` does all three.
"""

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import pointer

# cublasOperation_t, cublasGemmAlgo_t, cudaDataType and cublasComputeType_t, as in cublas_api.h
# and library_types.h of CUDA 13.
_N, _T, _DEFAULT = 0, 1, -1
_R_32F, _R_64F, _R_16F, _R_16BF = 0, 1, 2, 14
_COMPUTE_32F, _COMPUTE_64F, _COMPUTE_32F_FAST_TF32 = 68, 70, 77

# (precision, dtype of the operands): dtype of the result, both for cuBLAS, and the compute type.
_TYPES = {
    ("float32", "float32"): ("float32", _R_32F, _R_32F, _COMPUTE_32F),
    ("float32", "float64"): ("float64", _R_64F, _R_64F, _COMPUTE_64F),
    ("tf32", "float32"): ("float32", _R_32F, _R_32F, _COMPUTE_32F_FAST_TF32),
    ("float16", "uint16"): ("float32", _R_16F, _R_32F, _COMPUTE_32F),
    ("bfloat16", "uint16"): ("float32", _R_16BF, _R_32F, _COMPUTE_32F),
}

# alpha and beta are read on the host, where CuPy's handles expect them, in the compute type.
_FACTORS = {dtype: np.asarray([0.0, 1.0], dtype=dtype) for dtype in ("float32", "float64")}
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
    import cupy

    operand, result = a.dtype.name, out.dtype.name
    types = _TYPES.get((precision, operand))
    if types is None or b.dtype.name != operand or result != types[0]:
        raise TypeError(
            f"product: {operand} @ {b.dtype.name} into {result} is no product in {precision}"
        )
    (M, K), (_, N) = a.shape, b.shape
    if b.shape[0] != K or out.shape != (M, N):
        raise ValueError(f"product: {a.shape} @ {b.shape} into {out.shape}")
    op_a, lda = _layout(a)
    op_b, ldb = _layout(b)
    op_out, ldc = _layout(out)
    if op_out != _N:
        product(b.T, a.T, out.T, precision, accumulate=accumulate)
        return
    _, kind, out_kind, compute = types
    # cuBLAS takes columns for rows: the memory of out is its out.T = b.T @ a.T.
    cupy.cuda.cublas.gemmEx(
        cupy.cuda.get_cublas_handle(),
        op_b,
        op_a,
        N,
        M,
        K,
        _ONE[result],
        pointer(b),
        kind,
        ldb,
        pointer(a),
        kind,
        lda,
        _ONE[result] if accumulate else _ZERO[result],
        pointer(out),
        out_kind,
        ldc,
        compute,
        _DEFAULT,
    )


def _layout(array: Array) -> tuple[int, int]:
    """Whether the memory holds the rows of `array` (`_N`) or its columns; the leading dimension."""
    rows, columns = array.shape
    down, right = array.strides
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
