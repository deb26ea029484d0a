"""Draw ``results/lm_step.png`` from ``results/lm_step.jsonl``: tokens/s of every row and side.

Each row is scaled to its fastest rival (PyTorch, JAX), for the rows are orders of magnitude
apart; the number at a bar is in thousands of tokens per second. Needs matplotlib.
"""

import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from records import RESULTS, Result, conditions, read

RIVALS = ("PyTorch", "JAX")
COLOURS = {
    "rnn_xp": "#1f5fa8",
    "rnn_xp[fast]": "#0a2f5c",
    "PyTorch": "#d9822b",
    "JAX": "#8f9a3c",
    "Keras": "#a9a9a9",
}


def draw(rows: list[Result], path: Path) -> None:
    """Draw a group of bars for each row."""
    sides = [name for name in COLOURS if any(name in row["sides"] for row in rows)]
    height = 0.8 / len(sides)
    figure = Figure(figsize=(8, 0.9 + 0.17 * (len(sides) + 1) * len(rows)))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, side in enumerate(sides):
        for place, row in enumerate(rows):
            if side not in row["sides"]:
                continue
            speeds = {name: found["per_second"] for name, found in row["sides"].items()}
            best = max((speeds[r] for r in RIVALS if r in speeds), default=speeds[side])
            y, width = place - 0.4 + (number + 0.5) * height, speeds[side] / best
            label = side if place == 0 else None
            axes.barh(y, width, height, color=COLOURS[side], label=label)
            text = f" {speeds[side] / 1000:.3g}"
            axes.text(width, y, text, va="center", fontsize=6)
    axes.axvline(1, color="black", linewidth=0.6)
    axes.set_yticks(range(len(rows)), [row["row"]["name"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(
        "speed of a training step, the faster of PyTorch and JAX = 1 (number: k tokens/s)"
    )
    axes.set_title(conditions(rows), fontsize=5, wrap=True)
    axes.legend(fontsize=8, frameon=False)
    for name in ("top", "right"):
        axes.spines[name].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS / "lm_step.png"
    draw(read("lm_step"), target)
    print(f"wrote {target}")
