"""One Keras cell for two steps, with numbers that can be checked in the head.

A `SimpleRNNCell` of one unit without activation is ``x * kernel + h * recurrent_kernel + bias``.
The first cell reads 2 in the state 1, with weights of 1 and a bias of 3: 2 + 1 + 3 = 6. The
second one reads 3 in the state that the first one left, with a recurrent weight of 3 and a bias
of 1: 3 + 3 * 6 + 1 = 22. Output and hidden state of this cell are one object.

    python examples/keras_two_steps.py

prints::

    variables: [[1.]] [[1.]] [3.]
    activation: linear
    step t:   output [[6.]] state [[6.]] one object: True
    step t+1: output [[22.]] state [[22.]] one object: True
    gradient of the second output: inputs [[3.]] [[1.]] first state [[3.]]
"""

import numpy as np

from rnn_xp.compat.keras import SimpleRNNCell
from rnn_xp.compat.keras.initializers import Constant


def main() -> None:
    """Two cells, two steps, and the gradient through both."""
    cell = SimpleRNNCell(
        units=1,
        activation=None,
        use_bias=True,
        kernel_initializer="ones",
        recurrent_initializer="ones",
        bias_initializer=Constant(value=3),
    )
    cell.build((None, 1))
    print("variables:", *cell.get_weights())
    print("activation:", cell.get_config()["activation"])
    x = np.full((1, 1), 2.0, dtype="float32")
    output, state = cell(x, np.ones((1, 1), dtype="float32"))
    print("step t:   output", output, "state", state, "one object:", output is state)

    cell2 = SimpleRNNCell(
        units=1,
        activation=None,
        kernel_initializer="ones",
        recurrent_initializer=Constant(value=3),
        bias_initializer="ones",
    )
    x2 = np.full((1, 1), 3.0, dtype="float32")
    output2, state2 = cell2(x2, state)
    print("step t+1: output", output2, "state", state2, "one object:", output2 is state2)

    dx2, dstate = cell2.backward(np.ones_like(output2))
    dx, dfirst = cell.backward(None, dstate)
    print("gradient of the second output: inputs", dx, dx2, "first state", dfirst)


if __name__ == "__main__":
    main()
