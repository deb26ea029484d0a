"""Values, states and all gradients against numbers that TensorFlow computed."""

import backends
import pytest
import tf1_cases as cases
from tf1_numbers import compare, read, run


def check(case, be, dtype):
    given = read()[case.name]
    found, names = run(case, given, be, dtype)
    expected = {k: v for k, v in given.items() if k.startswith(("result", "d"))}
    assert set(found) == set(expected)
    if case.run == "raw_feedback":  # all inputs but the first are made from outputs
        found["dx"][:, 1:] = 0.0
    assert names == given["names"]
    compare(found, expected, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", cases.CASES, ids=lambda c: c.name)
def test_numpy(case, dtype):
    check(case, backends.BY_NAME["numpy"].open(), dtype)


EVERYWHERE = [
    "basic_rnn",
    "gru-lengths",
    "basic_lstm_array-lengths",
    "lstm_everything-lengths",
    "multi-lengths",
    "multi_array-static-lengths",
    "residual_stack-lengths",
    "residual_fn-lengths",
    "dropout_lstm-lengths",
    "lstm_everything-multi-bidirectional-l",
    "lstm_everything-multi-static_bidirectional-l",
    "multi-call",
    "lstm_everything-raw",
    "gru-raw_feedback",
]


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_backend(name, be):
    check(cases.BY_NAME[name], be, "float64")
