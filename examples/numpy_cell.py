"""A recurrent cell with an output layer, two steps, as by hand in NumPy.

The cell has two units and reads the numbers 1 and 2; after each step an output layer makes one
number of its state. First it is done by hand, then by `RNNCell` and by the layers `TimeRNN` and
`TimeAffine`, which run all steps at once; they must give the same. Then once more without the
tanh, where the numbers can be checked with pencil and paper.

    python examples/numpy_cell.py

prints::

    with tanh
    before activation:  [0.6 0.5]
    state:  [0.53704957 0.46211716]
    output:  [1.56128388]
    before activation:  [1.2923401  1.39225678]
    state:  [0.85973818 0.88366641]
    output:  [2.72707101]
    without
    before activation:  [0.6 0.5]
    state:  [0.6 0.5]
    output:  [1.7]
    before activation:  [1.31 1.42]
    state:  [1.31 1.42]
    output:  [4.25]
"""

import numpy as np

from rnn_xp import RNNCell, TimeAffine, TimeCell, TimeRNN

INPUTS = np.array([[[1.0], [2.0]]])  # (N, T, D) = (1, 2, 1)
WX = np.array([[0.5, 0.6]])  # (D, H)
WH = np.array([[0.1, 0.2], [0.3, 0.4]])  # (H, H)
B = np.array([0.1, -0.1])
W_OUT = np.array([[1.0], [2.0]])  # (H, 1)
B_OUT = np.array([0.1])


def by_hand(activation):
    """Print the two steps; return the outputs, (N, T, 1)."""
    h = np.zeros((1, 2))
    outputs = []
    for t in range(2):
        before = INPUTS[:, t] @ WX + h @ WH + B
        h = activation(before)
        output = h @ W_OUT + B_OUT
        print("before activation: ", before[0])
        print("state: ", h[0])
        print("output: ", output[0])
        outputs.append(output)
    return np.stack(outputs, axis=1)


def main() -> None:
    """Both variants, each by hand and by the library."""
    print("with tanh")
    expected = by_hand(np.tanh)
    output = TimeAffine(W_OUT, B_OUT)
    np.testing.assert_allclose(output.forward(TimeRNN(WX, WH, B).forward(INPUTS)), expected)

    cell, h = RNNCell(WX, WH, B), np.zeros((1, 2))
    for t in range(2):
        _, h, _ = cell.forward(INPUTS[:, t], h)  # the output of this cell is its state
    np.testing.assert_allclose(h @ W_OUT + B_OUT, expected[:, -1])

    print("without")
    expected = by_hand(lambda before: before)
    linear = TimeCell(RNNCell(WX, WH, B, activation=None))
    np.testing.assert_allclose(output.forward(linear.forward(INPUTS)), expected)


if __name__ == "__main__":
    main()
