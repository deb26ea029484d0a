"""``rnn-xp info``: what was found on this machine, or what a run folder holds."""

import argparse
import json
from typing import Any

from rnn_xp.cli.errors import bad_usage
from rnn_xp.cli.machine import describe_machine
from rnn_xp.cli.run_info import describe_run, run_text
from rnn_xp.kernels import PRIMITIVES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="a run folder (default: show the machine)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.run is not None:
        found = describe_run(args.run)
        print(json.dumps(found, indent=2) if args.json else run_text(found))
        return 0
    with bad_usage():
        machine = describe_machine()
    print(json.dumps(machine, indent=2) if args.json else _machine_text(machine))
    return 0


def _machine_text(machine: dict[str, Any]) -> str:
    numpy, blas = machine["numpy"], machine["numpy"]["blas"]
    selected, kernels = machine["selected"], machine["kernels"]
    lines = [
        f"rnn_xp {machine['rnn_xp']}, Python {machine['python']}, {machine['platform']}, "
        f"{machine['cpus']} CPUs",
        f"NumPy {numpy['version']} with {blas['name']} {blas['version']}, "
        f"{blas['threads']} threads",
        "",
        "backends",
    ]
    for name, found in machine["backends"].items():
        what = (
            f"{found['version']:10} {', '.join(found['devices'])}"
            if found["available"]
            else f"{'no':10} {found['problem']}"
        )
        lines.append(f"  {name:18}{what}")
    asked = "is not set" if selected["RNN_BACKEND"] is None else f"is {selected['RNN_BACKEND']}"
    lines += [f"  in use: {selected['backend']} (RNN_BACKEND {asked})", "", "kernels"]
    tables = kernels["by_dtype"]
    same = len({tuple(table.values()) for table in tables.values()}) == 1
    for dtype, table in list(tables.items())[: 1 if same else None]:
        for kind in ("compiled", "fast", "generic"):
            names = [p for p in PRIMITIVES if table[p] == kind]
            if not names and kind == "compiled":
                continue
            lines += _wrapped(f"  {kind}" if same else f"  {kind}, {dtype}", names or ["none"])
    lines.append(f"  {_numba_text(kernels['numba'])}")
    if kernels["mode"] != "auto":
        lines.append(f"  (RNN_XP_KERNELS is {kernels['mode']})")
    lines += ["", "extras"]
    for name, extra in machine["extras"].items():
        lines.append(f"  {name:18}{extra['version'] or 'no':10} {extra['used_for']}")
    return "\n".join(lines)


def _numba_text(numba: dict[str, Any]) -> str:
    if numba["problem"] is not None:
        return f"no compiled kernels: {numba['problem']}"
    if numba["cache_on_disk"]:
        return f"numba {numba['version']} compiles at the first call and keeps the result on disk"
    return (
        f"numba {numba['version']} compiles in every process: it finds no folder to keep the "
        "result in; set NUMBA_CACHE_DIR"
    )


def _wrapped(head: str, words: list[str], width: int = 100) -> list[str]:
    lines = [f"{head:20}"]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > width:
            lines.append(" " * 20)
        lines[-1] += f"{word} "
    return [line.rstrip() for line in lines]
