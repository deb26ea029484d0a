"""Nets of layers and wrappers as the tests of this folder make them: H wide, in and out."""

from rnn_xp.layers import (
    Bidirectional,
    Residual,
    Reversed,
    Stack,
    TimeDropout,
    TimeGRU,
    TimeLSTM,
    TimeReset,
    TrainableState,
    WeightDrop,
)

N, T, H = 3, 4, 5


def lstm(be, seed=0, **options):
    return TimeLSTM.create(H, H, rng=seed, backend=be, dtype="float64", **options)


def gru(be, seed=1, **options):
    return TimeGRU.create(H, H, rng=seed, backend=be, dtype="float64", **options)


NETS = {
    "weight-drop": lambda be, **o: WeightDrop(lstm(be, **o), 0.4, seed=3, stream=2),
    "trainable": lambda be, **o: TrainableState(lstm(be, **o)),
    "residual": lambda be, **o: Residual(lstm(be, **o)),
    "resets": lambda be, **o: TimeReset(lstm(be, **o)),
    "reversed": lambda be, **o: Reversed(gru(be, **o)),
    "bidirectional": lambda be, **o: Bidirectional(lstm(be, **o), gru(be, **o), "mul"),
    "stack": lambda be, **o: Stack(
        [lstm(be, **o), TimeDropout(0.3, time_major=o.get("time_major", False)), gru(be, **o)]
    ),
    "several": lambda be, **o: TrainableState(
        Stack([Residual(WeightDrop(gru(be, **o))), TimeReset(lstm(be, **o))])
    ),
}
