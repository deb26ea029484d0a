"""Schedules: exact numbers, at the borders above all."""

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_xp.optim import (
    SCHEDULES,
    Constant,
    CosineWithWarmup,
    DecayAfter,
    DivideOnWorse,
    get_schedule,
)


def test_constant():
    schedule = Constant(0.3)
    schedule.on_validation(math.inf)
    assert schedule.lr_at(10**9, 1e6) == 0.3


def test_divide_on_worse_is_the_book():
    schedule = DivideOnWorse(20.0)
    rates = []
    for loss in [5.0, 4.0, 4.5, 4.2, 3.9, 3.9, math.nan, 3.8]:
        schedule.on_validation(loss)
        rates.append(schedule.lr_at(0, 0.0))
    # Better, better, worse, worse than the best, better, equal, NaN, better.
    assert rates == [20.0, 20.0, 5.0, 1.25, 1.25, 0.3125, 0.078125, 0.078125]


def test_divide_on_worse_before_and_at_a_first_loss_of_nan():
    schedule = DivideOnWorse(1.0, factor=2.0)
    assert schedule.lr_at(0, 0.0) == 1.0
    schedule.on_validation(math.nan)
    schedule.on_validation(9.0)
    assert schedule.lr_at(0, 0.0) == 0.5
    assert schedule.best == 9.0


def test_divide_on_worse_resumes():
    first, second = DivideOnWorse(20.0), DivideOnWorse(20.0)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for loss in [5.1, 5.2, 5.0]:
        first.on_validation(loss)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for schedule in (first, second):
        schedule.on_validation(5.05)
    assert second.lr_at(3, 0.1) == first.lr_at(3, 0.1) == 20.0 / 16
    assert second.state_dict() == first.state_dict() == {"best": 5.0, "divisions": 2}


def test_decay_after_is_zaremba_small():
    # TensorFlow's tutorial: lr * 0.5 ** max(i + 1 - 4, 0) in epoch i, from 0.
    schedule = DecayAfter(1.0, epochs=4, factor=0.5)
    rates = [schedule.lr_at(0, float(i)) for i in range(13)]
    assert rates == [1.0] * 4 + [0.5**k for k in range(1, 10)]


def test_decay_after_is_char_rnn():
    # train.lua: at the end of epoch e (from 1) the rate is multiplied by 0.97 if e >= 10.
    schedule = DecayAfter(0.002, epochs=10, factor=0.97)
    rate = 0.002
    for epoch in range(1, 51):
        assert schedule.lr_at(0, epoch - 1.0) == pytest.approx(rate, rel=1e-14)
        assert schedule.lr_at(0, epoch - 0.001) == pytest.approx(rate, rel=1e-14)
        if epoch >= 10:
            rate *= 0.97


@given(per_epoch=st.integers(1, 10**6), epoch=st.integers(0, 1000))
def test_epochs_from_step_counts_start_where_they_should(per_epoch, epoch):
    schedule = DecayAfter(1.0, epochs=0, factor=0.5)
    first = epoch * per_epoch
    assert schedule.lr_at(first, first / per_epoch) == 0.5 ** (epoch + 1)
    last = first + per_epoch - 1
    assert schedule.lr_at(last, last / per_epoch) == 0.5 ** (epoch + 1)


def test_cosine_with_warmup():
    schedule = CosineWithWarmup(0.8, total_steps=12, warmup_steps=4, final=0.2)
    rates = [schedule.lr_at(step, 0.0) for step in range(15)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8], rel=1e-15)
    assert rates[8] == pytest.approx(0.5, rel=1e-15)  # half way
    assert rates[6] == pytest.approx(0.5 + 0.3 * math.sqrt(0.5), rel=1e-15)
    assert rates[12:] == [0.2, 0.2, 0.2]
    assert all(a > b for a, b in itertools.pairwise(rates[4:13]))


def test_cosine_without_warmup_ends_at_zero():
    schedule = CosineWithWarmup(1.0, total_steps=2)
    assert [schedule.lr_at(s, 0.0) for s in range(3)] == pytest.approx([1.0, 0.5, 0.0])


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("constant", {}),
        ("divide-on-worse", {"factor": 2.0}),
        ("decay-after", {"epochs": 6, "factor": 0.8}),
        ("cosine", {"total_steps": 100, "warmup_steps": 10, "final": 0.01}),
    ],
)
def test_by_name(name, given):
    schedule = get_schedule(name, 0.5, **given)
    assert type(schedule) is SCHEDULES[name]
    assert schedule.base_lr == 0.5
    assert all(getattr(schedule, key) == value for key, value in given.items())
    schedule.load_state_dict(schedule.state_dict())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: get_schedule("linear", 1.0), "unknown schedule 'linear', expected one of const"),
        (lambda: get_schedule("constant", 1.0, factor=2), "no setting 'factor', expected one of"),
        (lambda: Constant(math.nan), "base_lr is nan"),
        (lambda: DivideOnWorse(1.0, factor=0.5), "factor is 0.5"),
        (lambda: DecayAfter(1.0, factor=0.0), "factor is 0.0"),
        (lambda: DecayAfter(1.0, epochs=-1), "epochs is -1"),
        (lambda: CosineWithWarmup(1.0, 10, 10), "total_steps is 10, expected more than"),
        (lambda: Constant(1.0).load_state_dict({"best": 1.0}), "entries \\['best'\\], expected"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
