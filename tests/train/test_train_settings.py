import json
from dataclasses import fields

import pytest

from rnn_xp.optim import OPTIMIZERS
from rnn_xp.train import PRESETS, TrainSettings, get_preset, make_settings, option_name
from rnn_xp.train.plan import make_optimizer, make_schedule, resolved, total_steps, validation_due
from rnn_xp.train.settings import DEFAULT_LR, DEFAULT_STEPS


@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_json_round_trip(preset):
    settings = make_settings(preset, data="ptb:folder", seed=7)
    assert TrainSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert settings.preset == preset


def test_a_given_option_overrides_the_preset():
    settings = make_settings("char-rnn", hidden=64, clip_values=None)
    assert (settings.hidden, settings.clip_values, settings.layers) == (64, None, 2)
    assert settings.lr == 0.002


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch": 0}, "--batch 0: expected an integer of at least 1"),
        ({"batch": True}, "--batch True: expected an integer"),
        ({"lr": float("nan")}, "--lr nan: expected a finite number above 0"),
        ({"lr": "big"}, "--lr big: expected a finite number"),
        ({"dropout": 1.0}, "--dropout 1.0: expected a number from 0 and below 1"),
        ({"cell": "elman"}, "--cell elman: expected one of rnn, lstm, gru"),
        ({"level": "line"}, "--level line: expected one of char, word, byte"),
        ({"save_every": 0}, "--save-every 0: expected a finite number above 0"),
        ({"tied": True}, "--tied needs --embed and --hidden of one size"),
        ({"tied": True, "one_hot": True, "embed": 8, "hidden": 8}, "--one-hot has no embedding"),
        ({"residual": True}, "--residual needs --embed and --hidden of one size"),
        (
            {"tied": True, "projection": 8, "embed": 512},
            "--tied needs --embed and --projection of one size, got 512 and 8",
        ),
        (
            {"peepholes": True, "cell": "gru"},
            "--peepholes, --projection and --cell-clip need --cell lstm",
        ),
        ({"zoneout": 1.0}, "--zoneout 1.0: expected a number from 0 and below 1"),
        ({"batch": 10, "accumulate": 3}, "--accumulate 3 does not divide --batch 10"),
        ({"schedule": "cosine", "minutes": 1.0}, "--schedule cosine needs to know the number"),
        ({"data": ""}, "--data '': expected a non-empty text"),
        ({"tied": 1}, "--tied 1: expected true or false"),
        ({"seed": -1}, "--seed -1: expected an integer, 0 to"),
        ({"optimiser": "sgd"}, "unknown training option --optimiser"),
        ({"preset": "nano"}, "--preset nano: expected one of dlfs2-simple-rnnlm"),
        ({"preset": "dlfs2-rnnlm"}, "--preset dlfs2-rnnlm needs --data ptb:FOLDER"),
    ],
)
def test_a_wrong_option_is_named_as_the_command_line_spells_it(wrong, message):
    with pytest.raises(ValueError, match="^" + message) as caught:
        make_settings(**wrong)
    assert "\n" not in str(caught.value)


def test_every_setting_has_a_check_and_every_optimizer_a_rate():
    assert all("check" in entry.metadata for entry in fields(TrainSettings))
    assert DEFAULT_LR.keys() == OPTIMIZERS.keys()
    assert option_name("save_every") == "--save-every"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_made(name):
    optimizer = make_optimizer(make_settings(optimizer=name))
    assert optimizer.lr == DEFAULT_LR[name]


def test_a_setting_that_the_optimizer_lacks_is_refused():
    with pytest.raises(ValueError, match=r"--weight-decay 0.1: --optimizer rmsprop has no such"):
        make_optimizer(make_settings(optimizer="rmsprop", weight_decay=0.1))
    assert make_optimizer(make_settings(optimizer="sgd", weight_decay=0.1)).weight_decay == 0.1


def test_the_length_of_a_run():
    open_ended = resolved(make_settings(), "char", 1000)
    assert (open_ended.steps, open_ended.schedule) == (DEFAULT_STEPS, "cosine")
    timed = resolved(make_settings(minutes=1.0), "char", 1000)
    assert (timed.steps, timed.schedule, total_steps(timed, 1000)) == (None, "constant", None)
    both = resolved(make_settings(epochs=3, steps=50), "char", 10)
    assert total_steps(both, 10) == 30


@pytest.mark.parametrize(
    ("given", "per_epoch", "expected"),
    [
        ({"epochs": 3}, 100, 0),
        ({"epochs": 3}, 5000, 1000),
        ({"steps": 500}, 100, 125),
        ({"steps": 10}, 100, 20),
        ({"minutes": 1.0}, 100, 100),
        ({"minutes": 1.0}, 5, 20),
        ({"epochs": 3, "schedule": "divide-on-worse"}, 5000, 0),
        ({"epochs": 3, "validate_every": 7}, 100, 7),
    ],
)
def test_when_to_validate_if_nothing_was_said(given, per_epoch, expected):
    assert resolved(make_settings(**given), "char", per_epoch).validate_every == expected


def test_validation_is_due_at_the_interval_and_at_the_end():
    settings = make_settings(validate_every=4, steps=10)
    assert [s for s in range(11) if validation_due(settings, s, 100, 10)] == [4, 8, 10]
    settings = make_settings(validate_every=0, steps=10)
    assert [s for s in range(11) if validation_due(settings, s, 3, 10)] == [3, 6, 9, 10]


def test_the_warm_up_of_a_short_run_is_short():
    schedule = make_schedule(resolved(make_settings(steps=50), "char", 100), 50)
    assert schedule.warmup_steps == 5
    assert schedule.lr_at(50, 0.5) == 0.0


def test_presets_report_a_number():
    for preset in PRESETS.values():
        assert get_preset(preset.name) is preset
        assert any(c.isdigit() for c in preset.reports)
