"""What a user waits for before anything happens: installing and importing, and the first step.

"import" is the time of ``python -c "import X"``, for rnn_xp with its models; "first step" that from
starting Python to the losses of the first three training steps of a small model, with all that is
compiled on the way (what Numba compiled before, it finds in its cache). The installed size is that
of the package and all that it requires.
"""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from driver import OURS, Benchmark
from lm_step import QUICK, SIDES
from records import Result, spread
from timing import Job, Step

IMPORTS = {
    "rnn_xp": "from rnn_xp import Rnnlm",
    "rnn_xp[fast]": "from rnn_xp import Rnnlm",
    "PyTorch": "import torch",
    "JAX": "import jax.numpy",
    "Keras": "import keras",
}
DISTRIBUTIONS = {
    "rnn_xp": ["rnn-xp"],
    "rnn_xp[fast]": ["rnn-xp", "numba"],
    "PyTorch": ["torch"],
    "JAX": ["jax"],
    "Keras": ["keras", "jax"],
}
HERE = Path(__file__).parent


def builder(name: str) -> Any:
    """The two jobs of a side; each step starts an interpreter."""

    def build(job: Job) -> Step:
        size = sum(installed(list(DISTRIBUTIONS[name])).values())
        command = [sys.executable, "-c", IMPORTS[name]]
        text = ""
        if job["what"] == "first step":
            command = [sys.executable, str(HERE / "lm_step.py"), "--worker", name]
            text = json.dumps({"build": job, "seconds": 0.0}) + "\n"

        def step() -> tuple[int, Any]:
            subprocess.run(command, input=text, text=True, stdout=subprocess.DEVNULL, check=True)
            return 1, float(size)

        return step

    return build


def installed(names: list[str]) -> dict[str, int]:
    """Bytes of distributions and all that they require."""
    sizes: dict[str, int] = {}
    while names:
        name = names.pop()
        if name in sizes:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:  # required on other systems only
            continue
        files = [Path(str(found.locate_file(path))) for path in found.files or ()]
        if name == "rnn-xp":  # in a checkout only a link is installed
            spec = importlib.util.find_spec("rnn_xp")
            places = spec.submodule_search_locations if spec else None
            files = [path for place in places or () for path in Path(place).rglob("*.*")]
        sizes[name] = sum(os.path.getsize(path) for path in files if path.is_file())
        for requirement in found.requires or ():
            needed, _, marker = requirement.partition(";")
            if "extra" not in marker:
                names.append(name_of(needed))
    return sizes


def name_of(requirement: str) -> str:
    """The name at the start of a requirement."""
    end = next((k for k, c in enumerate(requirement) if not (c.isalnum() or c in "-_.")), None)
    return requirement[:end].replace("_", "-").lower()


def columns(result: Result) -> dict[str, str]:
    """A row of the table."""
    cells = {"what": result["row"]["name"]}
    for name, side in result["sides"].items():
        text = f"{1 / side['per_second']:.2f} s"
        if result["row"]["what"] == "import":
            text += f", {side['value'] / 2**20:.0f} MiB"
        cells[name] = text
    for side in OURS:
        if side in result["sides"] and "PyTorch" in result["sides"]:
            cells[f"{side}: times PyTorch"] = spread(result["ratios"][side]["PyTorch"])
    return cells


BENCHMARK = Benchmark(
    __file__,
    [
        {"name": "import", "what": "import", "random": True, "fresh": True},
        {**QUICK[0], "name": "first step", "what": "first step", "random": True, "fresh": True},
    ],
    [{"name": "import", "what": "import", "random": True, "fresh": True}],
    {name: replace(SIDES[name], build=builder(name)) for name in IMPORTS},
    columns,
    rounds=4,
    optional=("Keras",),
    share=True,
)

if __name__ == "__main__":
    BENCHMARK.main(__doc__)
