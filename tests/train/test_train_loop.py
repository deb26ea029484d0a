"""What the loop does: limits, levels, batchings, schedules, and what it tells."""

import gzip
import io
import math

import numpy as np
import pytest
from runs import Notes, StopAt, words_text

from rnn_xp.backend import to_host
from rnn_xp.errors import DataError
from rnn_xp.train import ProgressReporter, Reporter, RunFolder, RunInfo, readable, train
from rnn_xp.train.dataset import prepare_data
from rnn_xp.train.interrupt import StopRequest


def rows_of(path, key):
    return [row for row in RunFolder.open(path).metrics() if key in row]


def test_a_run_learns(small, tmp_path, be):
    settings = small(steps=60, hidden=16, lr=0.03, batch=8, backend=be.label, validate_every=20)
    result = train(settings, tmp_path / "run")
    losses = [row["valid_bits_per_char"] for row in rows_of(tmp_path / "run", "valid_loss")]
    assert losses[0] > losses[-1]
    assert result.best == min(losses) < 3.6
    assert result.metric == "valid_bits_per_char"


def test_every_backend_trains_alike(small, tmp_path, be):
    settings = small(dtype="float64", dropout=0.3, layers=2, steps=12)
    train(settings, tmp_path / "numpy")
    train(settings.replace(backend=be.label), tmp_path / "other")
    one, other = (
        to_host(RunFolder.open(tmp_path / name).load_model("numpy", which="last").flat_params)
        for name in ("numpy", "other")
    )
    np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(small, tmp_path):
    for parts in (1, 2, 4):
        train(small(dtype="float64", accumulate=parts, steps=12), tmp_path / str(parts))
    whole, *others = (
        RunFolder.open(tmp_path / name).load_model("numpy", which="last").flat_params
        for name in "124"
    )
    for other in others:
        np.testing.assert_allclose(other, whole, rtol=1e-9, atol=1e-12)


def test_word_and_byte_level(small, tmp_path):
    word = train(small(level="word", batch=2, bptt=8), tmp_path / "word")
    assert word.metric == "valid_perplexity"
    assert word.best < 22
    byte = train(small(level="byte"), tmp_path / "byte")
    assert byte.metric == "valid_bits_per_char"
    assert RunFolder.open(tmp_path / "byte").config.model.vocab_size == 256


def test_limits(small, tmp_path):
    by_epochs = train(small(steps=None, epochs=2), tmp_path / "epochs")
    assert by_epochs.epoch == 2.0
    assert by_epochs.train_loss == pytest.approx(
        rows_of(tmp_path / "epochs", "epoch_loss")[-1]["epoch_loss"]
    )
    assert by_epochs.train_perplexity == pytest.approx(math.exp(by_epochs.train_loss))
    by_time = train(small(steps=None, minutes=1e-9), tmp_path / "minutes")
    assert (by_time.stopped, by_time.step) == ("minutes", 0)
    result = train(None, tmp_path / "minutes", resume=True, changes={"minutes": 0.05})
    assert result.stopped == "minutes"
    assert 2.5 < result.seconds < 20
    # The end of a run that time has limited is validated as well.
    assert rows_of(tmp_path / "minutes", "valid_loss")[-1]["step"] == result.step


def test_patience(small, tmp_path):
    settings = small(
        optimizer="sgd", lr=1e-30, schedule="constant", steps=200, validate_every=5, patience=3
    )
    result = train(settings, tmp_path / "run")
    assert (result.stopped, result.step) == ("patience", 20)
    result = train(None, tmp_path / "run", resume=True, changes={"patience": 4})
    assert (result.stopped, result.step) == ("patience", 25)


def test_divide_on_worse_hears_of_the_validations(small, tmp_path):
    settings = small(
        optimizer="sgd", lr=1e-30, schedule="divide-on-worse", validate_every=10, log_every=10
    )
    train(settings, tmp_path / "run")
    rates = [row["lr"] for row in rows_of(tmp_path / "run", "lr")]
    assert rates == pytest.approx([1e-30, 1e-30, 1e-30, 2.5e-31])


def test_a_separate_validation_text(small, tmp_path):
    path = tmp_path / "valid.txt.gz"
    path.write_bytes(gzip.compress(words_text(40, seed=1).encode()))
    train(small(valid=str(path)), tmp_path / "run")
    config = RunFolder.open(tmp_path / "run").config
    assert config.data["valid"] == str(path)
    assert config.data["valid_tokens"] == len(words_text(40, seed=1)) - 1
    assert set(config.data["digests"]) == {"train", "valid"}
    assert train(None, tmp_path / "run", resume=True).step == 30


def test_characters_that_only_the_validation_text_has(small, tmp_path):
    path = tmp_path / "valid.txt"
    path.write_text("the cat sat on a 貓 mat?\n" * 9, encoding="utf-8")
    reporter = Started()
    train(small(valid=str(path)), tmp_path / "run", reporter=reporter)
    (note,) = reporter.info.notes
    assert "has 2 characters that the training text has not ('?' '貓')" in note
    assert RunFolder.open(tmp_path / "run").tokenizer().unknown is not None


class Started(Notes):
    def started(self, info):
        self.info = info


def test_no_validation(small, tmp_path):
    result = train(small(valid="none"), tmp_path / "run")
    assert (result.metric, result.best) == (None, None)
    folder = RunFolder.open(tmp_path / "run")
    best, last = folder.load_model("numpy"), folder.load_model("numpy", which="last")
    np.testing.assert_array_equal(best.flat_params, last.flat_params)


def test_the_first_words_alone(small, tmp_path):
    settings = small(level="word", max_tokens=12, batch=1, bptt=4, valid="none", steps=3)
    data = prepare_data(settings, tmp_path)
    assert data.tokenizer.size == len(set(words_text(2).replace("\n", " <eos> ").split()[:12]))
    assert len(data.batches.ids) == 12
    train(settings, tmp_path / "run", reporter=StopAt(2))
    assert train(None, tmp_path / "run", resume=True).step == 3


def test_only_words_can_be_counted_out(small, tmp_path):
    with pytest.raises(ValueError, match=r"--vocab-size and --min-count .* need --level word"):
        train(small(vocab_size=5), tmp_path / "run")
    train(small(level="word", vocab_size=9, batch=2, bptt=8), tmp_path / "words")
    assert RunFolder.open(tmp_path / "words").config.model.vocab_size == 9


def test_a_text_that_is_too_short_is_refused_before_training(small, text, tmp_path):
    text.write_text(words_text(20))
    with pytest.raises(DataError, match=r"validation: .* needs 351"):
        train(small(valid_protocol="dlfs2"), tmp_path / "run")
    with pytest.raises(DataError, match="use a smaller batch"):
        train(small(batch=400), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_char_rnn_validates_on_the_ends_of_its_rows(small, tmp_path):
    settings = small(batching="char-rnn", valid_fraction=0.2, validate_every=0, steps=None)
    data = prepare_data(settings, tmp_path)
    assert data.batches.kind == "char-rnn"
    assert not data.batches.resets_state
    blocks = list(data.validation())
    assert sum(ts.size for _, ts in blocks) == data.valid_tokens
    first, _ = data.batches.batch(0)
    assert blocks[0][0].shape == first.shape


def test_sum_over_time_and_values_are_what_char_rnn_does(small, tmp_path):
    # One step of plain SGD: the parameters move by the clamped gradient of the sum.
    settings = small(
        optimizer="sgd",
        lr=1.0,
        schedule="constant",
        clip=None,
        steps=1,
        dtype="float64",
        valid="none",
    )
    limit = 0.05
    plain = train(settings, tmp_path / "plain").path
    summed = train(settings.replace(sum_over_time=True, clip_values=limit), tmp_path / "sum").path
    start = train(settings.replace(lr=1e-300), tmp_path / "start").path
    p, s, zero = (
        RunFolder.open(path).load_model("numpy", which="last").flat_params
        for path in (plain, summed, start)
    )
    expected = np.clip(16 * (zero - p), -limit, limit)
    np.testing.assert_allclose(zero - s, expected, rtol=1e-9, atol=1e-12)
    assert np.abs(expected).max() == limit


def test_the_state_is_reset_where_it_should_be(small, tmp_path, monkeypatch):
    from rnn_xp.train.stepper import Stepper

    calls = []
    real = Stepper.reset_states
    monkeypatch.setattr(Stepper, "reset_states", lambda self: (calls.append(1), real(self))[1])
    for given, expected in ((None, 3), (True, 3), (False, 1)):
        calls.clear()
        settings = small(steps=None, epochs=2, reset_state_each_epoch=given)
        train(settings, tmp_path / str(given))
        assert len(calls) == expected  # once when it is made, then at each epoch's start


def test_the_book_starts_every_epoch_at_the_first_token(small, tmp_path):
    for given, expected in ((True, True), (None, False)):
        settings = small(batching="dlfs2", reset_state_each_epoch=given)
        batches = prepare_data(settings, tmp_path).batches
        first, second = batches.batch(0), batches.batch(batches.steps_per_epoch)
        assert (first[0] == second[0]).all() == expected


def test_the_trainer_needs_settings(tmp_path):
    with pytest.raises(ValueError, match="settings are missing"):
        train(None, tmp_path / "run")


def test_a_stop_that_comes_before_the_first_step(small, tmp_path, monkeypatch):
    from rnn_xp.train import start

    class Stopped(StopRequest):
        def __init__(self):
            super().__init__()
            self.name = "SIGTERM"

    class AtOnce:
        def __enter__(self):
            return Stopped()

        def __exit__(self, *error):
            return False

    monkeypatch.setattr(start, "stop_on_signals", AtOnce)
    result = train(small(), tmp_path / "run")
    assert (result.stopped, result.step) == ("interrupted", 0)
    RunFolder.open(tmp_path / "run").load_model()


def test_other_threads_train_without_handlers(small, tmp_path):
    import threading

    results = []
    thread = threading.Thread(target=lambda: results.append(train(small(), tmp_path / "run")))
    thread.start()
    thread.join()
    assert results[0].step == 30


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_what_a_user_sees(stream, small, tmp_path):
    out = stream()
    train(small(), tmp_path / "run", reporter=ProgressReporter(out, seconds=0.0))
    shown = out.getvalue()
    assert "LSTM 1 x 8 on" in shown
    assert "backend numpy" in shown
    assert shown.count("validation ") == 3
    assert "the best so far" in shown
    assert "bits/char" in shown
    assert "tokens/s" in shown
    assert "left" in shown or stream is Terminal


def test_plain_lines_are_not_too_many(small, tmp_path):
    out = io.StringIO()
    train(small(), tmp_path / "run", reporter=ProgressReporter(out, seconds=1000.0))
    assert "tokens/s" not in out.getvalue()


def test_losses_in_words():
    assert readable(math.log(2.0), "char") == "1.000 bits/char"
    assert readable(math.log(2.0), "byte") == "1.000 bits/byte"
    assert readable(math.log(100.0), "word") == "perplexity 100.00"
    assert readable(None, "word") == "not finite"


def test_a_silent_reporter_has_every_method():
    reporter = Reporter()
    reporter.started(RunInfo("", "", "char", None, 0, 1))
    reporter.stepped(1)
    reporter.logged({})
    reporter.validating(1, 2)
    reporter.validated({})
    reporter.note("")
    reporter.finished()
