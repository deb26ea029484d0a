"""Write the table of a benchmark's results between its markers in a Markdown file.

python benchmarks/table.py benchmarks/README.md README.md
"""

import json
import sys
from pathlib import Path
from typing import Any

from timing import RESULTS


def lm_step() -> str:
    """Table of ``results/lm_step.jsonl``."""
    rows: list[dict[str, Any]] = [
        json.loads(line) for line in (RESULTS / "lm_step.jsonl").read_text().splitlines()
    ]
    first = rows[0]
    machine, versions = first["machine"], first["workers"]["torch"]["versions"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {first['threads']} threads a side, float32, "
        f"{first['rounds']} pairs, {first['date']}, commit {first['commit']}; "
        f"NumPy {versions['numpy']}, PyTorch {versions['torch']}.",
        "",
        "| model | cell | V | D | H | layers | N x T | rnn_xp tokens/s | PyTorch tokens/s "
        "| times as fast (lowest to highest pair) | memory, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        job, ours, theirs = row["row"], row["workers"]["rnn_xp"], row["workers"]["torch"]
        ratio = row["speed_ratio"]["torch"]
        lines.append(
            f"| {job['name']} | {job.get('cell', 'lstm')} | {job['V']} | {job['D']} | {job['H']} "
            f"| {job['layers']} | {job['N']} x {job['T']} | {ours['tokens_per_second']:,} "
            f"| {theirs['tokens_per_second']:,} "
            f"| **{ratio['median']:.2f}** ({ratio['min']:.2f} to {ratio['max']:.2f}) "
            f"| {ours['job_bytes'] / 2**20:.0f} against {theirs['job_bytes'] / 2**20:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Rewrite the files named on the command line."""
    start, end = "<!-- lm-step -->\n", "<!-- /lm-step -->"
    for name in sys.argv[1:]:
        path = Path(name)
        before, _, rest = path.read_text("utf-8").partition(start)
        _, _, after = rest.partition(end)
        path.write_text(f"{before}{start}{lm_step()}\n{end}{after}", "utf-8")


if __name__ == "__main__":
    main()
