"""Constructors refuse what has no meaning; a cell's first step is looked at, once a call."""

import numpy as np
import pytest

from rnn_xp.cells import DropoutCell, ResidualCell, RNNCell, StackedCell, ZoneoutCell
from rnn_xp.errors import DTypeError, MixedBackendError, ShapeError
from rnn_xp.layers import (
    Bidirectional,
    Residual,
    Reversed,
    Stack,
    TimeCell,
    TimeDropout,
    TimeGRU,
    TimeLSTM,
    TimeReset,
    TrainableState,
    WeightDrop,
)

N, T, D, H = 2, 3, 4, 5
XS = np.ones((N, T, D))


def lstm(width=D, size=H):
    return TimeLSTM.create(width, size, rng=0, dtype="float64", backend="numpy")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: TimeReset(Reversed(lstm())),
        lambda: TimeReset(Bidirectional(lstm(), lstm())),
        lambda: WeightDrop(TimeReset(Reversed(lstm())), 0.5),
        lambda: Stack([lstm(), TimeReset(Reversed(lstm(H)))]),
    ],
)
def test_no_state_is_learned_for_pieces_that_run_backwards(wrap):
    with pytest.raises(ValueError, match=r"^TrainableState: the layer has a TimeReset around one"):
        TrainableState(wrap())


@pytest.mark.parametrize("outer", [lambda a: a, lambda a: Stack([a, lstm(H)])])
def test_a_state_is_learned_once(outer):
    with pytest.raises(ValueError, match=r"^TrainableState: the layer has a TrainableState inside"):
        TrainableState(outer(TrainableState(lstm())))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Residual(lstm()), "Residual: the input of TimeLSTM is 4 wide and its output 5"),
        (lambda: Residual(Stack([lstm(), lstm(H, 3)])), "Residual: the input of Stack is 4 wide"),
        (lambda: Residual(Bidirectional(lstm(4, 4), lstm(4, 4))), "Residual: the input of Bidir"),
        (lambda: Stack([lstm(), TimeDropout(0.5), lstm()]), "Stack: layer 2 takes an input 4 wide"),
        (lambda: Stack([Bidirectional(lstm(), lstm()), lstm(H)]), "what reaches it is 10 wide"),
        (
            lambda: Bidirectional(lstm(), lstm(D, 3), "sum"),
            "outputs, for merge = 'sum', of the two",
        ),
        (lambda: Bidirectional(lstm(), lstm(3)), "inputs of the two layers are 4 and 3 wide"),
    ],
)
def test_widths_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ShapeError, match=message):
        make()


def test_widths_are_told():
    both = Bidirectional(lstm(), TimeGRU.create(D, 3, rng=0, backend="numpy"))
    net = Stack([TimeDropout(0.5), WeightDrop(lstm(3, D), 0.5), both, TimeDropout(0.5)])
    assert (net.input_size, net.output_size) == (3, 8)
    assert Bidirectional(lstm(), lstm(), None).output_size is None


class Cell:
    """A running sum that does not tell the width of its input, and returns what it is told to."""

    output_size = state_size = D

    def __init__(self, returned=None, **options):
        self.params, self.grads, self.returned, self.asked = [], [], returned, 0

    def zero_state(self, N):
        return np.zeros((N, D))

    def forward(self, x, state):
        new = x + state
        return (new, new, None) if self.returned is None else self.returned(new)

    def backward(self, doutput, dstate, cache):
        d = doutput if dstate is None else doutput + dstate
        return d, d


def test_a_layer_without_known_widths_is_refused_at_the_call():
    class Narrow(Cell):
        output_size = 1

    layer = Residual(TimeCell(Narrow(lambda new: (new[:, :1], new, None))))
    with pytest.raises(ShapeError, match=r"^Residual: the output of TimeCell"):
        layer.forward(XS)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (lambda: lstm(), "TimeCell: cell is the layer TimeLSTM, expected a cell"),
        (lambda: "x", "TimeCell: cell is a str without params, grads, output_size, zero_state"),
        (lambda: RNNCell, "TimeCell: cell is the class RNNCell, expected a cell"),
        (lambda: None, "TimeCell: cell is a NoneType without params"),
    ],
)
def test_what_is_no_cell_is_refused(cell, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        TimeCell(cell())


@pytest.mark.parametrize("mask", [None, np.ones((N, T), dtype=bool)], ids=["plain", "mask"])
@pytest.mark.parametrize(
    ("returned", "kind", "message"),
    [
        (lambda new: (new, new), TypeError, "returned a tuple of 2, expected"),
        (lambda new: new, TypeError, "returned a ndarray, expected"),
        (lambda new: (new, new[:, :2], None), ShapeError, r"the new state has shape \(2, 2\)"),
        (lambda new: (new, (new, new), None), ShapeError, "the new state is"),
        (lambda new: (new[:, :2], new, None), ShapeError, r"the output has shape \(2, 2\)"),
        (lambda new: (new.astype("float32"), new, None), DTypeError, "the output has dtype"),
        (lambda new: (new, new.astype("float32"), None), DTypeError, "the new state has dtype"),
        (lambda new: (None, new, None), MixedBackendError, "the output"),
    ],
)
def test_what_a_step_returns_is_checked(returned, kind, message, mask):
    layer = TimeCell(Cell(returned))
    with pytest.raises(kind, match=f"^TimeCell: Cell.forward:? ?.*{message}") as caught:
        layer.forward(XS, mask=mask)
    assert "\n" not in str(caught.value)


def test_only_the_first_step_of_a_call_is_checked():
    cell, kinds = Cell(), []

    def as_list(new):
        kinds.append(tuple if len(kinds) % T == 0 else list)
        return kinds[-1]((new, new, None))

    cell.returned = as_list  # a list is refused where it is looked at
    layer = TimeCell(cell, stateful=True)
    for _ in range(2):
        layer.forward(XS)
        layer.backward(np.ones((N, T, D)))
    assert kinds == [tuple, list, list] * 2
    cell.returned = lambda new: (new, new)
    with pytest.raises(TypeError, match="returned a tuple of 2"):
        layer.forward(XS)


def rnn():
    return RNNCell(np.ones((D, D)), np.ones((D, D)), np.ones(D))


NO_PARTS = [
    (lambda: Stack(lstm()), "^Stack: layers is a TimeLSTM, expected a list of layers$"),
    (lambda: Stack([lstm(), 3]), "^Stack: layer 1 is a int, expected a layer$"),
    (lambda: Bidirectional(lstm(), rnn()), "^Bidirectional: got a RNNCell, expected two recurrent"),
    (lambda: StackedCell(rnn()), "^StackedCell: cells is a RNNCell, expected a list$"),
    (lambda: StackedCell([rnn(), lstm]), "^StackedCell: cell is a function without params"),
    (lambda: ResidualCell(3), "^ResidualCell: cell is a int without params, grads, output_size"),
    (lambda: ZoneoutCell(None, 0.5), "^ZoneoutCell: cell is a NoneType without params"),
    (lambda: TimeDropout("half"), "^TimeDropout: dropout_ratio is a str, expected a number$"),
    (lambda: WeightDrop(lstm(), None), "^WeightDrop: ratio is a NoneType, expected a number$"),
]


@pytest.mark.parametrize(("make", "message"), NO_PARTS)
def test_what_is_no_layer_no_cell_and_no_number_is_named(make, message):
    with pytest.raises(TypeError, match=message):
        make()


@pytest.mark.parametrize("make", [lambda s: TimeDropout(0.5, seed=s), lambda s: dropout_cell(s)])
def test_a_seed_is_an_integer(make):
    make(np.int64(3))
    for wrong in ("a", 1.5, -1):
        with pytest.raises(ValueError, match=r"^(TimeDropout|DropoutCell): seed = .*, expected"):
            make(wrong)


def dropout_cell(seed):
    return DropoutCell(rnn(), 0.5, seed=seed)


@pytest.mark.parametrize("make", [lstm, lambda: TimeCell(rnn()), lambda: Stack([lstm()])])
def test_a_batch_of_no_rows_or_no_steps(make):
    for empty in (XS[:0], XS[:, :0]):
        with pytest.raises(ShapeError, match=r"expected \(N, T, D\) with .*N and T at least 1$"):
            make().forward(empty)
