"""The same comparison with TensorFlow itself, over random sizes, cells and options."""

import importlib.util

import backends
import numpy as np
import pytest
import tf1_cases as cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tf1_numbers import compare, run
from tf1_oracle import reference

sizes = st.integers(1, 6)
activations = st.sampled_from([None, "tanh", "relu", "sigmoid", "elu", "softsign"])


@st.composite
def cells(draw):
    """A function ``tf -> cell`` as in `tf1_cases`."""
    kind = draw(st.sampled_from(["BasicRNNCell", "GRUCell", "BasicLSTMCell", "LSTMCell"]))
    units, options = draw(sizes), {"activation": draw(activations)}
    if "LSTM" in kind:
        options["forget_bias"] = draw(st.sampled_from([0.0, 0.5, 1.0]))
        options["state_is_tuple"] = draw(st.booleans())
    if kind == "LSTMCell":
        options["use_peepholes"] = draw(st.booleans())
        options["cell_clip"] = draw(st.sampled_from([None, 0.25, 5.0]))
        options["num_proj"] = draw(st.none() | sizes)
        options["proj_clip"] = draw(st.sampled_from([None, 0.125, 5.0]))
    return lambda tf: getattr(tf, kind)(units, **options)


@st.composite
def random_cases(draw):
    run_kind = draw(st.sampled_from(["dynamic", "static", "bidirectional", "static_bidirectional"]))
    D, N, T = draw(sizes), draw(sizes), draw(sizes)
    lengths = draw(st.none() | st.lists(st.integers(0, T), min_size=N, max_size=N).map(tuple))
    parts = draw(st.lists(cells(), min_size=1, max_size=3))

    def make(tf):
        made = [part(tf) for part in parts]
        stacked = made[0] if len(made) == 1 else tf.MultiRNNCell(made)
        return (stacked, parts[0](tf)) if "bidirectional" in run_kind else stacked

    time_major = run_kind in ("dynamic", "bidirectional") and draw(st.booleans())
    return cases.Case(
        f"live-{draw(st.integers(0, 10**6))}",
        make,
        run_kind,
        lengths,
        draw(st.booleans()),
        time_major,
        D,
        N,
        T,
    )


@pytest.fixture(scope="module", autouse=True)
def _tensorflow():
    for module in ("tensorflow", "tf_keras"):
        if importlib.util.find_spec(module) is None:
            message = f"{module} is not installed"
            if module in backends.required():
                pytest.fail(f"RNN_XP_TEST_REQUIRE asks for {message}")
            pytest.skip(message)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(case=random_cases())
def test_tensorflow(dtype, case):
    given_numbers = reference(case, dtype)
    names = list(given_numbers.pop("names"))
    found, own_names = run(case, given_numbers, backends.BY_NAME["numpy"].open(), dtype)
    expected = {k: v for k, v in given_numbers.items() if k.startswith(("result", "d"))}
    assert own_names == names
    compare(found, expected, dtype)
    assert all(np.isfinite(v).all() for v in found.values())
