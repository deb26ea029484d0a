"""Gather what a machine without network lacks, and print the commands to run there.

Into a folder that git ignores: packages of pure Python for the tests (put on ``PYTHONPATH``
there, next to what the machine has), and the files of the Penn Treebank from a folder of yours.
Copy the checkout with that folder to the machine.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from records import commit

from rnn_xp.data.corpora import PTB_FILES

# Without what they depend on, which the machine has: NumPy, pytest.
PACKAGES = (
    "array-api-compat>=1.14",
    "array-api-strict>=2.6",
    "hypothesis>=6.100",
    "sortedcontainers>=2.4",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "execnet>=2.1",
    "threadpoolctl>=3.1",
)


def pip_command(folder: Path, python: str, platform: str) -> list[str]:
    """Install wheels for another machine into a folder."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--upgrade", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", python, "--platform", platform]
    return [*command, "--target", str(folder), *PACKAGES]


def commands(folder: Path, ptb: bool) -> list[str]:
    """What to run on the machine, in the root of the checkout."""
    start = f"PYTHONPATH=.:{shlex.quote(f'{folder}/packages')} python benchmarks/"
    stamp = f"--commit {shlex.quote(commit())}"
    lines = [f"{start}gpu.py {stamp}"]
    if ptb:
        lines.append(f"{start}gpu_ptb.py --ptb {shlex.quote(f'{folder}/ptb')} {stamp}")
    return lines


def main() -> int:
    """Gather, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ptb", type=Path, help=f"folder with {PTB_FILES} (default: no data)")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/carry"), help="default: build/carry"
    )
    parser.add_argument("--python", default="3.12", help="of the machine (default: 3.12)")
    parser.add_argument(
        "--platform", default="manylinux_2_28_x86_64", help="default: manylinux_2_28_x86_64"
    )
    parser.add_argument("--no-packages", action="store_true", help="the data alone")
    arguments = parser.parse_args()
    if arguments.ptb is not None:
        target = arguments.folder / "ptb"
        missing = [name for name in PTB_FILES if not (arguments.ptb / name).is_file()]
        if missing:
            parser.error(f"--ptb {arguments.ptb}: has no {', '.join(missing)}")
        target.mkdir(parents=True, exist_ok=True)
        for name in PTB_FILES:
            shutil.copyfile(arguments.ptb / name, target / name)
    if not arguments.no_packages:
        packages = arguments.folder / "packages"
        done = subprocess.run(pip_command(packages, arguments.python, arguments.platform))
        if done.returncode:
            print("the packages could not be gathered: see pip's message above", file=sys.stderr)
            return 1
    print(f"copy the checkout with {arguments.folder}, and run in its root:")
    for line in commands(arguments.folder, arguments.ptb is not None):
        print(f"  {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
