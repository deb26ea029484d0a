"""Weights of the language models in "Deep Learning from Scratch 2" (DLFS2).

The book (O'Reilly Japan; code at github.com/oreilly-japan/deep-learning-from-scratch-2)
saves a model as a pickled list of float16 arrays, in the order in which its layers list
their parameters (``common/base_model.py``, ``ch05`` and ``ch06``)::

    SimpleRnnlm  embed_W, rnn Wx, Wh, b,          affine_W, affine_b
    Rnnlm        embed_W, lstm Wx, Wh, b,         affine_W, affine_b
    BetterRnnlm  embed_W, two times lstm Wx, Wh, b, embed_W.T, affine_b

Its LSTM has the gate blocks f, g, i, o (``common/time_layers.py``); ours are i, f, g, o.
"""

import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.backend import to_host
from rnn_xp.errors import CheckpointError
from rnn_xp.files import atomic_write
from rnn_xp.interop.layouts import blocks_from_ours, blocks_to_ours
from rnn_xp.interop.pickles import read_pickle

GATES = {"rnn": 1, "lstm": 4}

LAYOUT = (
    "embed_W (V, D); for each layer Wx (D or H, 4H), Wh (H, 4H), b (4H,), or H for 4H; "
    "affine_W (H, V), which may be left out if it is embed_W.T; affine_b (V,)"
)


@dataclass(frozen=True, slots=True)
class BookWeights:
    """A language model of the book in our order.

    Attributes
    ----------
    config : dict
        ``cell`` ("lstm" or "rnn"), ``vocab_size`` (V), ``embed`` (D), ``hidden`` (H),
        ``layers`` (L) and ``tied``, which says that the output matrix is the embedding's.
    parameters : dict of numpy.ndarray
        float32: ``embedding.W`` (V, D), ``layers.k.Wx``, ``layers.k.Wh``, ``layers.k.b``
        (gates i, f, g, o), ``output.W`` (H, V) unless tied, ``output.b`` (V,).
    """

    config: dict[str, Any]
    parameters: dict[str, Any]


def gates_from_book(array: Array) -> Any:
    """Reorder the last axis (4H long) from the book's f, g, i, o to our i, f, g, o."""
    return blocks_to_ours(to_host(array), "dlfs2", "lstm")


def gates_to_book(array: Array) -> Any:
    """Reorder the last axis (4H long) from our i, f, g, o to the book's f, g, i, o."""
    return blocks_from_ours(to_host(array), "dlfs2", "lstm")


def read_pickle_arrays(path: str | Path) -> list[Any]:
    """Read a pickled list of arrays without running what a pickle could run.

    Parameters
    ----------
    path : str or Path
        Such as the book's ``Rnnlm.pkl``.

    Returns
    -------
    arrays : list of numpy.ndarray
        Contiguous, of the dtype that the file has (float16 in the book).

    Raises
    ------
    CheckpointError
        If the file cannot be read, is damaged, or holds anything else.
    """
    value = read_pickle(path)
    if not isinstance(value, list | tuple):
        raise CheckpointError(
            f"{path}: holds a {type(value).__name__}, expected a list of NumPy arrays"
        )
    for k, entry in enumerate(value):
        if not isinstance(entry, np.ndarray):
            raise CheckpointError(
                f"{path}: entry {k} of the list is a {type(entry).__name__}, expected a NumPy array"
            )
    return list(value)


def rnnlm_weights(arrays: list[Any], where: str) -> BookWeights:
    """Recognise a language model of the book and bring it into our order.

    The number of arrays and their shapes say what it is: ``3L + 3`` of them with an output
    matrix, ``3L + 2`` without; ``Wh`` of shape (H, 4H) is an LSTM's, (H, H) an RNN's. The
    output matrix is tied if it is missing or equal to the transposed embedding; one that
    differs is a matrix of its own.

    Parameters
    ----------
    arrays : list of numpy.ndarray
        In the book's order.
    where : str
        The file's name, for messages.

    Raises
    ------
    CheckpointError
        If the shapes are not those of such a model (the message lists them), or a number
        is not finite.
    """
    if len(arrays) < 5 or len(arrays) % 3 == 1:
        raise _not_a_model(arrays, where, f"{len(arrays)} arrays, not 3L + 3 or 3L + 2")
    if any(a.dtype.kind != "f" for a in arrays):
        raise CheckpointError(
            f"{where}: holds arrays of {', '.join(sorted({str(a.dtype) for a in arrays}))}, "
            "expected floating-point weights"
        )
    layers = (len(arrays) - 2) // 3
    embed, recurrent, output = arrays[0], arrays[1 : 3 * layers + 1], arrays[3 * layers + 1 : -1]
    if embed.ndim != 2 or recurrent[1].ndim != 2:
        raise _not_a_model(arrays, where, "embed_W or Wh is not a matrix")
    V, D = embed.shape
    H, width = recurrent[1].shape
    cell = next((c for c, gates in GATES.items() if width == gates * H), None)
    expected: list[tuple[int, ...]] = [(V, D)]
    for layer in range(layers):
        expected += [(H if layer else D, width), (H, width), (width,)]
    expected += [(H, V)] * len(output) + [(V,)]
    if cell is None or 0 in (V, D, H) or [a.shape for a in arrays] != expected:
        raise _not_a_model(arrays, where, "the shapes do not fit together")
    tied = not output or (D == H and np.array_equal(output[0], embed.T))
    if tied and D != H:
        raise _not_a_model(arrays, where, f"no output matrix, but D = {D} and H = {H} differ")

    parameters = {"embedding.W": embed}
    for layer in range(layers):
        for name, array in zip(("Wx", "Wh", "b"), recurrent[3 * layer :], strict=False):
            ours = gates_from_book(array) if cell == "lstm" else array
            parameters[f"layers.{layer}.{name}"] = ours
    if not tied:
        parameters["output.W"] = output[0]
    parameters["output.b"] = arrays[-1]
    parameters = {name: _single(array, name, where) for name, array in parameters.items()}
    config = {
        "cell": cell,
        "vocab_size": V,
        "embed": D,
        "hidden": H,
        "layers": layers,
        "tied": tied,
    }
    return BookWeights(config, parameters)


def _single(array: Any, name: str, where: str) -> Any:
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinite
        single = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(single).all():
        raise CheckpointError(f"{where}: {name} holds numbers that are not finite")
    return single


def _not_a_model(arrays: list[Any], where: str, why: str) -> CheckpointError:
    shapes = ", ".join(str(a.shape) for a in arrays[:20])
    more = f" and {len(arrays) - 20} more" if len(arrays) > 20 else ""
    return CheckpointError(
        f"{where}: not a language model of the book ({why}): found {shapes or 'none'}{more}; "
        f"expected {LAYOUT}"
    )


def save_rnnlm_pickle(
    path: str | Path,
    parameters: Mapping[str, Array],
    config: Mapping[str, Any],
    dtype: str = "float16",
) -> None:
    """Write the book's format: a pickled list of arrays in its order.

    The book's ``load_params`` reads it where NumPy is 1.26 or newer. An older file at `path`
    is replaced whole or not at all.

    Parameters
    ----------
    path : str or Path
    parameters : dict of array
        Named, shaped and ordered as in `BookWeights`; of any backend.
    config : dict
        Of which ``cell``, ``layers`` and ``tied`` are used.
    dtype : {"float16", "float32"}
        What the book's ``save_params`` writes, or twice as large and exact. The book's
        ``load_params`` turns either into float32.

    Raises
    ------
    CheckpointError
        If the book has no such model, a parameter is missing, too many or beyond the range of
        `dtype` (float16's is 65504), or the file cannot be written.
    """
    if dtype not in ("float16", "float32"):
        raise CheckpointError(f"{path}: dtype = {dtype!r}, expected 'float16' or 'float32'")
    arrays = [
        _narrow(array, name, path, dtype) for name, array in _book_order(path, parameters, config)
    ]
    with atomic_write(path) as file:
        pickle.dump(arrays, file, protocol=3)


def _book_order(
    path: str | Path, parameters: Mapping[str, Array], config: Mapping[str, Any]
) -> Iterable[tuple[str, Any]]:
    if config["cell"] not in GATES:
        raise CheckpointError(
            f"{path}: the book has no language model with cell {config['cell']!r}, "
            f"expected one of {', '.join(GATES)}"
        )
    recurrent = [
        f"layers.{k}.{name}" for k in range(config["layers"]) for name in ("Wx", "Wh", "b")
    ]
    output = [] if config["tied"] else ["output.W"]
    names = ["embedding.W", *recurrent, *output, "output.b"]
    if set(names) != set(parameters):
        raise CheckpointError(
            f"{path}: got parameters {', '.join(sorted(parameters))}, "
            f"expected {', '.join(sorted(names))}"
        )
    for name in names:
        array = to_host(parameters[name])
        if name == "output.b" and config["tied"]:
            yield "embedding.W", to_host(parameters["embedding.W"]).T
        yield (
            name,
            gates_to_book(array) if name in recurrent and config["cell"] == "lstm" else array,
        )


def _narrow(array: Any, name: str, path: str | Path, dtype: str) -> Any:
    limit = np.finfo(dtype).max
    if not (np.abs(array) <= limit).all():
        raise CheckpointError(f"{path}: {name} holds numbers beyond {dtype}'s {limit:.6g}")
    return array.astype(dtype)
