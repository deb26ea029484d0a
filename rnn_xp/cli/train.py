"""``rnn-xp train``: from a text to a run folder."""

import argparse
import shlex
from dataclasses import replace
from pathlib import Path
from textwrap import fill, indent
from typing import Any

from rnn_xp.backend import get_backend
from rnn_xp.cli.errors import INTERRUPTED, OK, UsageError, bad_usage
from rnn_xp.cli.train_options import add_settings, given_settings
from rnn_xp.cli.wording import plural, validation
from rnn_xp.generate import sample_text
from rnn_xp.kernels.choice import kernel_mode
from rnn_xp.train import (
    CHANGEABLE,
    PRESETS,
    Preset,
    ProgressReporter,
    RunFolder,
    RunInfo,
    TrainResult,
    TrainSettings,
    get_preset,
    make_settings,
    option_name,
    readable,
    train,
)

SAMPLE = {"char": 200, "byte": 200, "word": 40}
SAMPLE_TEMPERATURE = 0.8
RUNS = Path("runs")
FILES = {
    "config.json": "options, model and data",
    "vocab.json": "the vocabulary",
    "model.safetensors": "weights of the best validation",
    "last.safetensors": "what --resume needs",
    "metrics.jsonl": "losses, step by step",
    "curve.png": "the same as a picture",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="settings of a published run, listed below; other options go over them "
        "(default: none)",
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--out", metavar="RUN", help="the folder to write (default: runs/NAME-1, -2 and so on)"
    )
    where.add_argument(
        "--overwrite", action="store_true", help="replace the run that --out holds (default: no)"
    )
    where.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run, exactly as if it had not been stopped; it keeps its options, but "
        f"{', '.join(map(option_name, CHANGEABLE))} can be changed (default: a new run)",
    )
    add_settings(parser)
    parser.epilog = "\n".join(["presets:", *map(_described, PRESETS.values())])


def _described(preset: Preset) -> str:
    text = fill(f"{preset.summary}; {preset.reports}", 96, break_on_hyphens=False)
    return f"  {preset.name}\n{indent(text, ' ' * 6)}"


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    given = given_settings(args)
    for name in ("out", "resume"):
        if getattr(args, name) == "":  # a shell variable that is not set
            raise UsageError(f"--{name} '': expected the path of a run folder")
    if args.resume is not None:
        _refuse_with_resume(args)
        with bad_usage():
            get_backend(given.get("backend"))
            kernel_mode()
        with bad_usage(named=True):
            result = train(None, args.resume, resume=True, changes=given, reporter=_TrainReporter())
    else:
        if args.overwrite and args.out is None:
            raise UsageError("--overwrite needs --out RUN, the run to replace")
        with bad_usage():
            settings = make_settings(args.preset, **given)
            get_backend(settings.backend)
            kernel_mode()
        out = _fresh_folder(settings) if args.out is None else Path(args.out)
        with bad_usage(named=True):
            result = train(settings, out, overwrite=args.overwrite, reporter=_TrainReporter())
    print(_report(result))
    return INTERRUPTED if result.interrupted else OK


def _refuse_with_resume(args: argparse.Namespace) -> None:
    for name in ("preset", "out", "overwrite"):
        if getattr(args, name):
            raise UsageError(f"--{name} is for a new run; leave it out with --resume")


def _fresh_folder(settings: TrainSettings) -> Path:
    """The first of ``runs/NAME-1``, ``runs/NAME-2``, … that is free."""
    data = settings.data or "kjv"
    name = settings.preset or Path(data.removeprefix("ptb:")).name.partition(".")[0] or "run"
    number = 1
    while (RUNS / f"{name}-{number}").exists():
        number += 1
    return RUNS / f"{name}-{number}"


class _TrainReporter(ProgressReporter):
    """Says more at the start: what the run folder's configuration knows."""

    def started(self, info: RunInfo) -> None:
        """Print what is used, and open the bar."""
        super().started(replace(info, notes=[*_plan(info), *info.notes]))


def _plan(info: RunInfo) -> list[str]:
    config = RunFolder.open(info.path).config
    settings, data = config.settings, config.data
    tokens = plural(config.level)
    valid = f"{data['valid_tokens']:,} to validate on" if data["valid_tokens"] else "no validation"
    limits = [] if info.total_steps is None else [f"{info.total_steps:,} steps"]
    limits += [] if settings.minutes is None else [f"{settings.minutes:g} minutes"]
    lines = [
        f"data: {data['train_tokens']:,} {tokens} to train on, {valid}",
        f"plan: {' or '.join(limits)}, {settings.batch} streams x {settings.bptt} {tokens} a step, "
        f"{settings.optimizer}, learning rate {settings.learning_rate:g} ({settings.schedule})",
    ]
    if settings.preset is not None:
        lines.append(f"preset {settings.preset}: {get_preset(settings.preset).reports}")
    if info.total_steps is not None and info.first_step >= info.total_steps:
        lines.append("nothing is left to do: the run is at its end; --steps or --epochs extends it")
    start = f" from step {info.first_step:,} on" if info.first_step else ""
    lines.append(f"run folder: {info.path}{start} (Ctrl-C saves and stops)")
    return lines


def _report(result: TrainResult) -> str:
    """What came out, and what to do next."""
    run, path = RunFolder.open(result.path), shlex.quote(str(result.path))
    level, settings = run.config.level, run.config.settings
    lines = _numbers(result, level)
    if settings.preset is not None:
        lines.append(f"preset {settings.preset}: {get_preset(settings.preset).reports}")
    if result.interrupted:
        lines.append(f"stopped at step {result.step:,}, saved in {path}")
        lines.append(f"go on with: rnn-xp train --resume {path}")
        return "\n".join(lines)
    if result.stopped == "patience":
        lines.append(f"ended by --patience {settings.patience}: as many validations were no better")
    lines += ["", f"a sample (temperature {SAMPLE_TEMPERATURE}):", indent(_sample(run), "  ")]
    lines += ["", "wrote:"]
    lines += [f"  {file!s:32}  {FILES.get(name, '')}" for name, file in result.files.items()]
    if result.stopped == "patience":
        longer = "--patience none"
    elif settings.steps is not None:
        longer = f"--steps {2 * settings.steps}"
    elif settings.epochs is not None:
        longer = f"--epochs {2 * settings.epochs}"
    else:
        longer = f"--minutes {2 * (settings.minutes or 1):g}"
    lines += [
        "",
        "next:",
        f"  rnn-xp generate {path} --prompt TEXT",
        f"  rnn-xp train --resume {path} {longer}",
    ]
    return "\n".join(lines)


def _numbers(result: TrainResult, level: str) -> list[str]:
    if result.best is not None:
        return [f"best validation: {validation(result.best, level)} (step {result.best_step:,})"]
    if result.train_loss is not None:
        return [f"training, last epoch: {readable(result.train_loss, level)}"]
    return []


def _sample(run: RunFolder) -> str:
    level = run.config.level
    settings: dict[str, Any] = {"temperature": SAMPLE_TEMPERATURE, "seed": 0}
    model = run.load_model(which="best", backend=run.config.settings.backend)
    (text,) = sample_text(model, run.tokenizer(), "", SAMPLE[level], **settings)
    return text.strip("\n")
