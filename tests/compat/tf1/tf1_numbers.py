"""Reads ``numbers.npz``, and runs its cases on this package."""

import json
from functools import cache
from math import prod
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tf1_cases as cases

from rnn_xp.backend import to_host
from rnn_xp.compat import tf1
from rnn_xp.namespace import namespace_of

TOLERANCE = {"float64": (1e-12, 1e-12), "float32": (1e-6, 5e-6)}  # forward, gradients
FILE = Path(__file__).with_name("numbers.npz")


@cache
def read():
    """``{case: {"names": list, key: float64 array, ...}}``."""
    with np.load(FILE) as file:
        index, sides = json.loads(str(file["index"])), {"in": file["given"], "out": file["results"]}
    start = {"in": 0, "out": 0}
    found = {}
    for name, entry in index.items():
        arrays = {"names": entry["names"]}
        for side, vector in sides.items():
            for key, shape in entry[side]:
                stop = start[side] + prod(shape)
                arrays[key] = vector[start[side] : stop].astype(np.float64).reshape(shape)
                start[side] = stop
        found[name] = arrays
    return found


class Product:
    """A residual function with its gradient."""

    def __call__(self, inputs, outputs):
        return inputs * outputs

    def backward(self, dresult, inputs, outputs):
        return dresult * outputs, dresult * inputs


def namespace(dtype):
    """This package with what else the cases ask a TensorFlow for."""
    return SimpleNamespace(
        **{n: getattr(tf1, n) for n in tf1.__all__}, dtype=dtype, product=Product()
    )


def run(case, given, be, dtype):
    """What `tf1_oracle.reference` returns as coming out, and the ``names``."""
    tf = namespace(dtype)
    cells = case.make(tf)
    cells = cells if isinstance(cells, tuple) else (cells,)
    x = be.asarray(given["x"], dtype)
    scopes = {1: ["rnn"], 2: ["bidirectional_rnn/fw", "bidirectional_rnn/bw"]}[len(cells)]
    variables = []
    for cell, scope in zip(cells, scopes, strict=True):
        scope = "" if case.run == "call" else scope
        cell.build(case.D, backend=be, dtype=dtype, scope=scope)
        start = len(variables)
        variables += [given[f"variable.{start + k}"] for k in range(len(cell.variables))]
        cell.set_weights(variables[start:])
    initial = [None] * 2
    if case.initial:
        arrays = (be.asarray(given[f"initial.{k}"], dtype) for k in range(99))
        initial = [cases.refill(cell.state_size, arrays) for cell in cells]
    if "noise.0" in given:
        fix_masks(cells[0], given, be, dtype)
    with tf1.record() as tape:
        raw = case.run.startswith("raw")
        run_it = run_raw if raw else cases.run_case
        results = run_it(tf, case, cells, x, initial)
    outputs, states = results
    count = len(cases.leaves(outputs))
    upstream = [be.asarray(given[f"upstream.{k}"], dtype) for k in range(count)]
    upstream += [
        be.asarray(given[f"upstream.{count + k}"], dtype) for k in range(len(cases.leaves(states)))
    ]
    values = iter(upstream)
    doutputs, dstates = cases.refill(outputs, values), cases.refill(states, values)
    if case.run == "call":
        dx1, dbetween = tape.backward(doutputs[1], dstates)
        dx0, dinitial = tape.backward(doutputs[0], dbetween)
        rest = [be.xp.zeros_like(dx0)] * (case.T - 2)
        dx = be.xp.stack([dx0, dx1, *rest], axis=1)
    else:
        dx, dinitial = tape.backward(doutputs, dstates)
        dx = be.xp.stack(dx, axis=1) if isinstance(dx, list) else dx
    assert tape.calls == []
    found = {f"result.{k}": r for k, r in enumerate(cases.leaves(results))}
    found["dx"] = dx
    if case.initial:
        found |= {f"dinitial.{k}": d for k, d in enumerate(cases.leaves(dinitial))}
    grads = [g for cell in cells for g in cell.grads]
    found |= {f"dvariable.{k}": g for k, g in enumerate(grads)}
    names = [name for cell in cells for name in cell.variable_names]
    return {k: to_host(v) for k, v in found.items()}, names


def fix_masks(cell, given, be, dtype):
    """Give a variational DropoutWrapper the masks that TensorFlow makes of the noise."""
    keeps = [cell.input_keep_prob, cell.output_keep_prob] + [cell.state_keep_prob] * 9
    masks = {}
    for stream, keep in enumerate(keeps):
        if f"noise.{stream}" in given and keep < 1.0:
            masks[stream] = be.asarray(np.floor(keep + given[f"noise.{stream}"]) / keep, dtype)
    cell.draw_masks = lambda: setattr(cell, "_shared", masks)


def run_raw(tf, case, cells, x, initial):
    """The raw cases of `tf1_oracle`."""
    xp = namespace_of(x)
    lengths = np.array(case.lengths)
    zeros = xp.zeros_like(x[:, 0, :])

    def loop(time, output, state, loop_state):
        finished = time >= lengths
        if case.run == "raw_feedback" and output is not None:
            return finished, cases.FEEDBACK * output[:, : case.D], state, xp.tanh(output), None
        next_input = x[:, time, :] if time < case.T else zeros
        return finished, next_input, initial[0] if output is None else state, output, None

    outputs = {}

    def watch(time, output, state, loop_state):
        outputs[time] = output
        return loop(time, output, state, loop_state)

    def backward(time, demit, dnext_input, dnext_state):
        output = outputs[time]
        dfed = cases.FEEDBACK * dnext_input
        pad = xp.zeros_like(output[:, case.D :])
        dtanh = demit * (1.0 - xp.tanh(output) ** 2)
        return dtanh + xp.concat([dfed, pad], axis=1), dnext_state

    if case.run == "raw":
        emitted, state, loop_state = tf.raw_rnn(cells[0], loop)
    else:
        emitted, state, loop_state = tf.raw_rnn(cells[0], watch, loop_backward=backward)
    assert loop_state is None
    return emitted.stack(), state


def compare(found, expected, dtype):
    """Errors relative to the largest entry of each expected array."""
    forward, backward = TOLERANCE[dtype]
    for key, value in expected.items():
        tolerance = backward if key.startswith("d") else forward
        assert found[key].shape == value.shape, key
        assert found[key].dtype == dtype, key
        error = np.max(np.abs(found[key] - value), initial=0.0)
        assert error <= tolerance * np.max(np.abs(value), initial=0.0), (key, error)
