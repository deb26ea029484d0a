"""The cases of the number file: what is built and how it is run, for TensorFlow and for us.

`make` takes a namespace with TensorFlow's names, so the same line builds both cells.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

D, N, T = 3, 4, 5
LENGTHS = (5, 0, 2, 3)
FEEDBACK = 0.5  # raw_feedback: next_input = 0.5 * the first D columns of the output


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[Any], Any]
    run: str = "dynamic"
    lengths: tuple[int, ...] | None = None
    initial: bool = False
    time_major: bool = False
    D: int = D
    N: int = N
    T: int = T


CELLS = {
    "basic_rnn": lambda tf: tf.BasicRNNCell(4),
    "basic_rnn_relu": lambda tf: tf.BasicRNNCell(4, activation="relu"),
    "gru": lambda tf: tf.GRUCell(4),
    "gru_softsign": lambda tf: tf.GRUCell(4, activation="softsign"),
    "basic_lstm": lambda tf: tf.BasicLSTMCell(4),
    "basic_lstm_forget": lambda tf: tf.BasicLSTMCell(4, forget_bias=0.25),
    "basic_lstm_array": lambda tf: tf.BasicLSTMCell(4, state_is_tuple=False),
    "basic_lstm_sigmoid": lambda tf: tf.BasicLSTMCell(4, activation="sigmoid"),
    "lstm": lambda tf: tf.LSTMCell(4, forget_bias=0.5),
    "lstm_softsign": lambda tf: tf.LSTMCell(4, activation="softsign"),
    "lstm_peepholes": lambda tf: tf.LSTMCell(4, use_peepholes=True),
    "lstm_cell_clip": lambda tf: tf.LSTMCell(4, cell_clip=0.3),
    "lstm_projection": lambda tf: tf.LSTMCell(4, num_proj=2),
    "lstm_projection_clip": lambda tf: tf.LSTMCell(4, num_proj=5, proj_clip=0.2),
    "lstm_clip_without_projection": lambda tf: tf.LSTMCell(4, proj_clip=0.01),
    "lstm_everything": lambda tf: tf.LSTMCell(
        4, use_peepholes=True, cell_clip=0.4, num_proj=3, proj_clip=0.3, forget_bias=0.5
    ),
    "lstm_everything_array": lambda tf: tf.LSTMCell(
        4, use_peepholes=True, cell_clip=0.4, num_proj=3, proj_clip=0.3, state_is_tuple=False
    ),
    "multi": lambda tf: tf.MultiRNNCell(
        [tf.LSTMCell(4, num_proj=2), tf.GRUCell(3), tf.BasicLSTMCell(2)]
    ),
    "multi_one": lambda tf: tf.MultiRNNCell([tf.BasicLSTMCell(4)]),
    "multi_array": lambda tf: tf.MultiRNNCell(
        [tf.BasicRNNCell(4), tf.BasicLSTMCell(2, state_is_tuple=False), tf.GRUCell(3)],
        state_is_tuple=False,
    ),
    "residual": lambda tf: tf.ResidualWrapper(tf.GRUCell(5)),
    "residual_fn": lambda tf: tf.ResidualWrapper(tf.BasicRNNCell(5), residual_fn=tf.product),
    "residual_stack": lambda tf: tf.MultiRNNCell(
        [
            tf.DropoutWrapper(tf.ResidualWrapper(tf.BasicLSTMCell(5)), output_keep_prob=1.0),
            tf.ResidualWrapper(tf.LSTMCell(5, use_peepholes=True)),
        ]
    ),
}


def _dropout(cell, **keep):
    def make(tf):
        wrapped = cell(tf)
        return tf.DropoutWrapper(
            wrapped, variational_recurrent=True, input_size=D, dtype=tf.dtype, **keep
        )

    return make


# With masks that the case fixes, see `noise`. TensorFlow holds the probabilities in float32.
DROPOUT = {
    "dropout_io": _dropout(CELLS["basic_lstm"], input_keep_prob=0.625, output_keep_prob=0.75),
    "dropout_lstm": _dropout(
        CELLS["lstm_projection"], input_keep_prob=0.625, output_keep_prob=0.75, state_keep_prob=0.5
    ),
    "dropout_gru": _dropout(CELLS["gru"], state_keep_prob=0.5),
    "dropout_multi": _dropout(CELLS["multi"], state_keep_prob=0.5),
    "dropout_all": lambda tf: tf.DropoutWrapper(
        tf.BasicLSTMCell(4),
        state_keep_prob=0.5,
        variational_recurrent=True,
        dtype=tf.dtype,
        dropout_state_filter_visitor=lambda state: True,
    ),
}

CASES = [Case(name, make) for name, make in (CELLS | DROPOUT).items()]
CASES += [
    Case(f"{name}-lengths", make, lengths=LENGTHS, initial=True)
    for name, make in (CELLS | DROPOUT).items()
]
CASES += [
    Case(f"{name}-time_major", CELLS[name], lengths=LENGTHS, time_major=True)
    for name in ("basic_lstm", "lstm_everything", "multi")
]
CASES += [
    Case(f"{name}-call", CELLS[name], run="call", initial=True)
    for name in ("basic_rnn", "gru", "basic_lstm_array", "lstm_everything", "multi", "residual")
]
CASES += [
    Case(f"{name}-static", CELLS[name], run="static")
    for name in ("basic_rnn", "lstm_everything", "multi_array", "residual_stack")
]
CASES += [
    Case(f"{name}-static-lengths", CELLS[name], run="static", lengths=LENGTHS, initial=True)
    for name in ("basic_rnn", "lstm_everything", "multi_array", "residual_stack")
]


def _both(fw, bw):
    return lambda tf: (CELLS[fw](tf), CELLS[bw](tf))


for _fw, _bw in (("basic_lstm", "gru"), ("lstm_everything", "multi"), ("basic_rnn", "lstm")):
    for _run in ("bidirectional", "static_bidirectional"):
        CASES += [
            Case(f"{_fw}-{_bw}-{_run}", _both(_fw, _bw), run=_run),
            Case(f"{_fw}-{_bw}-{_run}-l", _both(_fw, _bw), _run, LENGTHS, initial=True),
        ]
CASES.append(
    Case("bidirectional-time_major", _both("gru", "lstm"), "bidirectional", LENGTHS, True, True)
)
CASES += [
    Case(f"{name}-raw", CELLS[name], run="raw", lengths=LENGTHS, initial=True)
    for name in ("basic_rnn", "basic_lstm", "lstm_everything", "multi")
]
CASES += [
    Case(f"{name}-raw_feedback", CELLS[name], run="raw_feedback", lengths=LENGTHS, initial=True)
    for name in ("basic_rnn", "basic_lstm_array", "gru")
]
CASES = [replace(case, D=5) if "residual" in case.name else case for case in CASES]
BY_NAME = {case.name: case for case in CASES}


def generator(case):
    return np.random.default_rng(zlib.crc32(case.name.encode()))


def draw(rng, shape, scale=1.0):
    """Float64 numbers that float32 holds exactly, so that both precisions get the same."""
    return (rng.standard_normal(shape) * scale).astype(np.float32).astype(np.float64)


def draw_inputs(case, rng):
    leading = (case.T, case.N) if case.time_major else (case.N, case.T)
    return draw(rng, (*leading, case.D))


def leaves(structure):
    """The arrays in nested tuples and lists, in order."""
    if isinstance(structure, tuple | list):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def refill(structure, values):
    """`structure` with its leaves replaced by the next of the iterator `values`."""
    if isinstance(structure, tuple | list):
        parts = [refill(part, values) for part in structure]
        return type(structure)(*parts) if hasattr(structure, "_fields") else type(structure)(parts)
    return next(values)


def noise(case, rng, state_size, output_size):
    """Uniform noise of a variational DropoutWrapper: input, output, then the state's leaves."""
    widths = [case.D, output_size, *leaves(state_size)]
    return [rng.uniform(size=(1, w)).astype(np.float32).astype(np.float64) for w in widths]


def run_case(tf, case, cells, x, initial):
    """Outputs and final state of every kind of run but the raw ones."""
    options = {"sequence_length": case.lengths, "dtype": tf.dtype}
    if case.lengths is not None:
        options["sequence_length"] = np.array(case.lengths, dtype=np.int32)
    if case.run == "dynamic":
        return tf.dynamic_rnn(
            cells[0], x, initial_state=initial[0], time_major=case.time_major, **options
        )
    steps = None if case.run == "bidirectional" else [x[:, t, :] for t in range(case.T)]
    if case.run == "static":
        return tf.static_rnn(cells[0], steps, initial_state=initial[0], **options)
    if case.run == "call":
        outputs, state = [], initial[0]
        for step in steps[:2]:
            output, state = cells[0](step, state)
            outputs.append(output)
        return outputs, state
    pair = {"initial_state_fw": initial[0], "initial_state_bw": initial[1]}
    if case.run == "bidirectional":
        return tf.bidirectional_dynamic_rnn(
            *cells, x, time_major=case.time_major, **pair, **options
        )
    outputs, fw, bw = tf.static_bidirectional_rnn(*cells, steps, **pair, **options)
    return outputs, (fw, bw)
