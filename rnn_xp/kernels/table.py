"""`Kernels`: the dozen and a half functions that all speed is behind."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from rnn_xp.errors import KernelRefused
from rnn_xp.kernels.generic import dropout, embedding, loss, sequence, updates


@dataclass(frozen=True, slots=True)
class Kernels:
    """One function per primitive; an entry that is not replaced *is* the generic one.

    Signatures and shapes are documented at the generic functions, which are the
    specification (`rnn_xp.kernels.generic`). `compiled` names those that Numba compiled.
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
    compiled: frozenset[str] = frozenset()


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
)

PRIMITIVES = tuple(f.name for f in fields(Kernels) if f.name not in ("name", "compiled"))


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
    """

    functions: dict[str, Callable[..., Any]]
    dtypes: frozenset[str]
    compiled: bool = False


def select(name: str, candidates: list[FastKernels], dtype: str, mode: str) -> Kernels:
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

    Raises
    ------
    KernelRefused
        In mode "strict".
    """
    table = GENERIC
    if mode == "generic":
        return table
    for candidate in candidates:
        if dtype in candidate.dtypes:
            names = frozenset(candidate.functions)
            compiled = table.compiled | names if candidate.compiled else table.compiled - names
            table = replace(table, name=name, compiled=compiled, **candidate.functions)
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
