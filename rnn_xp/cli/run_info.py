"""What ``rnn-xp info RUN`` shows."""

import shlex
from dataclasses import fields
from typing import Any

from rnn_xp.cli.wording import plural, validation
from rnn_xp.train import RunFolder, TrainSettings, clock, option_name


def describe_run(path: str) -> dict[str, Any]:
    """Everything that `RunFolder.summary` says, and the shapes of the parameters.

    Raises
    ------
    CheckpointError
        If the folder is missing, or a file in it is.
    """
    run = RunFolder.open(path)
    model = run.load_model(backend="numpy")
    shapes = {name: list(array.shape) for name, array in model.named_parameters.items()}
    return {
        **run.summary(),
        "parameter_count": model.parameter_count,
        "generic_because": list(model.config.generic_because),
        "parameters": shapes,
    }


def run_text(found: dict[str, Any]) -> str:
    """The same for people: what was trained, how far it is, how to get the same again."""
    level, model, data = found["level"], found["model"], found["data"]
    kind = f"{model['cell'].upper()} {model['layers']} x {model['hidden']}"
    shapes = ", ".join(
        f"{name} {' x '.join(map(str, shape))}" for name, shape in found["parameters"].items()
    )
    sizes = f"{data['train_tokens']:,} {plural(level)} to train on"
    if data["valid_tokens"]:
        sizes += f", {data['valid_tokens']:,} to validate on"
    rows = {
        "model": f"{kind}, {found['parameter_count']:,} parameters",
        "kernels": _kernels(found["generic_because"]),
        "precision": _precision(found["settings"]),
        "parameters": shapes,
        "data": f"{data['name']}: {sizes}; vocabulary of {model['vocab_size']:,}",
        "trained": f"{found['step']:,} steps, {found['epoch']:.2f} epochs, "
        f"{found['tokens']:,} {plural(level)}, {clock(found['seconds'])}",
        "best": "no validation yet"
        if found["best"] is None
        else f"{validation(found['best'], level)} at step {found['best_step']:,}",
        "options": _options(found["settings"]),
        "files": ", ".join(found["files"]),
        "written by": f"rnn_xp {found['version']}",
    }
    return "\n".join([found["path"], *(f"  {name:12}{text}" for name, text in rows.items())])


def _kernels(generic_because: list[str]) -> str:
    """Whether the recurrent layers run the fast sequence kernels."""
    if not generic_because:
        return "fast sequence kernels, where the backend has them"
    return f"one step at a time, because of {', '.join(map(option_name, generic_because))}"


def _precision(settings: dict[str, Any]) -> str:
    """Of the weights, and of the matrix products in training if that is another one."""
    dtype, products = settings["dtype"], settings["precision"]
    return dtype if products == "float32" else f"{dtype}, matrix products of training in {products}"


def _options(settings: dict[str, Any]) -> str:
    """The options that differ from their defaults, as the command line takes them."""
    words = []
    for entry in fields(TrainSettings):
        value = settings[entry.name]
        if value == entry.default:
            continue
        option = option_name(entry.name)
        if isinstance(value, bool):
            words.append(option if value else option.replace("--", "--no-", 1))
        else:
            text = "none" if value is None else shlex.quote(str(value))
            words.append(f"{option} {text}")
    return " ".join(words) or "all as by default"
