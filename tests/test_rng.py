"""Dropout masks: the same everywhere, a function of (seed, stream, counter), well distributed."""

import numpy as np
import pytest

from rnn_xp.backend import to_host
from rnn_xp.initializers import glorot_uniform, orthogonal, recurrent_weights
from rnn_xp.layers import TimeDropout
from rnn_xp.rng import DropoutKey, draw_dropout_mask, dropout_threshold, make_generator

MASK64 = 2**64 - 1


def philox4x64(counter, key):
    """Ten rounds of Philox4x64 (Salmon et al. 2011, section 4.3), in Python integers."""
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = 0xD2E7470EE14C6C93 * x0, 0xCA5A826395121157 * x2
        x0, x1, x2, x3 = (
            (product1 >> 64) ^ x1 ^ k0,
            product1 & MASK64,
            (product0 >> 64) ^ x3 ^ k1,
            product0 & MASK64,
        )
        k0 = (k0 + 0x9E3779B97F4A7C15) & MASK64
        k1 = (k1 + 0xBB67AE8584CAA73B) & MASK64
    return x0, x1, x2, x3


def documented_mask(count, ratio, key):
    """The mask as `draw_dropout_mask` documents it, from the generator above."""
    threshold = round(65536 * ratio)
    kept = np.float32(65536 / (65536 - threshold))
    values = []
    for k in range(count):
        # NumPy's Philox advances its counter before each block of four words.
        block = philox4x64((k // 16 + 1, 0, key.counter, 0), (key.seed, key.stream))
        bits = (block[k // 4 % 4] >> (16 * (k % 4))) & 0xFFFF
        values.append(np.float32(0.0) if bits < threshold else kept)
    return np.array(values, np.float32)


def test_philox_is_the_published_one():
    """Known answers of the Random123 distribution (kat_vectors, philox4x64 10)."""
    assert philox4x64((0, 0, 0, 0), (0, 0)) == (
        0x16554D9ECA36314C,
        0xDB20FE9D672D0FDC,
        0xD7E772CEE186176B,
        0x7E68B68AEC7BA23B,
    )


@pytest.mark.parametrize(
    "key",
    [
        DropoutKey(0, 0, 0),
        DropoutKey(1234, 2, 77),
        DropoutKey(2**64 - 1, 2**63 + 1, 2**40),
    ],
)
@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.65])
def test_the_documented_bits(key, ratio):
    mask = draw_dropout_mask((7, 5, 9), ratio, key)
    np.testing.assert_array_equal(mask.reshape(-1), documented_mask(315, ratio, key))
    assert mask.dtype == np.float32


def test_a_longer_mask_begins_with_the_shorter_one():
    key = DropoutKey(3, 1, 4)
    long = draw_dropout_mask((1000,), 0.5, key)
    for count in (1, 3, 4, 5, 16, 17, 999):
        np.testing.assert_array_equal(draw_dropout_mask((count,), 0.5, key), long[:count])
    assert draw_dropout_mask((0, 3), 0.5, key).shape == (0, 3)


def test_the_mask_depends_on_seed_stream_and_counter():
    def draw(*key):
        return draw_dropout_mask((400,), 0.5, DropoutKey(*key)).tobytes()

    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert len({draw(1, 2, 3), draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(2, 1, 3)}) == 5


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.5, 0.8])
def test_share_of_zeros_and_mean(ratio):
    count = 200_000
    mask = draw_dropout_mask((count,), ratio, DropoutKey(5, 0, 9))
    zeros = np.count_nonzero(mask == 0.0)
    assert abs(zeros - ratio * count) < 4.5 * np.sqrt(count * ratio * (1 - ratio))
    assert set(np.unique(mask)) == {np.float32(0.0), np.float32(mask.max())}
    spread = np.sqrt(ratio / (1 - ratio) / count)
    assert abs(mask.mean(dtype=np.float64) - 1.0) < 4.5 * spread


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1 / 3, 0.999])
def test_the_expectation_is_one(ratio):
    """Not only on average: probability times factor, in 1/65536, is one."""
    threshold = dropout_threshold(ratio)
    kept = float(draw_dropout_mask((5000,), ratio, DropoutKey(0, 0, 0)).max())
    assert kept * (65536 - threshold) / 65536 == pytest.approx(1.0, abs=1e-7)


def test_successive_masks_are_not_correlated():
    masks = [draw_dropout_mask((20_000,), 0.5, DropoutKey(1, 0, n)) - 1.0 for n in range(5)]
    masks.append(draw_dropout_mask((20_000,), 0.5, DropoutKey(1, 1, 0)) - 1.0)
    for i, a in enumerate(masks):
        assert abs(np.mean(a[1:] * a[:-1])) < 0.04
        for b in masks[:i]:
            assert abs(np.mean(a * b)) < 0.04


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_kernel_draws_the_same_on_every_backend(be, dtype):
    key = DropoutKey(11, 3, 2)
    mask = be.kernels(dtype).dropout_mask((4, 3, 5), 0.4, key, be.zeros((1,), dtype))
    assert mask.dtype == be.dtype(dtype)
    assert mask.device == be.zeros((1,), dtype).device
    np.testing.assert_array_equal(to_host(mask), draw_dropout_mask((4, 3, 5), 0.4, key))


@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("time_major", [False, True])
def test_the_layer_draws_in_time_major_order(be, variational, time_major):
    N, T, D = 2, 5, 3
    layer = TimeDropout(0.4, variational=variational, seed=8, stream=6, time_major=time_major)
    shape = (1, N, D) if variational else (T, N, D)
    ones = be.asarray(np.ones((T, N, D) if time_major else (N, T, D)))
    for counter in range(3):
        expected = draw_dropout_mask(shape, 0.4, DropoutKey(8, 6, counter)) * np.ones((T, N, D))
        given = to_host(layer.forward(ones))
        np.testing.assert_array_equal(given if time_major else given.transpose(1, 0, 2), expected)
    assert layer.counter == 3


def test_generators():
    made = make_generator(3)
    assert make_generator(made) is made
    assert make_generator(3).random() == np.random.default_rng(3).random()
    assert make_generator(None).random() != make_generator(None).random()


def test_initial_weights():
    Q = orthogonal(make_generator(0), 6)
    np.testing.assert_allclose(Q @ Q.T, np.eye(6), atol=1e-12)
    limit = np.sqrt(6 / 50)
    W = glorot_uniform(make_generator(0), 20, 30)
    assert W.shape == (20, 30)
    assert 0.9 * limit < np.abs(W).max() <= limit
    Wx, Wh = recurrent_weights(make_generator(0), 4, 5, 3, "glorot")
    assert Wx.shape == (4, 15)
    for gate in range(3):
        block = Wh[:, 5 * gate : 5 * gate + 5]
        np.testing.assert_allclose(block @ block.T, np.eye(5), atol=1e-12)
    Wx, Wh = recurrent_weights(make_generator(0), 400, 100, 4, "book")
    assert Wx.std() == pytest.approx(0.05, rel=0.02)
    assert Wh.std() == pytest.approx(0.1, rel=0.02)
    Wx, Wh = recurrent_weights(make_generator(0), 40, 100, 4, "uniform")
    assert 0.099 < np.abs(Wx).max() <= 0.1
    assert np.abs(recurrent_weights(make_generator(0), 4, 5, 1, "uniform", 0.08)[1]).max() <= 0.08
    with pytest.raises(ValueError, match="unknown initialisation 'he', expected glorot, book"):
        recurrent_weights(make_generator(0), 4, 5, 1, "he")
