"""What the NumPy sequence kernels share: layouts, scratch memory, masks, gradients of weights.

Layout. Sequences stay batch-major inside a step, (T, N, width), so one product serves all
steps before and after the loop. The element-wise work runs on gate-major blocks (N, H) of
contiguous memory, which NumPy passes two to three times faster than columns of (N, 4H);
the one addition that every step needs anyway does the regrouping.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.kernels.workspace import Workspace

# Bytes of derivative factors that exist at a time in a backward pass: few calls for short
# steps, and still in the second-level cache for wide ones.
CHUNK_BYTES = 1 << 19
# Recurrent weights of up to this many bytes are multiplied fastest from a transposed copy.
SMALL_WEIGHTS = 1 << 18


@dataclass(slots=True)
class Run:
    """One forward pass: its sizes, its weights and where its buffers are.

    Attributes
    ----------
    x : array, shape (T*N, D)
        The input, time-major and contiguous; zero at masked steps.
    held : list of (array of int or None), length T
        The rows of the batch that are masked at each step.
    """

    workspace: Workspace
    generation: int
    x: Array
    Wx: Array
    Wh: Array
    T: int
    N: int
    H: int
    held: list[Any]

    def buffer(self, name: str, *shape: int) -> Array:
        """Reusable memory; contents undefined."""
        return self.workspace.get(name, shape, self.x)

    def product_buffer(self, name: str, width: int) -> Array:
        """Buffer (N, width) in Fortran order for the products inside the time loop.

        A product into this order is cut into columns of the weights, one part a thread; in C
        order the threads share a small batch, and wait for each other. OpenBLAS, 2 threads,
        N = 20, H = 650: 280 instead of 340 us forward, 270 instead of 390 us backward (there
        without a transposed copy of the weights). With 1 thread the two are equal within 10 %.
        Where the weights are small, products (N, H) are fastest in C order: see `transposed`.
        """
        if width == self.H and self.has_small_weights():
            return self.buffer(name, self.N, width)
        # Rows a multiple of 256 bytes apart would all fall into the same few cache sets.
        gap = 8 if self.N % 64 == 0 else 0
        return self.buffer(name, width, self.N + gap)[:, : self.N].T

    def has_small_weights(self) -> bool:
        """Whether `Wh` has no more than `SMALL_WEIGHTS` bytes."""
        size: int = self.Wh.nbytes
        return size <= SMALL_WEIGHTS

    def transposed(self, W: Array) -> Array:
        """``W.T`` of recurrent weights, for the products inside the time loop.

        Copied once a call where that pays. OpenBLAS, 2 threads, microseconds of a product in C
        order with the copy, and in Fortran order without: 32 and 41 for 50 x 512 by 512 x 128,
        11 and 14 for 20 x 400 by 400 x 100; but 56 and 38 for 20 x 800 by 800 x 200.
        """
        if not self.has_small_weights():
            return W.T
        copied = self.buffer("transposed", *W.T.shape)
        np.copyto(copied, W.T)
        return copied

    def project(self, b: Array, columns: int | None = None) -> Array:
        """``x @ Wx + b`` for all steps at once, (T, N, G*H), in the buffer for gradients."""
        width = self.Wx.shape[1]
        a = self.buffer("a", self.T * self.N, columns or width)[:, :width]
        np.matmul(self.x, self.Wx, out=a)
        np.add(a, b, out=a)
        return a.reshape(self.T, self.N, width)

    def chunk_steps(self, blocks: int) -> int:
        """How many steps of `blocks` arrays (N, H) fit into `CHUNK_BYTES`: 1 to T."""
        step: int = blocks * self.N * self.H * self.x.itemsize
        return max(1, min(self.T, CHUNK_BYTES // max(1, step)))


def begin(
    x: Array, Wx: Array, Wh: Array, mask: Array | None, workspace: Any, *, hold: bool = True
) -> Run:
    """Take over the input and start a new generation of the buffers.

    Without `hold` the rows that are masked are left out of `Run.held`.
    """
    T, N, D = x.shape
    workspace = Workspace() if workspace is None else workspace
    generation = workspace.renew()
    held: list[Any] = [None] * T
    if mask is not None and not mask.all():
        if hold:
            held = [None if step.all() else np.flatnonzero(~step) for step in mask]
        given, x = x, workspace.get("x", (T, N, D), x)
        np.copyto(x, given)
        x[~mask] = 0  # not a product with the mask: the input may be NaN there
    elif not x.flags.c_contiguous:
        given, x = x, workspace.get("x", (T, N, D), x)
        np.copyto(x, given)
    return Run(workspace, generation, x.reshape(T * N, D), Wx, Wh, T, N, Wh.shape[0], held)


def gate_major(a: Array, H: int) -> Array:
    """View (..., N, G*H) as (..., G, N, H)."""
    by_gate: Array = a.reshape(*a.shape[:-1], -1, H).swapaxes(-2, -3)
    return by_gate


def product_blocks(product: Array, H: int) -> Array:
    """View of a `Run.product_buffer` (N, G*H) as (G, N, H)."""
    return product.T.reshape(-1, H, product.shape[0]).swapaxes(1, 2)


def sigmoid_in_place(a: Array, half: Array) -> None:
    """``a = sigmoid(a)`` as ``0.5 * tanh(0.5 * a) + 0.5``; `half` is a 0-d array."""
    np.multiply(a, half, out=a)
    np.tanh(a, out=a)
    np.multiply(a, half, out=a)
    np.add(a, half, out=a)


def outputs(run: Run, h: Array, keep: bool) -> tuple[Array, Array]:
    """``(hs, hT)`` from the stack of states (T + 1, N, H), not sharing memory with a cache."""
    hT = h[run.T].copy()
    hs = h[1:].copy() if keep else h[1:]
    for t, rows in enumerate(run.held):
        if rows is not None:
            hs[t, rows] = 0
    return hs, hT


def state_stack(run: Run, h0: Array, keep: bool) -> Array:
    """Memory for h_0 to h_T, (T + 1, N, H): a buffer if `keep`, else what becomes the output."""
    shape = (run.T + 1, run.N, run.H)
    h = run.buffer("h", *shape) if keep else np.empty(shape, run.x.dtype)
    h[0] = h0
    return h


def product_into(a: Array, b: Array, out: Array) -> None:
    """``out[...] = a @ b``, without a temporary where BLAS can write into `out`."""
    if out.strides[-1] == out.itemsize and out.strides[0] >= out.shape[1] * out.itemsize:
        np.matmul(a, b, out=out)
    else:
        out[...] = a @ b


def sum_rows_into(a: Array, out: Array) -> None:
    """``out[...] = sum(a, axis=0)``; as a product it is threaded and twice as fast."""
    out[...] = np.ones(a.shape[0], a.dtype) @ a
