"""Every benchmark runs on tiny jobs, and all sides of it do the same work.

With ``--quick`` a script compares what its sides computed (losses of three training steps,
outputs and gradients, the text of greedy generation) to 1e-4, and fails if they differ. JAX
and Keras take part where ``RNN_XP_BENCH_JAX`` names an interpreter that has them.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
ALL = ("numpy", "auto")
ROWS = {
    "lm_step": 4,
    "layers": 9,
    "generate": 4,
    "memory": 4,
    "startup": 1,
    "scaling": 4,
    "where": 4,
}
HAS_TORCH = importlib.util.find_spec("torch") is not None


def run(script, *options):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{script}.py"), *options],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )


def lines(script, *options):
    # The compiled kernels where they compute something that is compared.
    kernels = ALL if script in ("lm_step", "layers", "generate") else ALL[:1]
    quick = ("--quick", "--dry", "--rounds", "1", "--kernels", *kernels)
    done = run(script, *quick, *options)
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if not line.startswith("without ")]


@pytest.mark.parametrize("script", ["lm_step", "layers", "generate", "memory", "startup"])
def test_the_sides_agree_and_every_row_is_printed(script):
    if not HAS_TORCH:
        pytest.skip("torch is not installed: there is no side to compare with")
    found = [line for line in lines(script) if "PyTorch" in line and ": times" in line]
    found = found or [line for line in lines(script) if "share of PyTorch's" in line]
    assert len(found) == ROWS[script]


def test_scaling_and_a_row_by_name():
    found = lines("scaling")
    assert len(found) == ROWS["scaling"]
    found = lines("scaling", "--only", "corpus")
    assert [line.partition("   ")[0] for line in found] == ["curve: corpus"] * 2


def test_where_the_time_goes_adds_up():
    for line in lines("where"):
        shares = [int(text) for text in re.findall(r"(-?\d+)%", line)]
        assert len(shares) == 7
        assert min(shares) >= 0
        assert 70 <= sum(shares) <= 101  # the rest is between the layers


@pytest.mark.skipif("RNN_XP_BENCH_JAX" not in os.environ, reason="RNN_XP_BENCH_JAX is not set")
def test_jax_and_keras_compute_the_same_losses():
    found = lines("lm_step", "--keras")
    assert all("JAX, tokens/s" in line and "Keras, tokens/s" in line for line in found[:-1])


def test_unequal_work_is_refused(tmp_path):
    script = tmp_path / "unequal.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(FOLDER)!r})\n"
        "from driver import Benchmark\n"
        "from timing import Side\n"
        "sides = {n: Side(lambda job, v=v: lambda: (1, v), ()) for n, v in (('a', 1), ('b', 2))}\n"
        "rows = [{'name': 'row'}]\n"
        "Benchmark(__file__, rows, rows, sides, lambda r: {}, 1).main('')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), "--quick", "--dry"], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "row: a computes [1.0, 1.0, 1.0], b [2.0, 2.0, 2.0]: not the same work" in done.stderr


def test_the_table_and_the_plot_are_made_from_the_results(tmp_path):
    pytest.importorskip("matplotlib")
    copy = tmp_path / "benchmarks"
    copy.mkdir()
    for path in FOLDER.glob("*.py"):
        (copy / path.name).write_bytes(path.read_bytes())
    options = ["--quick", "--rounds", "1", "--only", "gru", "--kernels", "numpy"]
    page = copy / "README.md"
    page.write_text("before\n<!-- lm-step -->\nold\n<!-- /lm-step -->\nafter\n")
    commands = [["lm_step.py", *options], ["table.py", str(page)], ["plot.py"]]
    for command in commands:
        done = subprocess.run([sys.executable, *command], cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    (row,) = (json.loads(x) for x in (copy / "results" / "lm_step.jsonl").read_text().splitlines())
    assert row["sides"]["gemm"]["per_second"] > 0
    text = page.read_text()
    assert text.startswith("before\n<!-- lm-step -->\n")
    assert text.endswith("\n<!-- /lm-step -->\nafter\n")
    assert "| gru | gru | 50 | 12 | 1 | 3 x 5 |" in text
    assert "old" not in text
    assert (copy / "results" / "lm_step.png").stat().st_size > 1000
