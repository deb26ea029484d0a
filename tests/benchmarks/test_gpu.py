"""The commands for a machine with a CUDA device, rehearsed without one."""

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
ENVIRONMENT = {
    **os.environ,
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": str(FOLDER.parent),
}
NEEDS_TORCH = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


@pytest.fixture
def benchmarks(monkeypatch):
    """The modules of the benchmarks can be imported, here and in processes that start here."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(FOLDER.parent), str(FOLDER))))


def run(script, *options):
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{script}.py"), *map(str, options)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=120,
    )


@NEEDS_TORCH
def test_every_sort_of_row_is_rehearsed(tmp_path):
    done = run("gpu", "--rehearse", "--out", tmp_path, "--parts", "probes", "rows")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert document["rehearsal"]
    assert {v for n, v in document["probes"].items() if n.startswith("rnn_xp:")} == {
        "not measured: no CUDA device"
    }
    rows = {r["row"]["name"]: r for r in document["rows"]}
    assert len(rows) == 8
    for row in rows.values():
        ours, other = row["sides"]["rnn_xp"], row["sides"][row["row"]["against"]]
        assert other["wall"] > 0
        if row["row"]["precision"] == "float32":
            assert row["ratio"]["median"] > 0  # so three steps gave the same values
        else:  # NumPy has one precision
            assert "precision" in ours["refused"]
            assert "ratio" not in row
    page = (tmp_path / "gpu.md").read_text()
    assert page.startswith("# Rehearsal")
    assert "- not measured: no CUDA device" in page


@NEEDS_TORCH
def test_what_no_time_is_left_for_is_named(tmp_path):
    options = ("--parts", "rows", "--minutes", 0.05, "--commit", "abc")
    done = run("gpu", "--rehearse", "--out", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "gpu.json").read_text())
    assert document["commit"] == "abc"
    assert document["rows"] == []
    assert len(document["left_out"]) == 8
    assert document["left_out"][0] in (tmp_path / "gpu.md").read_text()


def test_without_a_device_nothing_is_measured(tmp_path):
    done = run("gpu", "--out", tmp_path / "none")
    if done.returncode == 0:
        pytest.skip("there is a CUDA device")
    assert done.returncode == 1
    assert done.stderr.startswith("no CUDA device: ")
    assert not (tmp_path / "none").exists()


def test_a_worker_that_dies_hangs_or_fails_costs_one_answer(benchmarks, tmp_path, monkeypatch):
    from gpu_worker import Worker

    (tmp_path / "bad_side.py").write_text(
        "import os, time\n"
        "from gpu_worker import Refused\n"
        "class Bad:\n"
        "    def well(self): return os.getpid()\n"
        "    def die(self): os._exit(7)\n"
        "    def hang(self): time.sleep(60)\n"
        "    def fail(self): raise ValueError('two\\nlines')\n"
        "    def refuse(self): raise Refused('not that')\n"
        "def server(side): return Bad()\n"
        "def unheard(*arguments): os._exit(8)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((os.environ["PYTHONPATH"], str(tmp_path))))
    monkeypatch.syspath_prepend(str(tmp_path))
    worker = Worker("bad_side", "any", tmp_path / "log")
    try:
        pids = [worker.ask("well", 30)["reply"]]
        assert worker.ask("refuse", 30) == {"refused": "not that"}
        assert worker.ask("well", 30) == {"reply": pids[0]}
        for bad, message in (
            ("die", "the process ended with exit code 7"),
            ("fail", "ValueError: two lines"),
            ("hang", "no answer to 'hang' within 1 s"),
        ):
            assert worker.ask(bad, 1 if bad == "hang" else 30) == {"failed": message}
            pids.append(worker.ask("well", 30)["reply"])
        assert len(set(pids)) == 4
        worker.close()
        monkeypatch.setattr("gpu_worker.serve", importlib.import_module("bad_side").unheard)
        assert worker.ask("well", 30) == {"failed": "the process ended with exit code 8"}
    finally:
        worker.close()


def test_unequal_work_has_no_ratio(benchmarks):
    from gpu_measure import difference

    row = {"kind": "lm", "precision": "float32", "against": "PyTorch"}
    assert difference(row, [1.0, 5.0], [1.00001, 6.0]) == ""
    assert "rnn_xp computes 1, PyTorch 1.001" in difference(row, [1.0], [1.001])
    assert difference({**row, "precision": "tf32"}, [1.0], [1.001]) == ""
    assert difference({**row, "check": True}, [1.0, 5.0], [1.0, 6.0])
    assert difference({**row, "kind": "layer"}, [1.0, 5.0], [1.0, 6.0])
    assert difference({**row, "random": True}, [1.0], [2.0]) == ""
    assert difference(row, [float("nan")], [float("nan")])


def test_names_of_failing_tests_are_read_with_and_without_xdist(benchmarks):
    from gpu_tests import outcomes

    text = """\
tests/a.py::test_b[cupy-x y] PASSED      [ 10%]
tests/a.py::test_c[cupy] FAILED          [ 20%]
[gw3] [ 30%] FAILED tests/a.py::test_d[cupy]
[gw1] [ 40%] SKIPPED tests/a.py::test_e[cupy]
tests/a.py::test_f SKIPPED (no reason)   [ 50%]
FAILED tests/a.py::test_c[cupy] - ValueError: why - so
"""
    assert outcomes(text) == {
        "counts": {"failed": 2, "passed": 1, "skipped": 2},
        "failing": ["tests/a.py::test_c[cupy]", "tests/a.py::test_d[cupy]"],
        "messages": {"tests/a.py::test_c[cupy]": "ValueError: why - so"},
    }


def test_a_run_of_tests_has_a_time_limit(benchmarks, tmp_path):
    from gpu_tests import run_tests

    (tmp_path / "test_slow.py").write_text(
        "import time\ndef test_cupy(): pass\ndef test_cupy_slow(): time.sleep(60)\n"
    )
    found = run_tests((str(tmp_path),), 0.2, tmp_path / "log", required=False)
    assert not found["finished"]
    assert found["exit_code"] is None
    assert found["seconds"] < 20


def test_rows_have_names_of_their_own_and_cover_the_sizes(benchmarks):
    from gpu_rows import ROWS

    assert len({row["name"] for row in ROWS}) == len(ROWS)
    for size, low, high in (("N", 1, 256), ("H", 128, 2048), ("T", 35, 512)):
        found = {row[size] for row in ROWS if row["against"] == "PyTorch"}
        assert (min(found), max(found)) == (low, high)


def test_the_tests_to_run_exist(benchmarks):
    from gpu_tests import FIRST, REHEARSED, REST

    assert not [path for path in (*FIRST, *REST, *REHEARSED) if not (FOLDER.parent / path).exists()]


@pytest.mark.parametrize("fixture", ["be", "quick_be", "cuda_be", "cupy_be"])
def test_every_test_of_cupy_is_chosen(benchmarks, fixture, tmp_path):
    """By its name: each fixture that opens CuPy has it among its parameters."""
    from gpu_tests import CHOSEN

    (tmp_path / "test_it.py").write_text(f"def test_it({fixture}): pass\n")
    (tmp_path / "conftest.py").write_text((FOLDER.parent / "tests/conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", CHOSEN, "--rootdir", str(tmp_path), "-c", os.devnull, str(tmp_path)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(str, (FOLDER.parent, "tests")))},
        cwd=FOLDER.parent,
    )
    assert "test_it.py::test_it[cupy]" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("arch", ["80", "90", "100"])
def test_the_kernels_of_the_probes_compile(arch):
    try:
        from cupy_backends.cuda.libs import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"NVRTC is not installed ({str(error)[:200]})")
    source = (FOLDER / "gpu_kernels.cu").read_text()
    program = nvrtc.createProgram(source, "gpu_kernels.cu", (), ())
    try:
        nvrtc.compileProgram(program, ("--std=c++17", f"-arch=sm_{arch}"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    nvrtc.destroyProgram(program)


@pytest.fixture
def ptb(tmp_path):
    folder = tmp_path / "ptb"
    folder.mkdir()
    words, rng = ["a", "b", "c", "d", "<unk>"], random.Random(0)
    for part, lines in (("train", 200), ("valid", 100), ("test", 100)):
        text = "".join(" " + " ".join(rng.choices(words, k=7)) + " \n" for _ in range(lines))
        (folder / f"ptb.{part}.txt").write_text(text)
    return folder


def test_ptb_runs_go_on_where_they_ended(ptb, tmp_path):
    def go(minutes):
        options = ("--rehearse", "--ptb", ptb, "--out", tmp_path / "runs", "--minutes", minutes)
        done = run("gpu_ptb", *options)
        assert done.returncode == 0, done.stderr
        return json.loads((tmp_path / "runs" / "ptb.json").read_text())["runs"]

    first = go(0.003)
    assert "minutes" in {result["ended"] for result in first.values()}
    last = go(2)
    for result in last.values():
        assert result["ended"] == "done"
        assert result["epochs"] == 2
        assert len(result["seconds_an_epoch"]) == 2
        assert 1 < result["test_perplexity"]["exact"] < 10
    assert "dlfs2" in last["dlfs2-rnnlm"]["test_perplexity"]
    assert "2 of 2" in (tmp_path / "runs" / "ptb.md").read_text()


def test_carry_copies_the_data_and_prints_the_commands(ptb, tmp_path):
    done = run("gpu_carry", "--ptb", ptb, "--folder", tmp_path / "carry", "--no-packages")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "carry" / "ptb").iterdir())) == 3
    assert "benchmarks/gpu.py" in done.stdout
    assert "benchmarks/gpu_ptb.py --ptb" in done.stdout
    (ptb / "ptb.test.txt").unlink()
    done = run("gpu_carry", "--ptb", ptb, "--no-packages")
    assert done.returncode == 2
    assert "has no ptb.test.txt" in done.stderr
