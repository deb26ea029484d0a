"""`Reversed`: a layer run backwards in time."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.layers.composite import Wrapper
from rnn_xp.layers.sequence import flip_time, valid_steps
from rnn_xp.layers.state import map_arrays


class Reversed(Wrapper):
    """A recurrent layer that reads its input from the last step to the first.

    Input and mask are flipped in time, and the output is flipped back, so output ``t``
    belongs to input ``t`` and knows the steps from ``t`` on. A row that is shorter than
    the batch is padded on the left there; since the state is copied through masked steps,
    it starts at the row's last valid step. The layer keeps its fast kernels.

    Parameters
    ----------
    layer : layer
        Recurrent, of any kind. Its state is where it ends: at the row's first valid step.
    """

    @property
    def runs_backwards(self) -> bool:
        """True: its state goes against the time."""
        return True

    def forward(self, xs: Array, lengths: Any = None, mask: Any = None, train: bool = True) -> Any:
        """Run the layer; arguments and result as in `rnn_xp.layers.TimeRNN.forward`."""
        valid = valid_steps(xs, lengths, mask, self.time_major, self.name)
        flipped = None if valid is None else flip_time(valid, self.time_major)
        return self._flip(
            self.layer.forward(flip_time(xs, self.time_major), mask=flipped, train=train)
        )

    def backward(self, dhs: Any, dstate: Any = None) -> Array:
        """Gradient of the last `forward`; arguments as in the layer's own ``backward``."""
        self._check_upstream(dhs, dstate)
        return self._flip(self.layer.backward(self._flip(dhs), dstate=dstate))

    def _flip(self, arrays: Any) -> Any:
        return map_arrays(lambda a: flip_time(a, self.time_major), arrays)
