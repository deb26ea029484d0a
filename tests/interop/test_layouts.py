"""Gate orders: tables that fit together, and blocks that come back bit for bit."""

import numpy as np
import pytest
from interop_helpers import draw

from rnn_xp.errors import ShapeError
from rnn_xp.interop.layouts import (
    LAYOUTS,
    OURS,
    blocks_from_ours,
    blocks_to_ours,
    matrix_from_ours,
    matrix_to_ours,
)

PAIRS = [(origin, kind) for origin, kinds in LAYOUTS.items() for kind in kinds]


@pytest.mark.parametrize(("origin", "kind"), PAIRS)
def test_every_layout_holds_the_same_gates(origin, kind):
    assert sorted(LAYOUTS[origin][kind].gates) == sorted(OURS[kind])


@pytest.mark.parametrize(("origin", "kind"), PAIRS)
def test_blocks_and_matrices_come_back_bit_for_bit(origin, kind):
    ours = draw(3, len(OURS[kind]) * 4, dtype="float32")
    np.testing.assert_array_equal(
        blocks_to_ours(blocks_from_ours(ours, origin, kind), origin, kind), ours, strict=True
    )
    np.testing.assert_array_equal(
        matrix_to_ours(matrix_from_ours(ours, origin, kind), origin, kind), ours, strict=True
    )


def test_blocks_move_to_where_the_other_system_has_them():
    lstm = np.array([1.0, 2.0, 3.0, 4.0])  # i, f, g, o
    assert blocks_from_ours(lstm, "onnx", "lstm").tolist() == [1, 4, 2, 3]  # i, o, f, c
    assert blocks_from_ours(lstm, "tf1", "lstm").tolist() == [1, 3, 2, 4]  # i, j, f, o
    assert blocks_from_ours(lstm, "dlfs2", "lstm").tolist() == [2, 3, 1, 4]  # f, g, i, o
    gru = np.array([1.0, 2.0, 3.0])  # r, z, n
    assert blocks_from_ours(gru, "keras", "gru").tolist() == [2, 1, 3]  # z, r, h
    assert blocks_from_ours(gru, "dlfs2", "gru").tolist() == [-2, 1, 3]  # 1 - z, r, h


def test_a_width_that_is_no_multiple_of_the_gates_is_refused():
    with pytest.raises(ShapeError, match=r"got shape \(3, 6\), expected a last axis of 4H \(i, f"):
        blocks_to_ours(np.zeros((3, 6)), "torch", "lstm")
