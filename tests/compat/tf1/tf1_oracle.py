"""TensorFlow 1's cells, run by TensorFlow 2 in graph mode: the reference."""

import contextlib
import io
import os
import warnings
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tf1_cases as cases


def tensorflow():
    """TensorFlow, and a namespace with TensorFlow 1's cells and functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf
        from tf_keras.src.layers.rnn import legacy_cell_wrappers, legacy_cells

    tf.get_logger().setLevel("ERROR")
    v1 = tf.compat.v1
    names = SimpleNamespace(
        product=lambda inputs, outputs: inputs * outputs,
        dynamic_rnn=v1.nn.dynamic_rnn,
        static_rnn=v1.nn.static_rnn,
        bidirectional_dynamic_rnn=v1.nn.bidirectional_dynamic_rnn,
        static_bidirectional_rnn=v1.nn.static_bidirectional_rnn,
        raw_rnn=v1.nn.raw_rnn,
    )
    for module in (legacy_cells, legacy_cell_wrappers):
        vars(names).update({k: v for k, v in vars(module).items() if k[0].isupper()})
    return tf, names


def reference(case, dtype):
    """Run a case in TensorFlow.

    Returns
    -------
    dict of str to array
        ``x``, ``initial.k``, ``noise.k``, ``variable.k``, ``upstream.k``: what goes in;
        ``result.k`` (outputs, then states), ``dx``, ``dinitial.k``, ``dvariable.k``: what comes
        out. ``names`` are the variables' names.
    """
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        return _reference(case, dtype)


def _reference(case, dtype):
    tf, names = tensorflow()
    v1 = tf.compat.v1
    rng = cases.generator(case)
    found = {}
    with tf.Graph().as_default():
        names.dtype = tf.as_dtype(dtype)
        cells = case.make(names)
        cells = cells if isinstance(cells, tuple) else (cells,)
        found["x"] = cases.draw_inputs(case, rng)
        x = tf.constant(found["x"], dtype)
        initial = [None] * 2
        flat_initial = []
        if case.initial:
            for i, cell in enumerate(cells):
                shapes = cases.leaves(cell.state_size)
                arrays = [cases.draw(rng, (case.N, width)) for width in shapes]
                constants = [tf.constant(a, dtype) for a in arrays]
                initial[i] = cases.refill(cell.state_size, iter(constants))
                for array, constant in zip(arrays, constants, strict=True):
                    found[f"initial.{len(flat_initial)}"] = array
                    flat_initial.append(constant)
        if case.name.startswith("dropout"):
            _fix_noise(tf, case, cells[0], rng, dtype, found)
        if case.run.startswith("raw"):
            results = _raw(tf, names, case, cells[0], x, initial[0])
        else:
            results = cases.run_case(names, case, cells, x, initial)
        variables = v1.global_variables()
        found["names"] = np.array([v.name.removesuffix(":0") for v in variables])
        results = cases.leaves(results)
        assigns, loss = [], 0.0
        for k, variable in enumerate(variables):
            found[f"variable.{k}"] = cases.draw(rng, tuple(variable.shape), 0.6)
            assigns.append(variable.assign(found[f"variable.{k}"].astype(dtype)))
        for k, result in enumerate(results):
            shape = tuple(result.shape)
            if None in shape:  # what a while loop returns
                shape = (case.T, *shape[1:])
            found[f"upstream.{k}"] = cases.draw(rng, shape)
            loss += tf.reduce_sum(result * tf.constant(found[f"upstream.{k}"], dtype))
        wanted = [x, *flat_initial, *variables]
        gradients = tf.gradients(loss, wanted, unconnected_gradients="zero")
        with v1.Session() as session:
            session.run(assigns)
            values = session.run([*results, *gradients])
    keys = [f"result.{k}" for k in range(len(results))] + ["dx"]
    keys += [f"dinitial.{k}" for k in range(len(flat_initial))]
    keys += [f"dvariable.{k}" for k in range(len(variables))]
    found |= dict(zip(keys, values, strict=True))
    return found


def _fix_noise(tf, case, cell, rng, dtype, found):
    arrays = cases.noise(case, rng, cell.state_size, cell.output_size)
    for k, array in enumerate(arrays):
        found[f"noise.{k}"] = array
    constants = [tf.constant(a, dtype) for a in arrays]
    cell._recurrent_input_noise, cell._recurrent_output_noise = constants[:2]
    cell._recurrent_state_noise = cases.refill(cell.state_size, iter(constants[2:]))


def _raw(tf, names, case, cell, x, initial):
    """``raw``: `dynamic_rnn` by hand; ``raw_feedback``: the input is made from the output."""
    lengths = tf.constant(case.lengths)
    inputs = tf.TensorArray(x.dtype, case.T).unstack(tf.transpose(x, [1, 0, 2]))

    def loop(time, output, state, loop_state):
        finished = time >= lengths
        if case.run == "raw_feedback" and output is not None:
            return (
                finished,
                cases.FEEDBACK * output[:, : case.D],
                state,
                tf.tanh(output),
                None,
            )
        next_input = tf.cond(
            tf.reduce_all(finished),
            lambda: tf.zeros((case.N, case.D), x.dtype),
            lambda: inputs.read(time),
        )
        return finished, next_input, initial if output is None else state, output, None

    emitted, state, _ = names.raw_rnn(cell, loop)
    return emitted.stack(), state
