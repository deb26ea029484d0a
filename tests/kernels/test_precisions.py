"""Which table of kernels makes its matrix products in which precision."""

import pytest

from rnn_xp.backend import get_backend
from rnn_xp.errors import KernelRefused, PrecisionUnavailable
from rnn_xp.kernels import GENERIC, PRECISIONS, FastKernels, select

BOTH = frozenset({"float32", "float64"})
SINGLE = frozenset({"float32"})


def forward(*, precision="float32"):
    """Stands for a fast kernel with products."""
    return precision


def update():
    """Stands for one without."""


FAST = [
    FastKernels(
        {"rnn_forward": forward, "sgd_update": update}, BOTH, precise=frozenset({"rnn_forward"})
    )
]


def test_a_table_has_the_precision_that_was_asked_for():
    plain = select("cupy", FAST, "float32", "auto")
    assert plain.rnn_forward is forward
    assert plain.precise == frozenset()
    for precision in PRECISIONS[1:]:
        table = select("cupy", FAST, "float32", "auto", precision)
        assert table.rnn_forward() == precision
        assert table.precise == {"rnn_forward"}
        assert table.sgd_update is update
        assert table.lstm_forward is GENERIC.lstm_forward


def test_a_later_kernel_without_the_precision_takes_it_away():
    def later():
        """In float32 only."""

    more = [*FAST, FastKernels({"rnn_forward": later}, SINGLE)]
    with pytest.raises(PrecisionUnavailable, match="precision tf32 needs"):
        select("cupy", more, "float32", "auto", "tf32")
    other = FastKernels({"lstm_forward": forward}, SINGLE, precise=frozenset({"lstm_forward"}))
    table = select("cupy", [*more, other], "float32", "auto", "tf32")
    assert table.precise == {"lstm_forward"}
    assert table.rnn_forward is later


@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_refusals(precision, monkeypatch):
    with pytest.raises(
        PrecisionUnavailable, match=f"{precision} is for parameters of dtype float32.*float64"
    ):
        select("cupy", FAST, "float64", "auto", precision)
    with pytest.raises(PrecisionUnavailable, match=r"cupy computes in .*RNN_XP_KERNELS=generic"):
        select("cupy", FAST, "float32", "generic", precision)
    numpy = get_backend("numpy")
    for mode in ("auto", "numpy", "strict"):
        monkeypatch.setenv("RNN_XP_KERNELS", mode)
        with pytest.raises(
            PrecisionUnavailable,
            match=f"precision {precision} needs the fast kernels of the backend cupy; numpy "
            "computes in float32$",
        ):
            numpy.kernels("float32", precision)


def test_other_libraries_have_none(strict):
    with pytest.raises(PrecisionUnavailable, match="array_api_strict computes in float32"):
        strict.kernels("float32", "tf32")
    assert strict.kernels("float32", "float32") is GENERIC


def test_what_is_no_precision_is_refused():
    for dtype in ("float32", "float64"):
        with pytest.raises(
            ValueError, match="precision 'half', expected one of float32, tf32, float16, bfloat16"
        ):
            select("cupy", FAST, dtype, "auto", "half")


def test_strict_mode_refuses_as_before():
    with pytest.raises(KernelRefused, match="rnn_forward"):
        select("cupy", [FastKernels({"rnn_forward": forward}, SINGLE)], "float64", "strict")
