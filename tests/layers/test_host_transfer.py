"""Nothing in a training step waits for the device.

Array-api-strict on its non-default device stands for the GPU: every conversion of one of its
arrays to a Python number raises.
"""

import numpy as np
import pytest
from backends import no_host_transfer
from layer_kinds import LAYERS, D, H, N, T, draw, initial_gradients, make, set_state
from proof.usercell import LeakyCell

from rnn_xp.layers import (
    LSTM,
    Bidirectional,
    Stack,
    TimeAffine,
    TimeAffineSoftmaxWithLoss,
    TimeCell,
    TimeDropout,
    TimeEmbedding,
    TimeSoftmaxWithLoss,
)

V = 7
IDS = np.array([[0, 3, 6, 6], [1, 1, 1, 1], [2, 0, 4, 5]])
TARGETS = np.array([[3, 6, 6, -1], [1, 1, 1, 2], [0, 4, 5, -1]])
MASK = TARGETS >= 0


def test_the_patch_catches(strict):
    array = strict.asarray([1.0])[0]
    index = strict.asarray([1])[0]
    for convert, value in ((float, array), (bool, array), (int, array), (range, index)):
        convert(value)
        with no_host_transfer(), pytest.raises(AssertionError, match="hidden host transfer"):
            convert(value)
        convert(value)
    with no_host_transfer(), pytest.raises(AssertionError):
        assert array > 0.0


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("options", [{}, {"lengths": [4, 0, 2]}, {"mask": MASK}])
def test_recurrent_layers(name, options, strict):
    layer = make(name, strict, stateful=True)
    h, c = draw(strict, N, H), draw(strict, N, H)
    with no_host_transfer():
        set_state(layer, h, c)
        for _ in range(2):
            layer.forward(draw(strict, N, T, D), **options)
            layer.backward(draw(strict, N, T, H))
            initial_gradients(layer)
        kept = layer.state
        layer.reset_state()
        layer.forward(draw(strict, N, T, D), train=False, **options)
        layer.state = kept


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_a_training_step_of_a_language_model(on_device, fused, tied, strict):
    E, b = draw(strict, V, D), draw(strict, V)
    embedding = TimeEmbedding(E, shared=tied)
    lstm = make("lstm", strict, stateful=True)
    top = TimeAffine(draw(strict, H, D))
    dropout = TimeDropout(0.4)
    W = E if tied else draw(strict, D, V)
    if fused:
        loss = TimeAffineSoftmaxWithLoss(W, b, transposed=tied)
        output = loss
    else:
        output, loss = TimeAffine(W, b, transposed=tied), TimeSoftmaxWithLoss()
    if tied:
        embedding.grads = output.grads[:1]
    ids, ts, mask = IDS, TARGETS, MASK
    if on_device:
        ids, ts, mask = (strict.xp.asarray(a, device=strict.device) for a in (ids, ts, mask))
    losses = []
    with no_host_transfer():
        for _ in range(2):
            hs = dropout.forward(top.forward(lstm.forward(embedding.forward(ids), mask=mask)))
            if fused:
                losses.append(loss.forward(hs, ts))
                dhs = loss.backward()
            else:
                losses.append(loss.forward(output.forward(hs), ts))
                dhs = output.backward(loss.backward())
            embedding.backward(lstm.backward(top.backward(dropout.backward(dhs))))
            for layer in (embedding, lstm, top, output):
                for p, g in zip(layer.params, layer.grads, strict=True):
                    p[...] = p - 0.1 * g
    assert all(np.isfinite(float(value)) for value in losses)


def test_nets_and_other_cells(strict):
    net = Stack(
        [
            Bidirectional(make("gru-after", strict), make("gru-before", strict), "sum"),
            TimeDropout(0.2, variational=True),
            TimeCell(LeakyCell(draw(strict, H, H), draw(strict, H, H), draw(strict, H, D))),
        ]
    )
    step = LSTM(draw(strict, D, 4 * H), draw(strict, H, 4 * H), draw(strict, 4 * H))
    with no_host_transfer():
        ys = net.forward(draw(strict, N, T, D), lengths=[4, 0, 2])
        net.backward(ys)
        zeros = strict.zeros((N, H), "float64")
        h, c = step.forward(ys[:, 0, :], zeros, zeros)
        step.backward(h, c)


def test_moving_and_initial_weights_need_no_numbers_either(strict):
    with no_host_transfer():
        layer = make("lstm", strict).to(strict)
        layer.forward(draw(strict, N, T, D))
