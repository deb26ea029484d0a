"""Write the tables of the results between their markers, ``<!-- lm-step -->`` and the like.

python benchmarks/table.py [FILE ...]       default: benchmarks/README.md and the main README
"""

import importlib
import sys
from pathlib import Path

from records import RESULTS, conditions, markdown, read

NAMES = ("lm_step", "where", "layers", "generate", "memory", "startup", "scaling")
HERE = Path(__file__).parent


def table(name: str) -> str:
    """The table of ``results/<name>.jsonl``, what it was measured on, and its summary."""
    module, results = importlib.import_module(name), read(name)
    if name == "scaling":
        rows = [cells for result in results for cells in module.columns(result)]
    else:
        rows = [module.columns(result) for result in results]
    summary = module.BENCHMARK.summary(results) if hasattr(module, "BENCHMARK") else ""
    text = f"{conditions(results)}\n\n{markdown(rows)}\n"
    return f"{text}\n{summary}\n" if summary else text


def main() -> None:
    """Rewrite the files named on the command line."""
    for path in map(Path, sys.argv[1:] or (HERE / "README.md", HERE.parent / "README.md")):
        text = path.read_text("utf-8")
        for name in NAMES:
            marker = name.replace("_", "-")
            start, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
            if start in text and (RESULTS / f"{name}.jsonl").exists():
                before, rest = text.split(start, 1)
                text = f"{before}{start}{table(name)}{end}{rest.split(end, 1)[1]}"
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
