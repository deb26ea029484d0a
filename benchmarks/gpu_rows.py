"""The rows of the GPU benchmark, the most important first: a run does as many as its time allows.

The sizes cover N 1 to 256, H 128 to 2048 and T 35 to 512. A row is a job for both its sides;
``against`` names the other one.
"""

from lm_step import model
from timing import Job

PRECISIONS = ("float32", "tf32", "float16", "bfloat16")
TORCH, NUMPY = "PyTorch", "rnn_xp on NumPy"
# By how much the values of two sides may differ, relative.
TOLERANCE = {"float32": 1e-4, "tf32": 2e-3, "float16": 2e-2, "bfloat16": 2e-2}


def lm(
    H: int, layers: int, N: int, T: int = 35, cell: str = "lstm", V: int = 10000, **more: object
) -> Job:
    """A training step of a language model, without precision and rival."""
    name = f"lm {cell} {layers}x{H} N={N} T={T} V={V}"
    return {"kind": "lm", **model(name, V, H, layers, N, T, cell, **more)}


def layer(cell: str, H: int, N: int, T: int, layers: int = 1) -> Job:
    """Forward and backward of a lone layer, or of some, without precision."""
    sizes = {"T": T, "N": N, "H": H, "layers": layers, "mode": "training"}
    name = f"layer {cell} {layers}x{H} N={N} T={T}"
    return {"kind": "layer", "name": name, "cell": cell, **sizes}


def spread(jobs: list[Job], precisions: tuple[str, ...] = PRECISIONS) -> list[Job]:
    """The jobs in every precision, against PyTorch."""
    return [
        {**job, "name": f"{job['name']} {p}", "precision": p, "against": TORCH}
        for job in jobs
        for p in precisions
    ]


def against_numpy(jobs: list[Job]) -> list[Job]:
    """The jobs in float32, against our own NumPy backend."""
    more = {"precision": "float32", "against": NUMPY}
    return [{**job, "name": f"{job['name']} and NumPy", **more} for job in jobs]


MEDIUM = lm(650, 2, 20, dropout=0.5, random=True)
MEDIUM["name"] = "lm Zaremba medium, dropout 0.5"
# The targets speak of these: N <= 64, H <= 1024.
TARGETS = [
    MEDIUM,
    lm(650, 2, 20),
    lm(200, 1, 20),
    lm(512, 1, 64),
    lm(1024, 1, 64),
    lm(512, 2, 64),
    lm(1024, 2, 64),
    lm(1024, 1, 20),
]
GRU = [lm(650, 1, 20, cell="gru"), lm(512, 2, 64, cell="gru"), lm(1024, 1, 64, cell="gru")]
RNN = [lm(650, 1, 20, cell="rnn"), lm(512, 1, 64, cell="rnn")]
# From what a processor does at once to what it chokes on; the crossing point is among them.
CROSSING = [
    lm(32, 1, 4, V=100),
    lm(64, 1, 8, V=1000),
    lm(128, 1, 16, V=1000),
    lm(100, 1, 20),
    lm(128, 2, 50, 50, V=65),
    lm(256, 1, 32),
    lm(512, 1, 1, V=1000),
    lm(650, 2, 20),
]


def star(cell: str) -> list[Job]:
    """Layers around N = 32, H = 512, T = 128, one size changed at a time."""
    points = [(512, 32, 128)]
    points += [(H, 32, 128) for H in (1024, 128, 256, 2048)]
    points += [(512, N, 128) for N in (1, 64, 8, 128, 256)]
    points += [(512, 32, T) for T in (35, 512)]
    return [layer(cell, *point) for point in points]


def stacks(cell: str) -> list[Job]:
    """Two layers, where cuDNN leaves its persistent kernels."""
    return [layer(cell, H, N, T, 2) for H, N, T in ((512, 32, 128), (1024, 64, 128), (650, 20, 35))]


LARGE = [lm(2048, 1, 64), lm(1024, 1, 256), lm(512, 2, 32, T=512), lm(512, 1, 1), lm(1500, 2, 20)]

ROWS = [
    *spread(TARGETS, ("float32", "tf32")),
    *against_numpy(CROSSING),
    *spread(TARGETS, ("float16", "bfloat16")),
    *spread(GRU),
    *spread(stacks("lstm")),
    *spread(star("lstm")),
    *spread(stacks("gru")),
    *spread(star("gru")),
    *spread(RNN),
    *spread(LARGE),
    *spread(star("rnn"), ("float32", "bfloat16")),
]


def rehearsal() -> list[Job]:
    """Tiny rows, one of each sort."""
    small = [lm(12, 2, 3, 5, V=50), lm(12, 1, 3, 5, "gru", V=50)]
    rows = [
        *spread(small[:1], ("float32", "tf32", "bfloat16")),
        *spread(small[1:], ("float32",)),
        *spread([layer(cell, 8, 3, 5, 2) for cell in ("lstm", "gru", "rnn")], ("float32",)),
        *against_numpy(small[:1]),
    ]
    return [{**row, "check": True} for row in rows]
