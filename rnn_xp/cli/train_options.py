"""The options of ``rnn-xp train``: one for each field of `TrainSettings`, with a line of help.

An option that is not given is absent from the parsed arguments, so that a preset, or the
run to resume, knows what was asked for.
"""

import argparse
from dataclasses import fields
from typing import Any, get_args

from rnn_xp.cli.options import integer, number, or_none
from rnn_xp.train import TrainSettings, option_name
from rnn_xp.train.settings import DEFAULT_LR, DEFAULT_STEPS

# Field: (metavar, help, default in words where None is not "none" or the number says little).
Entry = tuple[str, str, str | None]

_RATES = ", ".join(f"{rate:g} for {name}" for name, rate in DEFAULT_LR.items())

GROUPS: dict[str, dict[str, Entry]] = {
    "data": {
        "data": (
            "FILE|NAME",
            "a UTF-8 text (or .gz), kjv, pydoc, or ptb:FOLDER with ptb.train.txt and so on",
            "kjv, the King James Bible",
        ),
        "valid": (
            "FILE|none",
            "a text to validate on; none: do not validate",
            "that of the data, else the end of the text",
        ),
        "valid_fraction": ("X", "part of the text held back to validate on", None),
        "level": ("char|word|byte", "what a token is", "word for ptb, else char"),
        "vocab_size": ("V", "words: keep the V most frequent", "all"),
        "min_count": ("N", "words: keep those that come at least N times", None),
        "unknown": (
            "",
            "characters: one more symbol stands for those that the text has not",
            "only if the validation text needs it",
        ),
        "max_tokens": ("N", "train on the first N tokens only", "all"),
    },
    "model": {
        "cell": ("rnn|lstm|gru", "the recurrent cell", None),
        "embed": ("D", "width of the embedding", None),
        "hidden": ("H", "width of each recurrent layer", None),
        "layers": ("L", "number of recurrent layers", None),
        "dropout": ("P", "dropout after the embedding and after each layer", None),
        "variational": ("", "one dropout mask for all steps of a sequence", None),
        "tied": ("", "embedding and output share one matrix (needs D = H)", None),
        "one_hot": ("", "no embedding: tokens enter as one-hot vectors", None),
        "reset_after": ("", "gru: apply the reset gate after the product", None),
        "layer_norm": ("", "normalise the products in the cell; no fast kernel", None),
        "peepholes": ("", "lstm: the gates see the cell state; no fast kernel", None),
        "projection": ("P", "lstm: project the output to width P; no fast kernel", "none"),
        "cell_clip": ("X|none", "lstm: clip the cell state; no fast kernel", "none"),
        "zoneout": ("P", "elements of the state that keep their value; no fast kernel", None),
        "recurrent_dropout": ("P", "dropout of the state that a cell sees; no fast kernel", None),
        "weight_drop": ("P", "dropout of the recurrent weights", None),
        "residual": ("", "each layer adds its input to its output (needs D = H)", None),
        "trainable_state": (
            "",
            "learn the state that a text starts from; only steps that start there move it: "
            "the first, and where an epoch resets the state",
            None,
        ),
        "init": ("glorot|book|uniform", "how initial weights are drawn", None),
        "init_scale": ("X", "uniform: draw from -X to X", "by the layer's width"),
        "forget_bias": ("X", "lstm: initial bias of the forget gate", None),
        "dtype": ("float32|float64", "dtype of weights and computation", None),
        "precision": (
            "NAME",
            "what the operands of matrix products are rounded to: float32 (not at all), or on cupy "
            "tf32, float16 or bfloat16",
            None,
        ),
    },
    "steps": {
        "batch": ("N", "streams of text read side by side", None),
        "bptt": ("T", "tokens of each stream in a step; the gradient goes no further back", None),
        "batching": ("streams|dlfs2|char-rnn", "how the text is cut into batches", None),
        "reset_state_each_epoch": (
            "",
            "start each epoch from a zero state",
            "as it belongs to the batching",
        ),
        "accumulate": ("K", "run a batch in K parts, for one update: less memory", None),
        "epochs": ("E", "end after E times through the text", "none"),
        "steps": ("S", "end after S steps", f"{DEFAULT_STEPS} if no limit is given"),
        "minutes": ("M", "end after M minutes", "none"),
        "patience": ("K", "end after K validations without a better one", "none"),
    },
    "optimizer": {
        "optimizer": ("NAME", "sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw", None),
        "lr": ("X", "learning rate", _RATES),
        "momentum": ("X", "of momentum and nesterov", None),
        "beta1": ("X", "of adam and adamw: memory of the mean", None),
        "beta2": ("X", "of adam and adamw: memory of the square", None),
        "decay_rate": ("X", "of rmsprop: memory of the square", None),
        "eps": ("X", "what keeps a division from zero", "the optimizer's own"),
        "weight_decay": ("X", "of sgd, adam and adamw", "0.01 for adamw, else 0"),
        "clip": ("X|none", "largest norm of the whole gradient", None),
        "clip_values": ("X|none", "largest absolute value of a gradient's element", "none"),
        "sum_over_time": ("", "gradient of the sum over T steps, not of their mean", None),
        "schedule": (
            "NAME",
            "constant, cosine, decay-after or divide-on-worse",
            "cosine; constant if only --minutes is given",
        ),
        "warmup": ("S", "cosine: steps of rising", None),
        "final_lr": ("X", "cosine: learning rate at the end", None),
        "decay_after": ("E", "decay-after: epochs at the full rate", None),
        "decay_factor": ("X", "decay-after: factor of each epoch from then on", None),
        "divide_factor": ("X", "divide-on-worse: divisor after a worse validation", None),
    },
    "run": {
        "validate_every": ("S", "steps between validations; 0: at the end of epochs", "4 a run"),
        "valid_batch": ("N", "streams in which the validation text is read", None),
        "valid_protocol": ("exact|dlfs2", "see rnn-xp evaluate --help", None),
        "log_every": ("S", "steps between two rows of metrics.jsonl", None),
        "save_every": ("SECONDS", "longest time between two checkpoints", None),
        "seed": ("S", "of the initial weights and of dropout", None),
        "threads": ("K", "threads of NumPy's matrix products", "all cores"),
        "backend": (
            "NAME",
            "numpy, cupy, auto, torch or array_api_strict, with an optional :device",
            "RNN_BACKEND, else numpy",
        ),
    },
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare one option for each setting."""
    known = {entry.name: entry for entry in fields(TrainSettings)}
    for title, entries in GROUPS.items():
        group = parser.add_argument_group(title)
        for name, (metavar, text, default) in entries.items():
            entry = known[name]
            words = _words(entry.default) if default is None else default
            settings: dict[str, Any] = {"help": f"{text} (default: {words})"}
            if _kind(entry.type) is bool:
                settings["action"] = argparse.BooleanOptionalAction
            else:
                settings |= {"metavar": metavar, "type": _parser_of(entry.type)}
            group.add_argument(option_name(name), default=argparse.SUPPRESS, **settings)


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, by field name."""
    names = [name for entries in GROUPS.values() for name in entries]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def _kind(annotation: Any) -> type:
    """``int`` of ``int | None``."""
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not type(None)]
    found: type = kinds[0]
    return found


def _parser_of(annotation: Any) -> Any:
    kind = _kind(annotation)
    if kind is str:
        return str
    parse: Any = integer if kind is int else number
    return or_none(parse) if type(None) in get_args(annotation) else parse


def _words(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default)
