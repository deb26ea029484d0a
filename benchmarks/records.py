"""What is written down: results with machine, versions and commit, and tables made of them."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
Result = dict[str, Any]


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of installed packages."""
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def machine() -> dict[str, Any]:
    """Return what a reader needs to know of this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        named = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = named[0].split(":", 1)[1].strip() if named else model
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system()}


def commit() -> str:
    """Return the short hash of the checkout, with a + if it has changes."""
    command = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    here = Path(__file__).parent
    try:
        text = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return text.strip()


def write(name: str, rows: list[Result]) -> Path:
    """Write rows as JSON lines to ``results/<name>.jsonl``, with machine and commit."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.jsonl"
    stamp = {"date": time.strftime("%Y-%m-%d"), "commit": commit(), "machine": machine()}
    path.write_text("".join(json.dumps({**row, **stamp}) + "\n" for row in rows))
    return path


def read(name: str) -> list[Result]:
    """Rows that `write` wrote."""
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def conditions(rows: list[Result]) -> str:
    """A sentence on how the rows were measured."""
    first = rows[0]
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for side in row["sides"].values():
            for name, number in side["versions"].items():
                # Two of one name: those of the other interpreter.
                found.setdefault(name, {})[number] = None
    names = ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in found.items())
    return (
        f"{first['machine']['cpu']}, {first['machine']['cores']} cores, {first['threads']} threads "
        f"a side, float32, {first['rounds']} rounds, {first['date']}, commit {first['commit']}; "
        f"{names}."
    )


def markdown(rows: list[dict[str, str]]) -> str:
    """A Markdown table; the columns are the keys, "" where a row has none."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(row.get(name, "") for name in names) + " |" for row in rows]
    return "\n".join(lines)


def spread(ratio: dict[str, float]) -> str:
    """A ratio as "**median** (lowest to highest)"."""
    return f"**{ratio['median']:.2f}** ({ratio['min']:.2f} to {ratio['max']:.2f})"
