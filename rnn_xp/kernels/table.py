"""`Kernels`: the dozen and a half functions that all speed is behind."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from rnn_xp.errors import KernelRefused, PrecisionUnavailable
from rnn_xp.kernels.generic import dropout, embedding, loss, loss_scale, sequence, updates

PRECISIONS = ("float32", "tf32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class Kernels:
    """One function per primitive; an entry that is not replaced *is* the generic one.

    Signatures and shapes are documented at the generic functions, which are the
    specification (`rnn_xp.kernels.generic`). `compiled` names those that Numba compiled,
    `precise` those whose matrix products are in another precision than that of the arrays.
    """

    name: str
    rnn_forward: Callable[..., Any]
    rnn_backward: Callable[..., Any]
    lstm_forward: Callable[..., Any]
    lstm_backward: Callable[..., Any]
    gru_forward: Callable[..., Any]
    gru_backward: Callable[..., Any]
    embedding_forward: Callable[..., Any]
    embedding_backward: Callable[..., Any]
    softmax_cross_entropy: Callable[..., Any]
    affine_softmax_cross_entropy: Callable[..., Any]
    dropout_mask: Callable[..., Any]
    global_norm: Callable[..., Any]
    clip_coefficient: Callable[..., Any]
    sgd_update: Callable[..., Any]
    momentum_update: Callable[..., Any]
    nesterov_update: Callable[..., Any]
    adagrad_update: Callable[..., Any]
    rmsprop_update: Callable[..., Any]
    adam_update: Callable[..., Any]
    loss_scale_update: Callable[..., Any]
    compiled: frozenset[str] = frozenset()
    precise: frozenset[str] = frozenset()


GENERIC = Kernels(
    name="generic",
    rnn_forward=sequence.rnn_forward,
    rnn_backward=sequence.rnn_backward,
    lstm_forward=sequence.lstm_forward,
    lstm_backward=sequence.lstm_backward,
    gru_forward=sequence.gru_forward,
    gru_backward=sequence.gru_backward,
    embedding_forward=embedding.embedding_forward,
    embedding_backward=embedding.embedding_backward,
    softmax_cross_entropy=loss.softmax_cross_entropy,
    affine_softmax_cross_entropy=loss.affine_softmax_cross_entropy,
    dropout_mask=dropout.dropout_mask,
    global_norm=updates.global_norm,
    clip_coefficient=updates.clip_coefficient,
    sgd_update=updates.sgd_update,
    momentum_update=updates.momentum_update,
    nesterov_update=updates.nesterov_update,
    adagrad_update=updates.adagrad_update,
    rmsprop_update=updates.rmsprop_update,
    adam_update=updates.adam_update,
    loss_scale_update=loss_scale.loss_scale_update,
)

PRIMITIVES = tuple(f.name for f in fields(Kernels) if f.name not in ("name", "compiled", "precise"))


@dataclass(frozen=True, slots=True)
class FastKernels:
    """Replacements for some primitives, and what arrays they take.

    Forward and backward of a primitive share the format of their cache, so they are
    always replaced together.

    Attributes
    ----------
    functions : dict of str to callable
        By the field names of `Kernels`.
    dtypes : frozenset of str
        Parameter dtypes that the functions take.
    compiled : bool
        Whether Numba compiles them.
    precise : frozenset of str
        Those that have matrix products, and take the keyword ``precision`` for them.
    """

    functions: dict[str, Callable[..., Any]]
    dtypes: frozenset[str]
    compiled: bool = False
    precise: frozenset[str] = frozenset()


def select(
    name: str, candidates: list[FastKernels], dtype: str, mode: str, precision: str = "float32"
) -> Kernels:
    """Table of one backend for parameters of `dtype`.

    Parameters
    ----------
    name : str
        Name of the resulting table.
    candidates : list of FastKernels
        The backend's fast kernels; of two for one primitive the later one is taken.
    dtype : {"float32", "float64"}
    mode : {"auto", "numpy", "generic", "strict"}
        ``RNN_XP_KERNELS``: "generic" takes no fast kernel; "strict" raises where fast
        kernels exist but none takes `dtype`; "numpy" is "auto" here (the caller leaves the
        compiled ones out of the candidates).
    precision : {"float32", "tf32", "float16", "bfloat16"}
        Of the matrix products in kernels for float32 parameters.

    Raises
    ------
    KernelRefused
        In mode "strict".
    PrecisionUnavailable
        If no kernel has products in `precision`.
    ValueError
        If there is no such precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r}, expected one of {', '.join(PRECISIONS)}")
    plain = precision == "float32"
    if not plain and dtype != "float32":
        raise PrecisionUnavailable(
            f"precision {precision} is for parameters of dtype float32, these have {dtype}"
        )
    table = GENERIC
    for candidate in [] if mode == "generic" else candidates:
        if dtype in candidate.dtypes:
            functions, names = dict(candidate.functions), frozenset(candidate.functions)
            compiled = table.compiled | names if candidate.compiled else table.compiled - names
            chosen: frozenset[str] = frozenset() if plain else candidate.precise
            for p in chosen:
                functions[p] = partial(functions[p], precision=precision)
            precise = (table.precise - names) | chosen
            table = replace(table, name=name, compiled=compiled, precise=precise, **functions)
    if not plain and not table.precise:
        asked = " (RNN_XP_KERNELS=generic)" if mode == "generic" else ""
        raise PrecisionUnavailable(
            f"precision {precision} needs the fast kernels of the backend cupy; {name} computes "
            f"in float32{asked}"
        )
    if mode == "strict":
        _refuse_generic(table, name, candidates, dtype)
    return table


def _refuse_generic(table: Kernels, name: str, candidates: list[FastKernels], dtype: str) -> None:
    report = kernel_report(table)
    for candidate in candidates:
        left = sorted(p for p in candidate.functions if report[p] == "generic")
        if left:
            raise KernelRefused(
                f"the fast {name} kernels for {', '.join(left)} take "
                f"{', '.join(sorted(candidate.dtypes))}, not {dtype} (RNN_XP_KERNELS=strict)"
            )


def kernel_report(table: Kernels) -> dict[str, str]:
    """``{primitive: "compiled", "fast" or "generic"}`` for a table."""
    kinds = {p: "compiled" if p in table.compiled else "fast" for p in PRIMITIVES}
    return {
        p: "generic" if getattr(table, p) is getattr(GENERIC, p) else kind
        for p, kind in kinds.items()
    }
