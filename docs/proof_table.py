"""Run the proof grid and print its errors as Markdown: the table in the README.

    python docs/proof_table.py                      print
    python docs/proof_table.py --write README.md    put it between the markers
    python docs/proof_table.py --check README.md    fail if what is there is not that of the code

Needs PyTorch (pip install 'rnn-xp[oracle,test]'). The rows, the oracles and the tolerances are
those of the tests, in ``tests/proof``.
"""

import argparse
import math
import os
import re
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.insert(0, str(TESTS))
os.environ.pop("RNN_XP_KERNELS", None)

# Found through the path that was just extended.
import backends  # noqa: E402
from proof.grid import CELLS, COLUMNS, PARTS, ROWS, SEQUENCES, SINGLE_ROWS, TOGETHER_ROWS  # noqa: E402
from proof.oracles import (  # noqa: E402
    DIFFERENCES,
    FLOAT32_FORWARD,
    FLOAT32_GRADIENT,
    FLOAT64,
    autograd,
    differences,
    generic,
    results,
    slopes_off,
    worst,
)
from proof.pairs import PAIR_ROWS, PAIRS  # noqa: E402
from proof.sequences import KINDS  # noqa: E402

BEGIN, END = "<!-- proof-table -->", "<!-- /proof-table -->"
ORACLES = {
    "central differences": DIFFERENCES,
    "PyTorch autograd": FLOAT64,
    "generic kernels": FLOAT64,
}
# How many cells share a line of the first table: a line each would make it longer
# without saying more.
SIMPLE_CELLS = sum(kind.cell for kind in KINDS.values())
# Entries that differ by less than this factor, or are both below FLOAT64, are the same:
# rounding errors depend on the machine.
SLACK = 100.0


def measure(row, oracle, variant, dtype="float64"):
    """Largest relative error of `row` on a backend over all sets of upstream gradients."""
    errors = []
    for chosen in row.subsets:
        outputs, gradients = results(row, variant.name, dtype, chosen)
        if oracle == "central differences":
            errors.append(worst(gradients, differences(row, chosen))[0])
            continue
        references = (autograd if oracle == "PyTorch autograd" else generic)(row, chosen)
        errors += [worst(outputs, references[0])[0], worst(gradients, references[1])[0]]
    return max(errors)


def label_of(row):
    """Name of the layer of a row of `SEQUENCES` in the table."""
    if row.kind.cell:
        return f"`TimeCell` with {SIMPLE_CELLS} cells"
    return row.kind.label


def layer_table():
    """Recurrent layers: one line for each oracle, one column for each option."""
    numpy = backends.BY_NAME["numpy"]
    lines = [["layer", "checked against", *COLUMNS]]
    for label in dict.fromkeys(label_of(row) for row in SEQUENCES):
        rows = [row for row in SEQUENCES if label_of(row) == label]
        for oracle in ORACLES:
            if oracle == "generic kernels" and rows[0].kind.cell:
                continue  # cells have no other kernels
            entries = [
                number(max(measure(r, oracle, numpy) for r in rows if r.option.column == column))
                for column in COLUMNS
            ]
            lines.append([label, oracle, *entries])
    return lines


def option_table(head, rows):
    """Options: one line each, with the layers it was tried on and one column an oracle."""
    numpy = backends.BY_NAME["numpy"]
    lines = [[head, "layers", *ORACLES]]
    for label in dict.fromkeys(row.label for row in rows):
        own = [row for row in rows if row.label == label]
        names = dict.fromkeys(kind.name for row in own for kind in row.used)
        entries = [number(max(measure(r, o, numpy) for r in own)) for o in ORACLES]
        if all(kind.cell for row in own for kind in row.used):
            entries[-1] = "–"  # cells have no other kernels
        lines.append([label, ", ".join(names), *entries])
    return lines


def pair_errors(row):
    """Largest relative error of a pair of options, for each oracle."""
    outputs, gradients = results(row, "numpy", "float64", row.subsets[-1])
    errors = [max(slopes_off(row, gradients).values())]
    for oracle in (autograd, generic):
        references = oracle(row, row.subsets[-1])
        errors.append(max(worst(outputs, references[0])[0], worst(gradients, references[1])[0]))
    return errors


def pair_table():
    """One line for each option: the worst of all pairs that it is in."""
    errors = {row: pair_errors(row) for row in PAIR_ROWS}
    lines = [["option", "pairs", *ORACLES]]
    for name in dict.fromkeys(name for pair in PAIRS for name in pair):
        pairs = [rows for pair, rows in PAIRS.items() if name in pair]
        own = [row for rows in pairs for row in rows]
        entries = [number(max(column)) for column in zip(*map(errors.get, own), strict=True)]
        if all(kind.cell for row in own for kind in row.used):
            entries[-1] = "–"  # cells have no other kernels
        lines.append([name, str(len(pairs)), *entries])
    return lines


def cell_table():
    """Cells that run in `TimeCell` only: one line each, and no other kernels to compare with."""
    numpy = backends.BY_NAME["numpy"]
    oracles = [o for o in ORACLES if o != "generic kernels"]
    lines = [["cell", *oracles]]
    for label in dict.fromkeys(row.label for row in CELLS):
        rows = [row for row in CELLS if row.label == label]
        entries = [number(max(measure(r, o, numpy) for r in rows)) for o in oracles]
        lines.append([label, *entries])
    return lines


def part_table():
    """The other layers: one line each, one column for each oracle."""
    numpy = backends.BY_NAME["numpy"]
    lines = [["layer", *ORACLES]]
    for label in dict.fromkeys(row.label for row in PARTS):
        rows = [row for row in PARTS if row.label == label]
        entries = [number(max(measure(r, o, numpy) for r in rows)) for o in ORACLES]
        lines.append([label, *entries])
    return lines


def backend_table():
    """All rows on every backend, against the generic kernels on NumPy in float64."""
    lines = [["backend", "float64", "float32"]]
    for variant in backends.VARIANTS:
        if variant.name == "numpy-generic":
            continue
        name = {"array_api_strict": "array_api_strict, on its second device"}.get(
            variant.name, variant.name
        )
        if variant.problem() is not None:
            lines.append([name, "not run", "not run"])
            continue
        entries = [
            number(max(measure(r, "generic kernels", variant, dtype) for r in ROWS))
            for dtype in ("float64", "float32")
        ]
        lines.append([name, *entries])
    return lines


def number(error):
    """One digit, rounded up."""
    if error == 0.0:
        return "0"
    exponent = math.floor(math.log10(error))
    digit = math.ceil(error / 10.0**exponent - 1e-9)
    return f"{digit}e{exponent}" if digit < 10 else f"1e{exponent + 1}"


def markdown(lines):
    """Table, with repeated labels left out."""
    head, *body = lines
    text = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    before = None
    for line in body:
        cells = ["" if line[0] == before else line[0], *line[1:]]
        before = line[0]
        text.append(f"| {' | '.join(cells)} |")
    return "\n".join(text)


def render():
    """The whole text between the markers."""
    return "\n\n".join(
        [
            "Largest error relative to the largest entry of the reference array, float64, NumPy "
            "backend, over outputs and gradients and over every choice of upstream gradients. "
            f"Tolerances: {DIFFERENCES:.0e} for central differences, {FLOAT64:.0e} for the rest.",
            markdown(layer_table()),
            "Options of the layers that are named, the worst of them in each line (`user` is a "
            "user's own cell; masks that are drawn are those of a training call):",
            markdown(option_table("option", SINGLE_ROWS)),
            markdown(option_table("three options and more", TOGETHER_ROWS)),
            f"Each option with each other that it goes with, {len(PAIR_ROWS)} rows, central "
            "differences along random directions. Which they are, and what does not go together, "
            "is in [docs/option_pairs.md](docs/option_pairs.md).",
            markdown(pair_table()),
            "Cells in `TimeCell`, over plain sequences, lengths, a mask in a stateful layer, two "
            "directions with a mask, and two layers:",
            markdown(cell_table()),
            markdown(part_table()),
            "The same rows but for the pairs on every backend, against the generic kernels in "
            f"float64 (tolerances {FLOAT64:.0e}, in float32 {FLOAT32_FORWARD:.0e} for outputs and "
            f"{FLOAT32_GRADIENT:.0e} for gradients):",
            markdown(backend_table()),
        ]
    )


def cells(text):
    """All table cells of a text, line by line."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def same(old, new):
    """Whether two table cells say the same."""
    if old == new or "not run" in (old, new):
        return True
    try:
        a, b = float(old), float(new)
    except ValueError:
        return False
    return max(a, b) <= FLOAT64 or max(a, b) <= SLACK * min(a, b)


def compare(old, new):
    """Lines in which two texts differ, by more than rounding does."""
    a, b = cells(old), cells(new)
    if len(a) != len(b):
        return [f"{len(a)} lines of tables, expected {len(b)}"]
    return [
        f"{' | '.join(x)}  expected  {' | '.join(y)}"
        for x, y in zip(a, b, strict=True)
        if len(x) != len(y) or not all(map(same, x, y))
    ]


def main():
    """Print, write or check the table; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--write", metavar="FILE", help="put the table between the markers in FILE")
    group.add_argument("--check", metavar="FILE", help="fail unless FILE holds the table")
    options = parser.parse_args()
    if backends.BY_NAME["torch"].problem() is not None:
        print("docs/proof_table.py: needs PyTorch: pip install 'rnn-xp[oracle]'", file=sys.stderr)
        return 2
    table = render()
    target = options.write or options.check
    if target is None:
        print(table)
        return 0
    text = Path(target).read_text(encoding="utf-8")
    found = re.search(f"(?<={BEGIN})(.*)(?={END})", text, re.DOTALL)
    if found is None:
        print(f"docs/proof_table.py: {target} has no {BEGIN} ... {END}", file=sys.stderr)
        return 2
    if options.write:
        changed = text[: found.start()] + f"\n{table}\n" + text[found.end() :]
        Path(target).write_text(changed, encoding="utf-8")
        return 0
    problems = compare(found.group(), table)
    for problem in problems:
        print(f"{target}: {problem}", file=sys.stderr)
    if problems:
        print("run: python docs/proof_table.py --write README.md", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
