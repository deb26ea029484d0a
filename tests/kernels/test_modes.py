"""``RNN_XP_KERNELS``: which kernels are chosen, and when a refusal is an error."""

import pytest

from rnn_xp.backend import get_backend
from rnn_xp.errors import KernelRefused
from rnn_xp.kernels import GENERIC, FastKernels, kernel_report, select
from rnn_xp.kernels.choice import kernel_mode
from rnn_xp.layers import TimeLSTM


def fast_forward():
    """Stands for a fast kernel."""


FAST = [FastKernels({"rnn_forward": fast_forward}, frozenset({"float32"}))]


def test_kernel_modes(monkeypatch):
    assert kernel_mode() == "auto"
    monkeypatch.setenv("RNN_XP_KERNELS", "strict")
    assert kernel_mode() == "strict"
    monkeypatch.setenv("RNN_XP_KERNELS", "fast")
    with pytest.raises(
        ValueError, match="RNN_XP_KERNELS='fast', expected one of auto, numpy, generic"
    ):
        kernel_mode()


def test_a_fast_kernel_is_taken_for_the_dtypes_it_names():
    table = select("numpy", FAST, "float32", "auto")
    assert table.rnn_forward is fast_forward
    assert table.name == "numpy"
    assert table.lstm_forward is GENERIC.lstm_forward
    assert kernel_report(table)["rnn_forward"] == "fast"
    assert kernel_report(table)["lstm_forward"] == "generic"


def test_a_refusal_falls_back_to_generic_and_is_an_error_if_strict():
    assert select("numpy", FAST, "float64", "auto") is GENERIC
    assert select("numpy", FAST, "float32", "strict").rnn_forward is fast_forward
    with pytest.raises(KernelRefused, match="rnn_forward take float32, not float64"):
        select("numpy", FAST, "float64", "strict")


def test_generic_mode_takes_no_fast_kernel(monkeypatch):
    assert select("numpy", FAST, "float32", "generic") is GENERIC
    monkeypatch.setenv("RNN_XP_KERNELS", "generic")
    assert get_backend("numpy").kernels() is GENERIC
    assert TimeLSTM.create(2, 3).kernels is GENERIC


def test_other_libraries_run_on_the_generic_kernels(strict, monkeypatch):
    for mode in ("auto", "generic", "strict"):
        monkeypatch.setenv("RNN_XP_KERNELS", mode)
        assert strict.kernels("float64") is GENERIC
