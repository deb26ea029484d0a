"""`cupy.cuda.cublas`: the products, on column-major memory through bare pointers, as BLAS has them.

Constants: cublas_api.h and library_types.h of CUDA 13.
"""

import ctypes

import numpy as np

from standin import memory

CUBLAS_OP_N, CUBLAS_OP_T = 0, 1
CUBLAS_GEMM_DEFAULT, CUBLAS_GEMM_DEFAULT_TENSOR_OP = -1, 99
CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_PEDANTIC = 68, 69
CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_64F_PEDANTIC = 70, 71
CUBLAS_COMPUTE_32F_FAST_TF32 = 77
CUBLAS_DEFAULT_MATH = 0
CUBLAS_POINTER_MODE_HOST, CUBLAS_POINTER_MODE_DEVICE = 0, 1
CUDA_R_32F, CUDA_R_64F, CUDA_R_16F, CUDA_R_16BF = 0, 1, 2, 14

# What an allocation may have been made as, for each type; half types are kept as their bits.
STORED = {
    CUDA_R_32F: ("float32",),
    CUDA_R_64F: ("float64",),
    CUDA_R_16F: ("uint16", "float16"),
    CUDA_R_16BF: ("uint16",),
}
SINGLE = {CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_PEDANTIC}
DOUBLE = {CUBLAS_COMPUTE_64F, CUBLAS_COMPUTE_64F_PEDANTIC}
# (type of A and B, type of C) that each way to compute takes; the cublasGemmEx table.
TAKEN = {
    **{c: {(CUDA_R_32F, CUDA_R_32F), (CUDA_R_16F, CUDA_R_32F), (CUDA_R_16BF, CUDA_R_32F)}
       for c in SINGLE},
    **{c: {(CUDA_R_64F, CUDA_R_64F)} for c in DOUBLE},
    CUBLAS_COMPUTE_32F_FAST_TF32: {(CUDA_R_32F, CUDA_R_32F)},
}  # fmt: skip


class CUBLASError(RuntimeError):
    """A call that cuBLAS would refuse, or that reaches where it must not."""


def gemmEx(
    handle, transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype, ldc,
    computeType, algo,
):  # fmt: skip
    """C = alpha op(A) op(B) + beta C; op(A) is (m, k), op(B) (k, n), C (m, n), column-major."""
    if transa not in (CUBLAS_OP_N, CUBLAS_OP_T) or transb not in (CUBLAS_OP_N, CUBLAS_OP_T):
        raise CUBLASError(f"operations {transa} and {transb}, expected 0 (N) or 1 (T)")
    if computeType not in TAKEN or Atype != Btype or (Atype, Ctype) not in TAKEN[computeType]:
        raise CUBLASError(
            f"types {Atype}, {Btype} to {Ctype} in compute type {computeType} are not in the table"
        )
    if algo not in (CUBLAS_GEMM_DEFAULT, CUBLAS_GEMM_DEFAULT_TENSOR_OP):
        raise CUBLASError(f"algorithm {algo} is none of the default ones")
    if min(m, n, k) < 0:
        raise CUBLASError(f"sizes {m}, {n}, {k}")
    if m == 0 or n == 0:
        return
    a = _matrix("A", A, Atype, (m, k) if transa == CUBLAS_OP_N else (k, m), lda)
    b = _matrix("B", B, Btype, (k, n) if transb == CUBLAS_OP_N else (n, k), ldb)
    c = _matrix("C", C, Ctype, (m, n), ldc)
    real = ctypes.c_double if computeType in DOUBLE else ctypes.c_float
    factor, kept = real.from_address(alpha).value, real.from_address(beta).value
    a, b = _decoded(a, Atype), _decoded(b, Btype)
    if computeType == CUBLAS_COMPUTE_32F_FAST_TF32:
        a, b = tf32(a), tf32(b)
    product = (a if transa == CUBLAS_OP_N else a.T) @ (b if transb == CUBLAS_OP_N else b.T)
    scaled = product.dtype.type(factor) * product
    # With beta 0, C is not read: it may hold NaN.
    c[...] = scaled if kept == 0 else scaled + c.dtype.type(kept) * c


def sgemm(handle, transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc):
    """`gemmEx` in float32."""
    gemmEx(
        handle, transa, transb, m, n, k, alpha, A, CUDA_R_32F, lda, B, CUDA_R_32F, ldb, beta, C,
        CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip


def dgemm(handle, transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc):
    """`gemmEx` in float64."""
    gemmEx(
        handle, transa, transb, m, n, k, alpha, A, CUDA_R_64F, lda, B, CUDA_R_64F, ldb, beta, C,
        CUDA_R_64F, ldc, CUBLAS_COMPUTE_64F, CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip


def tf32(a):
    """Float32 rounded to TF32's ten bits of mantissa, to nearest even."""
    bits = a.astype(np.float32).view(np.uint32)
    rounded = bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))
    return (rounded & np.uint32(0xFFFFE000)).view(np.float32)


def _decoded(array, code):
    if code == CUDA_R_16BF:
        return (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
    if code == CUDA_R_16F:
        return array.view(np.float16).astype(np.float32)
    return array


def _matrix(name, address, code, shape, ld):
    """The column-major (rows, columns) at `address` as a NumPy view, if it is all there."""
    rows, columns = shape
    if ld < max(1, rows):
        raise CUBLASError(f"leading dimension {ld} of {name}, expected {rows} or more")
    owner = memory.allocation_at(address)
    if owner is None:
        raise CUBLASError(f"{name} at {address:#x} is in no allocation")
    if owner.dtype.name not in STORED[code]:
        raise CUBLASError(
            f"{name} is of type {code}, {' or '.join(STORED[code])}, in memory made for "
            f"{owner.dtype.name}"
        )
    kind = np.dtype(STORED[code][0])
    if address % kind.itemsize:
        raise CUBLASError(f"{name} at {address:#x} is not aligned to {kind.name}")
    needed = ((columns - 1) * ld + rows) * kind.itemsize if rows and columns else 0
    if address + needed > owner.address + owner.size:
        raise CUBLASError(
            f"{name}, ({rows}, {columns}) with leading dimension {ld}, ends "
            f"{address + needed - owner.address - owner.size} bytes after its allocation"
        )
    start = address - np.frombuffer(owner, np.uint8).ctypes.data
    strides = (kind.itemsize, ld * kind.itemsize)
    return np.ndarray(shape, kind, buffer=owner, offset=start, strides=strides)
