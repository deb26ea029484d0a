"""TensorFlow 1's cells: sizes, ``zero_state``, one step by hand, many with ``dynamic_rnn``.

The program of a TensorFlow 1 tutorial, eager: a cell is called with arrays, not with
placeholders, and gives arrays. At the end the rows have different lengths, and the backward pass
goes through the whole sequence.

    python examples/tf1_lstm.py

prints::

    BasicRNNCell.state_size: 128
    output, state after a step: (32, 128) (32, 128)
    BasicLSTMCell.state_size: LSTMStateTuple(c=128, h=128)
    c, h after a step: (32, 128) (32, 128)
    outputs: (32, 10, 128)
    row 1 has 4 steps, the rest is zero: True
    its state is that of step 4: True
    gradients: {'basic_lstm_cell/kernel': (228, 512), 'basic_lstm_cell/bias': (512,)}
    and of inputs, c, h: (32, 10, 100) (32, 128) (32, 128)
"""

import numpy as np

from rnn_xp.compat import tf1

N, T, D, H = 32, 10, 100, 128


def main() -> None:
    """One step of two cells, then ten steps of the second."""
    tf1.set_random_seed(0)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(N, T, D)).astype("float32")

    cell = tf1.BasicRNNCell(num_units=H)
    print("BasicRNNCell.state_size:", cell.state_size)
    h0 = cell.zero_state(N, "float32")
    output, h1 = cell(inputs[:, 0], h0)
    print("output, state after a step:", output.shape, h1.shape)

    lstm = tf1.BasicLSTMCell(num_units=H, forget_bias=1.0)
    print("BasicLSTMCell.state_size:", lstm.state_size)
    state = lstm.zero_state(N, "float32")
    output, state = lstm(inputs[:, 0], state)
    print("c, h after a step:", state.c.shape, state.h.shape)

    lengths = np.where(np.arange(N) % 2 == 0, T, 4)
    with tf1.record() as tape:
        outputs, state = tf1.dynamic_rnn(
            lstm, inputs, sequence_length=lengths, initial_state=lstm.zero_state(N, "float32")
        )
    print("outputs:", outputs.shape)
    print("row 1 has 4 steps, the rest is zero:", bool((outputs[1, 4:] == 0.0).all()))
    print("its state is that of step 4:", bool((state.h[1] == outputs[1, 3]).all()))

    dinputs, dinitial = tape.backward(np.ones_like(outputs))
    names = zip(lstm.variable_names, lstm.grads, strict=True)
    print("gradients:", {name: grad.shape for name, grad in names})
    print("and of inputs, c, h:", dinputs.shape, dinitial.c.shape, dinitial.h.shape)


if __name__ == "__main__":
    main()
