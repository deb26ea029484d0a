"""A recurrent network of 5 neurons and 3 inputs, unrolled over two steps: four ways.

By hand, with the weights in the open; with the one-step `RNNCell`; and as in TensorFlow 1 with
``static_rnn``, which takes a list of steps, and with ``dynamic_rnn``, which takes one array. The
batch has four rows. All four give the same numbers, and the three that have a backward pass
give the same gradients.

    python examples/unrolled_two_steps.py

prints::

    output at t = 0
    [[ 0.4346  0.9873  0.6538 -0.5278 -0.9918]
     [-0.6636  0.9999  1.0000 -0.9565 -1.0000]
     [-0.9683  1.0000  1.0000 -0.9968 -1.0000]
     [-1.0000  0.0032  1.0000  1.0000 -1.0000]]
    output at t = 1
    [[-1.0000  0.9570  1.0000 -0.9931 -1.0000]
     [-0.9998 -0.5109  0.8199  0.6293 -0.0188]
     [-1.0000  0.9731  1.0000 -0.8463 -1.0000]
     [-1.0000  0.7469  0.9960  0.9738 -1.0000]]
    d sum(Y1) / d bias
    [-1.3400  1.0173  0.3417  1.0154  1.0008]
"""

import numpy as np

from rnn_xp import RNNCell
from rnn_xp.compat import tf1

N_INPUTS, N_NEURONS = 3, 5
X0 = np.array([[0.0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 0, 1]])  # t = 0, (N, D)
X1 = np.array([[9.0, 8, 7], [0, 0, 0], [6, 5, 4], [3, 2, 1]])  # t = 1


def by_hand(Wx, Wy, b):
    """The two outputs; both steps use the same weights."""
    Y0 = np.tanh(X0 @ Wx + b)
    Y1 = np.tanh(Y0 @ Wy + X1 @ Wx + b)
    return Y0, Y1


def by_cell(Wx, Wy, b):
    """Outputs, and the gradients of the sum of Y1 with respect to Wx, Wy and b."""
    cell = RNNCell(Wx, Wy, b)
    Y0, state, cache0 = cell.forward(X0, cell.zero_state(len(X0)))
    Y1, _, cache1 = cell.forward(X1, state)
    _, dstate = cell.backward(np.ones_like(Y1), None, cache1)
    cell.backward(np.zeros_like(Y0), dstate, cache0)
    return (Y0, Y1), cell.grads


def by_tf1(Wx, Wy, b, dynamic):
    """The same through ``static_rnn`` or ``dynamic_rnn``; the kernel is Wx on top of Wy."""
    cell = tf1.BasicRNNCell(num_units=N_NEURONS)
    cell.build(N_INPUTS, dtype="float64", backend="numpy")
    cell.set_weights([np.concatenate([Wx, Wy]), b])
    with tf1.record() as tape:
        if dynamic:
            outputs, _ = tf1.dynamic_rnn(cell, np.stack([X0, X1], axis=1), dtype="float64")
            Y0, Y1 = outputs[:, 0], outputs[:, 1]
        else:
            (Y0, Y1), _ = tf1.static_rnn(cell, [X0, X1], dtype="float64")
    tape.backward(dstate=np.ones_like(Y1))  # the final state is Y1
    dkernel, db = cell.grads
    return (Y0, Y1), (dkernel[:N_INPUTS], dkernel[N_INPUTS:], db)


def main() -> None:
    """Run all four, compare them, and print the outputs."""
    rng = np.random.default_rng(4)
    Wx = rng.normal(size=(N_INPUTS, N_NEURONS))
    Wy = rng.normal(size=(N_NEURONS, N_NEURONS))
    b = np.zeros(N_NEURONS)

    Y0, Y1 = by_hand(Wx, Wy, b)
    outputs, grads = by_cell(Wx, Wy, b)
    np.testing.assert_allclose(outputs, (Y0, Y1))
    for dynamic in (False, True):
        outputs, tf1_grads = by_tf1(Wx, Wy, b, dynamic)
        np.testing.assert_allclose(outputs, (Y0, Y1))
        for given, expected in zip(tf1_grads, grads, strict=True):
            np.testing.assert_allclose(given, expected, atol=1e-12)

    with np.printoptions(precision=4, suppress=True, floatmode="fixed"):
        print(f"output at t = 0\n{Y0}")
        print(f"output at t = 1\n{Y1}")
        print(f"d sum(Y1) / d bias\n{grads[2]}")


if __name__ == "__main__":
    main()
