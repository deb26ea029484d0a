"""The cuBLAS call of a product: operands, leading dimensions, transposes, types."""

import importlib
import itertools

import backends
import numpy as np
import pytest
import standin.modules
from standin.blas import tf32

from rnn_xp.kernels.cuda.narrow import operand
from rnn_xp.kernels.cuda.product import product, stepwise
from rnn_xp.kernels.workspace import Workspace


@pytest.fixture(params=["standin", "cupy"])
def cupy(request, monkeypatch):
    """CuPy, or the stand-in, for which no g++ is needed here."""
    if request.param == "standin":
        standin.modules.install(monkeypatch)
    else:
        backends.open_or_skip(backends.BY_NAME["cupy"], monkeypatch)
    yield importlib.import_module("cupy")
    if request.param == "standin":
        standin.modules.forget()


def matrix(cupy, rng, shape, kind, precision):
    """A random matrix on the device in one of the layouts that a product takes."""
    rows, cols = shape
    dtype = "float32" if precision != "float64" else precision
    made = rng.standard_normal(
        {
            "rows": (rows, cols),
            "apart": (rows, cols + 3),
            "transposed": (cols, rows),
            "transposed, apart": (cols, rows + 2),
        }[kind]
    ).astype(dtype)
    if precision == "float16":
        made = made.astype(np.float16).view(np.uint16)
    elif precision == "bfloat16":
        made = (made.view(np.uint32) >> 16).astype(np.uint16)
    made = cupy.asarray(made)
    return {
        "rows": lambda: made,
        "apart": lambda: made[:, :cols],
        "transposed": lambda: made.T,
        "transposed, apart": lambda: made[:, :rows].T,
    }[kind]()


def numbers(array, precision):
    """What the tensor cores are to read."""
    host = array.get()
    if precision == "float16":
        return host.view(np.float16).astype(np.float64)
    if precision == "bfloat16":
        return (host.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return (tf32(host) if precision == "tf32" else host).astype(np.float64)


KINDS = ("rows", "apart", "transposed", "transposed, apart")
# A device may cut off what TF32 leaves out of an operand instead of rounding it.
ATOL = {"float64": 1e-13, "tf32 on a device": 2e-2}


@pytest.mark.parametrize("precision", ["float32", "float64", "tf32", "float16", "bfloat16"])
@pytest.mark.parametrize("accumulate", [False, True])
@pytest.mark.parametrize("out_kind", KINDS)
@pytest.mark.parametrize("sizes", [(3, 5, 4), (1, 6, 3), (4, 1, 3), (3, 2, 1), (1, 1, 1)])
def test_product(cupy, request, precision, accumulate, out_kind, sizes):
    M, K, N = sizes
    on_device = precision == "tf32" and "cupy" in request.node.callspec.id.split("-")
    atol = ATOL.get("tf32 on a device" if on_device else precision, 1e-5)
    dtype = "float64" if precision == "float64" else "float32"
    shape = (M + 2, N + 2) if "apart" in out_kind else (M, N)
    for a_kind, b_kind in itertools.product(KINDS, KINDS):
        rng = np.random.default_rng(0)
        a = matrix(cupy, rng, (M, K), a_kind, precision)
        b = matrix(cupy, rng, (K, N), b_kind, precision)
        before = rng.standard_normal(shape).astype(dtype)
        if "transposed" in out_kind:
            whole = cupy.asarray(before.T.copy()).T
        else:
            whole = cupy.asarray(before)
        out = whole[:M, :N]
        if not accumulate:
            out[...] = np.nan
        expected = numbers(a, precision) @ numbers(b, precision)
        expected += before[:M, :N] if accumulate else 0
        chosen = "float32" if precision == "float64" else precision
        product(a, b, out, chosen, accumulate=accumulate)
        where = f"a: {a_kind}, b: {b_kind}"
        np.testing.assert_allclose(out.get(), expected, rtol=0, atol=atol, err_msg=where)
        np.testing.assert_array_equal(whole[:, N:].get(), before[:, N:], err_msg=where)
        np.testing.assert_array_equal(whole[M:].get(), before[M:], err_msg=where)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("accumulate", [False, True])
def test_stepwise_is_the_product_of_each_step(cupy, precision, accumulate):
    rng = np.random.default_rng(0)
    steps = [matrix(cupy, rng, (3, 5), "apart", precision).get() for _ in range(4)]
    a = cupy.asarray(np.stack(steps))[:, :, 1:]
    b = matrix(cupy, rng, (4, 6), "transposed", precision)
    before = rng.standard_normal((2, 3, 8)).astype(np.float32)
    out, expected = cupy.asarray(before), cupy.asarray(before)
    step = stepwise(a, b, out[:, :, 1:7], precision, accumulate=accumulate)
    for i, j in ((3, 0), (0, 1), (2, 0)):
        step(i, j)
        product(a[i], b, expected[j, :, 1:7], precision, accumulate=accumulate)
    np.testing.assert_array_equal(out.get(), expected.get())


def test_stepwise_of_nothing_and_of_what_it_does_not_take(cupy):
    f = cupy.ones((4, 3, 3), "float32")
    stepwise(f[:0], f[0], f[:0])
    stepwise(f[:, :0], f[0], f[:, :0])
    with pytest.raises(ValueError, match="no contiguous rows"):
        stepwise(f, f[0], f.transpose(0, 2, 1))
    with pytest.raises(ValueError, match=r"\(4, 3, 3\) @ \(2, 3\) into \(4, 3, 3\)"):
        stepwise(f, f[0, :2], f)


def test_an_operand_is_copied_only_where_it_must_be(cuda_be):
    whole = cuda_be.zeros((4, 6), "float32")
    for a in (whole, whole.T):
        assert operand(a, "tf32", None, "a").data.ptr == whole.data.ptr
        bits = operand(a, "float16", Workspace(), "a")
        assert (bits.shape, bits.strides[0] < bits.strides[1]) == (a.shape, a is not whole)
    assert operand(whole[:, ::2], "tf32", None, "a").flags.c_contiguous


def test_what_is_no_product_is_refused(cupy):
    f, d, h = (cupy.ones((3, 3), dtype) for dtype in ("float32", "float64", "uint16"))
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
        product(f, f, cupy.ones((6, 6), "float32")[::2, ::2])
    with pytest.raises(ValueError, match="neither contiguous rows nor contiguous columns"):
        product(cupy.ones((6, 6), "float32")[::2, ::2], f, f)
    with pytest.raises(ValueError, match="neither contiguous rows"):
        product(cupy.broadcast_to(cupy.ones(3, "float32"), (3, 3)), f, f)
