"""What the CuPy sequence kernels share: buffers, the input, products, launches, weight gradients.

Layout. Sequences are time-major and batch-major inside a step, (T, N, G*H), so that a slice at a
time is one contiguous matrix. Pre-activations, activations and their gradients take turns in one
buffer: the backward pass overwrites what it has used, so a cache serves one backward call.

Precision. All that is element-wise, and every sum, is in the dtype of the parameters. Where the
products take 16-bit numbers, the kernels that make an operand write its bits beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.cuda.module import function
from rnn_xp.kernels.cuda.narrow import is_half, narrow, operand
from rnn_xp.kernels.cuda.product import product, stepwise
from rnn_xp.kernels.workspace import Workspace

THREADS = 128
# What CUDA allows in the second dimension of a grid, and more than any device runs at a time.
MOST_ROWS = 65535
NULL = np.uintp(0)


@dataclass(slots=True)
class Run:
    """One forward pass: its sizes, its weights and where its buffers are.

    Attributes
    ----------
    like : array
        A parameter: the dtype and the device of the buffers.
    x : array, shape (T*N, D)
        The input as the products take it; zero at masked steps.
    Wx, Wh : array
        The weights as the products take them.
    valid : array of bool, shape (T, N), or a null pointer
        The mask.
    slots : int
        How many states a stack holds: all T + 1 if a backward pass will follow, else two.
        State t is in slot ``t % slots``.
    """

    workspace: Workspace
    generation: int
    precision: str
    like: Array
    x: Array
    Wx: Array
    Wh: Array
    valid: Any
    T: int
    N: int
    H: int
    slots: int

    @property
    def half(self) -> bool:
        """Whether the products take the bits of 16-bit numbers."""
        return is_half(self.precision)

    @property
    def steps(self) -> range:
        """The steps that there is something to do at."""
        return range(self.T if self.N else 0)

    def buffer(self, name: str, *shape: int) -> Array:
        """Reusable memory; contents undefined."""
        return self.workspace.get(name, shape, self.like)

    def bits(self, name: str, *shape: int) -> Any:
        """Reusable memory for bits; a null pointer where the products take none."""
        if not self.half:
            return NULL
        return self.workspace.get(name, shape, self.like, dtype="uint16")

    def states(self, h0: Array, slots: int) -> tuple[Array, Any]:
        """Stacks of h in `slots` slots and of its bits in `self.slots`, both with `h0` first."""
        h = self.buffer("h", slots, self.N, self.H)
        h[0] = h0
        bits = self.bits("h_bits", self.slots, self.N, self.H)
        if self.half and self.N:
            narrow(h[0], self.precision, bits[0])
        return h, bits

    def operand(self, full: Array, bits: Any) -> Array:
        """The one of the two that the products take."""
        return bits if self.half else full

    def project(self) -> Array:
        """``x @ Wx`` for all steps at once, (T, N, G*H)."""
        a = self.buffer("a", self.T, self.N, self.Wx.shape[1])
        self.multiply(self.x, self.Wx, a.reshape(self.T * self.N, a.shape[2]))
        return a

    def multiply(self, a: Array, b: Array, out: Array) -> None:
        """``out = a @ b``, of operands in the precision of the run."""
        if a.shape[0]:
            product(a, b, out, self.precision)

    def recurrence(
        self, a: Array, b: Array, out: Array, *, accumulate: bool = False
    ) -> Callable[[int, int], None]:
        """A function of i and j: ``out[j] = a[i] @ b`` or ``out[j] += a[i] @ b``, likewise."""
        return stepwise(a, b, out, self.precision, accumulate=accumulate)

    def step(self, file: str, name: str) -> Callable[[tuple[Any, ...]], None]:
        """Kernel `name` of ``cu/<file>.cu``, over all of (N, H): a function of its arguments."""
        kernel = function(file, name, self.like.dtype.name, self.precision)
        grid, block = (-(-self.H // THREADS), min(self.N, MOST_ROWS)), (THREADS,)
        return partial(kernel, grid, block)


def begin(
    x: Array,
    Wx: Array,
    Wh: Array,
    mask: Array | None,
    workspace: Any,
    *,
    keep: bool,
    precision: str,
) -> Run:
    """Take over input and weights, and start a new generation of the buffers."""
    import cupy

    T, N, D = x.shape
    work = Workspace() if workspace is None else workspace
    generation = work.renew()
    valid = NULL if mask is None else cupy.ascontiguousarray(mask)
    return Run(
        workspace=work,
        generation=generation,
        precision=precision,
        like=Wh,
        x=_take_input(x, valid, work, precision).reshape(T * N, D),
        Wx=operand(Wx, precision, work, "Wx"),
        Wh=operand(Wh, precision, work, "Wh"),
        valid=valid,
        T=T,
        N=N,
        H=Wh.shape[0],
        slots=T + 1 if keep else 2,
    )


def _take_input(x: Array, valid: Any, workspace: Workspace, precision: str) -> Array:
    """``x (T, N, D)`` as the products take it: itself if it already is so, else a buffer."""
    half = is_half(precision)
    if valid is NULL and not half and x.flags.c_contiguous:
        return x
    taken = workspace.get("x", x.shape, x, dtype="uint16" if half else None)
    T, N, D = x.shape
    if x.size:
        source, step, row = strides(x)
        kernel = function("sequence", "sequence_input", x.dtype.name, precision)
        places = (NULL, taken) if half else (taken, NULL)
        sizes = (np.int32(T), np.int32(N), np.int32(D))
        arguments = (source, valid, *places, step, row, *sizes)
        kernel((min(T * N, MOST_ROWS),), (THREADS,), arguments)
    return taken


def strides(a: Array) -> tuple[Array, np.int64, np.int64]:
    """An array (T, N, width), or its transposed base, and how far steps and rows are apart.

    Layers hand over batch-major arrays as transposed views; these are read as they are.
    """
    import cupy

    T, N, width = a.shape
    swapped = a.transpose(1, 0, 2)
    if not a.flags.c_contiguous and swapped.flags.c_contiguous:
        return swapped, np.int64(width), np.int64(T * width)
    return cupy.ascontiguousarray(a), np.int64(N * width), np.int64(width)


def upstream(dhs: Array | None) -> tuple[Any, np.int64, np.int64]:
    """`dhs` as the backward kernels take it, and how far its steps and rows are apart."""
    return (NULL, np.int64(0), np.int64(0)) if dhs is None else strides(dhs)


def consume(run: Run, where: str) -> None:
    """Refuse a stale cache, and make this one stale."""
    run.workspace.check(run.generation, where)
    run.workspace.renew()


def final_gradient(run: Run, given: Array | None) -> Array:
    """New array (N, H) that starts as `given`, or as zeros; it ends as a result."""
    import cupy

    held = cupy.empty((run.N, run.H), dtype=run.like.dtype)
    held[...] = 0.0 if given is None else given
    return held


def new_outputs(run: Run) -> Array:
    """Memory for hs, (T, N, H)."""
    import cupy

    return cupy.empty((run.T, run.N, run.H), dtype=run.like.dtype)


def input_gradient(run: Run, da: Array) -> Array:
    """``dx = da @ Wx.T``, a new array (T, N, D); `da` (T*N, G*H) is an operand."""
    import cupy

    D = run.Wx.shape[0]
    dx = cupy.empty((run.T * run.N, D), dtype=run.like.dtype)
    run.multiply(da, run.Wx.T, dx)
    return dx.reshape(run.T, run.N, D)


def weight_gradient(run: Run, inputs: Array, da: Array, out: Array) -> None:
    """``out[...] = inputs.T @ da``; `inputs` and `da` have T*N rows and are operands."""
    _product_into(inputs.T, da, out, run.precision)


def bias_gradient(run: Run, da: Array, out: Array) -> None:
    """``out[...] = sum(da, axis=0)`` of `da` (T*N, G*H), a product with ones in full precision."""
    ones = run.buffer("ones", 1, run.T * run.N)
    ones.fill(1.0)
    _product_into(ones, da, out[None, :], "float32")


def _product_into(a: Array, b: Array, out: Array, precision: str) -> None:
    """``out[...] = a @ b``, without a temporary where cuBLAS can write into `out`."""
    import cupy

    if not a.shape[1]:
        out[...] = 0.0
        return
    rows, columns = out.shape
    apart = rows == 1 or out.strides[0] >= columns * out.itemsize
    if apart and out.strides[1] == out.itemsize:
        product(a, b, out, precision)
    else:
        held = cupy.empty(out.shape, dtype=out.dtype)
        product(a, b, held, precision)
        out[...] = held
