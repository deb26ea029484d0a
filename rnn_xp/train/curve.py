"""``curve.png``: the loss over the steps."""

import io
import logging
import math
import warnings
from textwrap import shorten
from typing import Any

from rnn_xp.files import atomic_write
from rnn_xp.train.plan import describe
from rnn_xp.train.run_folder import RunFolder

MISSING = (
    "no curve.png: matplotlib is not installed; pip install matplotlib, then resume the run to "
    "draw it"
)


def draw_curve(folder: RunFolder) -> str | None:
    """Draw the training and validation loss of a run into ``curve.png``.

    Whatever goes wrong is returned, not raised: no run ends because of a picture.

    Returns
    -------
    str or None
        Why there is no new picture, in a line.
    """
    log = logging.getLogger("matplotlib")
    level = log.level
    try:
        # It would say at length that its cache folder cannot be written to, and draws all the same.
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            # Such as one for each character of a file name that the font lacks.
            warnings.simplefilter("ignore", UserWarning)
            _draw(folder)
    except ModuleNotFoundError:
        return MISSING
    except Exception as error:
        return f"no new curve.png: {type(error).__name__}: {shorten(str(error), 200)}"
    finally:
        log.setLevel(level)
    return None


def _draw(folder: RunFolder) -> None:
    # The Figure alone: pyplot would keep global state and ask for a display.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = folder.metrics()
    word = folder.config.level == "word"
    train = _points(rows, "train_loss", word)
    valid = _points(rows, "valid_loss", word)
    if not train[0]:
        return
    figure = Figure(figsize=(8.0, 5.0), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    axes.plot(*_smooth(train), color="tab:blue", linewidth=1.2, label="training")
    if valid[0]:
        axes.plot(*valid, color="tab:orange", marker="o", markersize=4, label="validation")
        best = min(range(len(valid[1])), key=valid[1].__getitem__)
        axes.annotate(
            f"{valid[1][best]:.2f}" if word else f"{valid[1][best]:.3f}",
            (valid[0][best], valid[1][best]),
            textcoords="offset points",
            xytext=(0, -14),
            ha="center",
        )
    _label(axes, folder, word, [*train[1], *valid[1]])
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    with atomic_write(folder.file("curve.png")) as file:
        file.write(picture.getvalue())


def _label(axes: Any, folder: RunFolder, word: bool, values: list[float]) -> None:
    settings, model = folder.config.settings, folder.config.model
    axes.set_xlabel("optimiser steps")
    unit = {"char": "bits per character", "byte": "bits per byte"}.get(folder.config.level)
    axes.set_ylabel(unit or "perplexity")
    if word:
        axes.set_yscale("log")
    elif len(values) > 4:
        # The first steps are far above the rest and would flatten it.
        low, high = 0.95 * min(values), 1.05 * sorted(values)[int(0.98 * len(values))]
        if low < high:  # not where all is predicted: V = 1
            axes.set_ylim(low, high)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    title = _title(settings, model, folder.config.data)
    axes.set_title(title, fontsize="medium", parse_math=False)  # a file name may hold $


def _title(settings: Any, model: Any, data: dict[str, Any]) -> str:
    name = str(data["name"]).replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = name.encode("utf-8", "replace").decode("utf-8")  # a path may hold lone surrogates
    return describe(settings, model, None, shown)


def _points(rows: list[dict[str, Any]], key: str, word: bool) -> tuple[list[int], list[float]]:
    steps: list[int] = []
    values: list[float] = []
    for row in rows:
        nats = row.get(key)
        if isinstance(nats, (int, float)):
            steps.append(row["step"])
            values.append(math.exp(min(nats, 700.0)) if word else nats / math.log(2.0))
    return steps, values


def _smooth(points: tuple[list[int], list[float]]) -> tuple[list[float], list[float]]:
    """Means over neighbouring rows, so that at most about 500 points are drawn."""
    steps, values = points
    width = -(-len(steps) // 500)
    starts = range(0, len(steps), width)
    return (
        [sum(steps[i : i + width]) / len(steps[i : i + width]) for i in starts],
        [sum(values[i : i + width]) / len(values[i : i + width]) for i in starts],
    )
