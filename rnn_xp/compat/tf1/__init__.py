"""TensorFlow 1's recurrent cells and loops, with its names, defaults, layouts and numbers.

Eager: a call takes arrays and returns arrays; there are no placeholders and no session. Any
backend: the first inputs decide, or ``build(..., backend=)``. ::

    from rnn_xp.compat import tf1

    cell = tf1.BasicLSTMCell(128)
    with tf1.record() as tape:
        outputs, state = tf1.dynamic_rnn(cell, inputs, dtype="float32")
    dinputs, dinitial_state = tape.backward(doutputs, dstate)
    optimizer.update(cell.variables, cell.grads)

The backward pass
-----------------
TensorFlow 1 asks a graph for gradients; here there is none, and `dynamic_rnn` must return
``(outputs, state)`` as its users know it, so that neither can carry a ``backward``. A method
of the cell would have to guess which of its calls is meant, and would keep the data of every
call, of inference too. So calls are recorded only inside ``with record() as tape``, where
they go onto that tape, and `Tape.backward` goes back through them one by one, the last first,
as through a list of layers. It takes gradients in the structure of what the call returned and
returns them in the structure of what the call was given. Nothing is global, memory is spent
only where a gradient is wanted, and what the program does between two calls stays its own.

Variables
---------
``cell.variables`` are arrays in TensorFlow's order and layout (an LSTM's kernel is
(D + H, 4H), columns i, j, f, o; the forget bias is added at run time), ``cell.grads`` match
them. They are what the cell computes from: an optimiser may write into them. The core's
layout is made from them once a call, which copies the kernel. ``cell.variable_names`` are
TensorFlow's names without ``:0``.

Speed
-----
`BasicRNNCell`, `BasicLSTMCell`, `GRUCell` and `LSTMCell` with tanh and without peepholes,
clipping and projection run on the core's fast kernels in `dynamic_rnn` and its kin, also
inside `MultiRNNCell`, `ResidualWrapper`, and `DropoutWrapper` without state dropout. Anything
else, `raw_rnn`, and cells called by hand run step by step.

Differences
-----------
Inputs are single arrays, not nested tuples; a `sequence_length` beyond T is an error; float32
and float64 only; `reuse`, `parallel_iterations`, `swap_memory` and the shard options are taken
and change nothing; two cells of one name in one scope get equal `variable_names`.
"""

from rnn_xp.compat.tf1 import nn, rnn_cell
from rnn_xp.compat.tf1.base import RNNCell
from rnn_xp.compat.tf1.basic import BasicRNNCell, GRUCell
from rnn_xp.compat.tf1.bidirectional import bidirectional_dynamic_rnn, static_bidirectional_rnn
from rnn_xp.compat.tf1.dropout import DropoutWrapper
from rnn_xp.compat.tf1.dynamic import dynamic_rnn, static_rnn
from rnn_xp.compat.tf1.initial import (
    constant_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    set_random_seed,
    truncated_normal_initializer,
)
from rnn_xp.compat.tf1.lstm import BasicLSTMCell, LSTMCell
from rnn_xp.compat.tf1.multi import MultiRNNCell
from rnn_xp.compat.tf1.raw import TensorArray, raw_rnn
from rnn_xp.compat.tf1.structure import LSTMStateTuple
from rnn_xp.compat.tf1.tape import Tape, record
from rnn_xp.compat.tf1.wrapper import ResidualWrapper

float32 = "float32"
float64 = "float64"

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
    "ResidualWrapper",
    "Tape",
    "TensorArray",
    "bidirectional_dynamic_rnn",
    "constant_initializer",
    "dynamic_rnn",
    "float32",
    "float64",
    "nn",
    "random_normal_initializer",
    "random_uniform_initializer",
    "raw_rnn",
    "record",
    "rnn_cell",
    "set_random_seed",
    "static_bidirectional_rnn",
    "static_rnn",
    "truncated_normal_initializer",
]
