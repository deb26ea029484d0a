"""Recurrent networks and language models on plain arrays, with proven backward passes.

::

    text ─► tokens ─► batches ─► embedding ─► time layers ─► affine ─► loss ─► optimiser ─► run folder ─► generation
    str     (M,) ids  x,t (N,T)  (N,T,D)      (N,T,H)        (N,T,V)   nats    params       safetensors    str
    host ─────────────────┤ device ────────────────────────────────────────────────┤ host

    rnn_xp.data ─────────┘ rnn_xp.layers, rnn_xp.models ──────────────┘ rnn_xp.optim └ rnn_xp.train  └ rnn_xp.generate

Names are imported on first use, so ``import rnn_xp`` costs next to nothing, and never
imports CuPy, torch or matplotlib.
"""  # noqa: E501 - a diagram

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnn_xp._version import __version__

if TYPE_CHECKING:
    from rnn_xp.backend import Backend, backend_of, default_backend, get_backend, to_host
    from rnn_xp.cells import GRUCell, LSTMCell, RNNCell
    from rnn_xp.errors import (
        BackendFallbackWarning,
        BackendUnavailable,
        CheckpointError,
        ConversionError,
        DataError,
        DTypeError,
        MissingExtraError,
        MixedBackendError,
        NonFiniteError,
        RnnXpError,
        ShapeError,
        StaleCacheError,
    )
    from rnn_xp.generate import sample_text
    from rnn_xp.layers import (
        GRU,
        LSTM,
        RNN,
        Bidirectional,
        Residual,
        Reversed,
        Stack,
        TimeAffine,
        TimeAffineSoftmaxWithLoss,
        TimeCell,
        TimeDropout,
        TimeEmbedding,
        TimeGRU,
        TimeLSTM,
        TimeReset,
        TimeRNN,
        TimeSoftmaxWithLoss,
        TrainableState,
        WeightDrop,
    )
    from rnn_xp.models import BetterRnnlm, LMConfig, Rnnlm, SimpleRnnlm

_ROOMS = {
    "rnn_xp.backend": ("Backend", "backend_of", "default_backend", "get_backend", "to_host"),
    "rnn_xp.cells": ("GRUCell", "LSTMCell", "RNNCell"),
    "rnn_xp.errors": (
        "BackendFallbackWarning",
        "BackendUnavailable",
        "CheckpointError",
        "ConversionError",
        "DTypeError",
        "DataError",
        "MissingExtraError",
        "MixedBackendError",
        "NonFiniteError",
        "RnnXpError",
        "ShapeError",
        "StaleCacheError",
    ),
    "rnn_xp.generate": ("sample_text",),
    "rnn_xp.layers": (
        "GRU",
        "LSTM",
        "RNN",
        "Bidirectional",
        "Residual",
        "Reversed",
        "Stack",
        "TimeAffine",
        "TimeAffineSoftmaxWithLoss",
        "TimeCell",
        "TimeDropout",
        "TimeEmbedding",
        "TimeGRU",
        "TimeLSTM",
        "TimeRNN",
        "TimeReset",
        "TimeSoftmaxWithLoss",
        "TrainableState",
        "WeightDrop",
    ),
    "rnn_xp.models": ("BetterRnnlm", "LMConfig", "Rnnlm", "SimpleRnnlm"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Backend",
    "BackendFallbackWarning",
    "BackendUnavailable",
    "BetterRnnlm",
    "Bidirectional",
    "CheckpointError",
    "ConversionError",
    "DTypeError",
    "DataError",
    "GRUCell",
    "LMConfig",
    "LSTMCell",
    "MissingExtraError",
    "MixedBackendError",
    "NonFiniteError",
    "RNNCell",
    "Residual",
    "Reversed",
    "RnnXpError",
    "Rnnlm",
    "ShapeError",
    "SimpleRnnlm",
    "Stack",
    "StaleCacheError",
    "TimeAffine",
    "TimeAffineSoftmaxWithLoss",
    "TimeCell",
    "TimeDropout",
    "TimeEmbedding",
    "TimeGRU",
    "TimeLSTM",
    "TimeRNN",
    "TimeReset",
    "TimeSoftmaxWithLoss",
    "TrainableState",
    "WeightDrop",
    "__version__",
    "backend_of",
    "default_backend",
    "get_backend",
    "sample_text",
    "to_host",
]


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'rnn_xp' has no attribute {name!r}")
    value = getattr(import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
