"""What the GPU benchmark writes: one JSON file, and a page of tables made of it."""

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from gpu_measure import OURS
from gpu_rows import NUMPY, TORCH
from records import markdown, spread

TARGETS = (
    ("float32 and TF32, N <= 64, H <= 1024", ("lm",), ("float32", "tf32"), None),
    ("float16 and bfloat16, N <= 64, H <= 1024", ("lm",), ("float16", "bfloat16"), None),
    ("GRU, and LSTM of 2 layers, N <= 64, H <= 1024", ("lm", "layer"), None, "gru or deep"),
)


def save(folder: Path, document: dict[str, Any]) -> None:
    """Write ``gpu.json`` and ``gpu.md``, each at once."""
    texts = {"gpu.json": json.dumps(document, indent=1) + "\n", "gpu.md": page(document)}
    for name, text in texts.items():
        temporary = folder / f"{name}.part"
        temporary.write_text(text, "utf-8")
        os.replace(temporary, folder / name)


def page(document: dict[str, Any]) -> str:
    """All of it as Markdown."""
    title = "GPU benchmark"
    if document["rehearsal"]:
        title = "Rehearsal on the processor: none of these figures is of worth"
    parts = [f"# {title}", _conditions(document)]
    parts += ["## CuPy tests", *(_tests(*item) for item in document["tests"].items())]
    parts += [f"## Probe: {name}\n\n{_probe(found)}" for name, found in document["probes"].items()]
    rows = document["rows"]
    for heading, chosen in (
        ("Training steps of a language model", [r for r in rows if _is(r, "lm", TORCH)]),
        ("Layers, forward and backward", [r for r in rows if _is(r, "layer", TORCH)]),
        ("GPU and NumPy", [r for r in rows if _is(r, "lm", NUMPY)]),
    ):
        if chosen:
            parts.append(f"## {heading}\n\n{markdown([columns(r) for r in chosen])}")
    parts += ["## Summary", "\n".join(f"- {line}" for line in summary(document))]
    if document["left_out"]:
        names = "\n".join(f"- {name}" for name in document["left_out"])
        parts.append(f"## Left out: no time was left\n\n{names}")
    return "\n\n".join(parts) + "\n"


def columns(result: dict[str, Any]) -> dict[str, str]:
    """A row of the tables; times are of a step, in ms: on the clock, and (asked for)."""
    row, sides = result["row"], result["sides"]
    cells = {name: str(row[name]) for name in ("cell", "layers", "H", "N", "T", "precision")}
    if row["kind"] == "lm":
        cells |= {"V": str(row["V"]), "dropout": str(row.get("dropout", 0))}
    for name in (OURS, row["against"]):
        side = sides[name]
        cells[f"{name}, ms (asked)"] = (
            f"{1e3 * side['wall']:.3f} ({1e3 * side['host']:.3f})" if "wall" in side else "-"
        )
    other = row["against"]
    cells[f"times {other}"] = spread(result["ratio"]) if "ratio" in result else "-"
    memory = [(sides[name].get("memory") or {}).get("used") for name in (OURS, other)]
    cells["memory, MiB"] = " / ".join("-" if m is None else f"{m / 2**20:.0f}" for m in memory)
    if row["kind"] == "lm":
        busy = sides[OURS].get("busy")
        cells["returns while the device is busy, ms"] = "-" if busy is None else f"{1e3 * busy:.1f}"
    notes = [f"{n}: {w} ({side[w]})" for n, side in sides.items() for w in NOTES if w in side]
    if not notes and "no_ratio" in result:
        notes.append(result["no_ratio"])
    cells["note"] = "; ".join(notes).replace("|", "\\|")
    return cells


NOTES = ("refused", "failed")


def summary(document: dict[str, Any]) -> list[str]:
    """Geometric means of the ratios to PyTorch, and where the GPU overtakes NumPy."""
    if document["rehearsal"]:
        return ["not measured: no CUDA device"]
    lines = []
    for label, kinds, precisions, shape in TARGETS:
        chosen = [r for r in document["rows"] if _counts(r, kinds, precisions, shape)]
        ratios = [r["ratio"]["median"] for r in chosen if "ratio" in r]
        text = f"{label}: {len(ratios)} of {len(chosen)} rows have a ratio to PyTorch"
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            text += f", geometric mean {mean:.2f}, lowest {min(ratios):.2f}"
        lines.append(text)
    lines.append(_crossing([r for r in document["rows"] if _is(r, "lm", NUMPY) and "ratio" in r]))
    return lines


def _crossing(results: list[dict[str, Any]]) -> str:
    if not results:
        return "crossing point of GPU and NumPy: not measured"
    named = [(r["row"]["name"], r["ratio"]["median"]) for r in results]
    slower = [f"{name} ({ratio:.2f})" for name, ratio in named if ratio < 1]
    faster = [f"{name} ({ratio:.2f})" for name, ratio in named if ratio >= 1]
    return (
        f"faster on NumPy: {', '.join(slower) or 'none'}; on the GPU: {', '.join(faster) or 'none'}"
    )


def _counts(result: dict[str, Any], kinds: Any, precisions: Any, shape: str | None) -> bool:
    row = result["row"]
    deep = row["cell"] == "gru" or (row["cell"] == "lstm" and row["layers"] > 1)
    return (
        row["against"] == TORCH
        and row["kind"] in kinds
        and row["N"] <= 64
        and row["H"] <= 1024
        and (precisions is None or row["precision"] in precisions)
        and (shape is None or deep)
    )


def _is(result: dict[str, Any], kind: str, against: str) -> bool:
    return bool(result["row"]["kind"] == kind and result["row"]["against"] == against)


def _conditions(document: dict[str, Any]) -> str:
    keys = ("date", "commit", "minutes", "seconds", "rounds", "threads", "machine", "versions")
    return "\n".join(f"- {key}: {_flat(document[key])}" for key in keys)


def _tests(name: str, found: dict[str, Any]) -> str:
    ended = "finished" if found["finished"] else "stopped at its time limit"
    lines = [f"{name}: {ended} after {found['seconds']} s: {_flat(found['counts']) or 'no tests'}"]
    lines += [f"- {test}: {found['messages'].get(test, '')}" for test in found["failing"]]
    return "\n".join(lines)


def _probe(found: Any) -> str:
    if not isinstance(found, dict):
        return str(found)
    return markdown([{"what": str(name), "found": _flat(value)} for name, value in found.items()])


def _flat(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r'[{}"]', "", text).replace("|", "\\|")
