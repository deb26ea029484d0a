"""Batches: what covers what, resuming, and the loops of the book and of char-rnn."""

import json
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_xp.data.batches import ContiguousStreams
from rnn_xp.data.evaluation import IGNORE, book_evaluation_batches, evaluation_batches
from rnn_xp.data.preset_batches import BookStreams, CharRnnStreams, char_rnn_split
from rnn_xp.data.token_file import write_token_file
from rnn_xp.data.tokenizers import ByteTokenizer
from rnn_xp.errors import CheckpointError, DataError, DTypeError, ShapeError

SIZES = st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(0, 100))  # N, T, extra
ALL = (ContiguousStreams, BookStreams, CharRnnStreams)


def numbered(count):
    """Ids that say their own place."""
    return np.arange(count, dtype=np.uint16)


def one_epoch(streams):
    batches = list(streams.rest_of_epoch())
    for x, t in batches:
        assert x.dtype == t.dtype == np.int64
        assert x.shape == t.shape
    return batches


def rows(batches):
    return (np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True))


@given(SIZES)
def test_contiguous_streams_read_each_row_once(sizes):
    N, T, extra = sizes
    ids = numbered(N * T + 1 + extra)
    L = (len(ids) - 1) // N
    streams = ContiguousStreams(ids, N, T)
    batches = one_epoch(streams)
    x, t = rows(batches)
    assert x.tolist() == [list(range(n * L, (n + 1) * L)) for n in range(N)]
    assert (t == x + 1).all()
    assert x.size == streams.tokens_per_epoch
    assert len(batches) == streams.steps_per_epoch
    assert [b[0].shape[1] for b in batches[:-1]] == [T] * (len(batches) - 1)
    again = one_epoch(streams)
    assert all((a[0] == b[0]).all() for a, b in zip(batches, again, strict=True))
    assert streams.epoch == 2
    assert streams.resets_state


@given(SIZES)
def test_contiguous_streams_without_the_tail(sizes):
    N, T, extra = sizes
    ids = numbered(N * T + 1 + extra)
    streams = ContiguousStreams(ids, N, T, drop_tail=True)
    batches = one_epoch(streams)
    assert {b[0].shape for b in batches} == {(N, T)}
    assert len(batches) == (len(ids) - 1) // N // T
    assert sum(b[0].size for b in batches) == streams.tokens_per_epoch


@given(SIZES, st.integers(1, 40))
def test_the_books_batches(sizes, count):
    N, T, extra = sizes
    corpus = numbered(N * T + 1 + extra)[::-1].copy()
    xs, ts = corpus[:-1], corpus[1:]
    streams = BookStreams(corpus, N, T)
    assert not streams.resets_state
    assert streams.steps_per_epoch == len(xs) // (N * T)
    assert streams.tokens_per_epoch == streams.steps_per_epoch * N * T
    time = 0  # runs on over all epochs
    for x, t in islice(streams, count):
        for row in range(N):
            for step in range(T):
                place = (row * (len(xs) // N) + time + step) % len(xs)
                assert (x[row, step], t[row, step]) == (xs[place], ts[place])
        time += T


def test_the_book_fits_one_epoch_after_another_from_the_first_token():
    on, back = (BookStreams(numbered(101), 2, 5, rewind=rewind) for rewind in (False, True))
    assert back.steps_per_epoch == on.steps_per_epoch == 10
    for number in range(30):
        for a, b in zip(back.batch(number), on.batch(number % 10), strict=True):
            assert (a == b).all()
    assert (on.batch(13)[0] != back.batch(13)[0]).any()
    with pytest.raises(CheckpointError, match="rewind"):
        back.load_state_dict(on.state_dict())


def test_the_books_chapter_5_has_19_batches_an_epoch():
    assert BookStreams(numbered(1000), 10, 5).steps_per_epoch == 19


@given(SIZES)
def test_char_rnn_batches(sizes):
    N, T, extra = sizes
    ids = numbered(2 * N * T + extra)
    count = len(ids) // (N * T)
    used = ids[: count * N * T].astype(int)
    grid, following = used.reshape(N, -1), np.roll(used, -1).reshape(N, -1)
    x, t = rows(one_epoch(CharRnnStreams(ids, N, T)))
    assert (x == grid).all()
    assert (t == following).all()

    train, valid = char_rnn_split(ids, N, T, 0.6)
    cut = int(count * 0.6)
    x, t = rows(one_epoch(train))
    assert (x == grid[:, : cut * T]).all()
    assert (t == following[:, : cut * T]).all()
    x, t = rows(one_epoch(valid))
    assert (x == grid[:, cut * T :]).all()
    assert (t == following[:, cut * T :]).all()
    assert train.tokens_per_epoch + valid.tokens_per_epoch == used.size


def test_char_rnn_split_of_tiny_shakespeare():
    train, valid = char_rnn_split(np.zeros(1_115_394, dtype=np.uint8), 50, 50)
    assert (train.steps_per_epoch, valid.steps_per_epoch) == (423, 23)


@pytest.mark.parametrize("blocks", [range(0), range(3), range(-1, 1), range(0, 2, 2)])
def test_char_rnn_blocks_that_are_not_there(blocks):
    with pytest.raises(DataError, match="expected some of 0 to 1"):
        CharRnnStreams(numbered(20), 2, 5, blocks=blocks)
    with pytest.raises(DataError, match="leaves one part empty"):
        char_rnn_split(numbered(20), 2, 5, 0.1)


@pytest.mark.parametrize("kind", ALL)
@given(sizes=SIZES, before=st.integers(0, 30), data=st.data())
def test_resume_continues_bit_exactly(kind, sizes, before, data):
    N, T, extra = sizes
    ids = data.draw(st.randoms()).choices(range(100), k=N * T + 1 + extra)
    whole, resumed = kind(ids, N, T), kind(ids, N, T)
    for _ in islice(whole, before):
        pass
    state = json.loads(json.dumps(whole.state_dict()))
    resumed.load_state_dict(state)
    assert (resumed.position, resumed.epoch, resumed.step) == (before, whole.epoch, whole.step)
    for _ in range(20):
        for a, b in zip(next(whole), next(resumed), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ALL)
def test_the_rest_of_an_interrupted_epoch(kind):
    streams = kind(numbered(101), 2, 5)
    steps = streams.steps_per_epoch
    next(streams)
    assert len(list(streams.rest_of_epoch())) == steps - 1
    assert (streams.epoch, streams.step) == (1, 0)
    assert len(list(streams.rest_of_epoch())) == steps


def test_a_position_of_other_batches_is_refused():
    state = ContiguousStreams(numbered(101), 2, 5).state_dict()
    for other, key in [
        (ContiguousStreams(numbered(101), 4, 5), "batch_size"),
        (ContiguousStreams(numbered(101), 2, 4), "bptt"),
        (ContiguousStreams(numbered(102), 2, 5), "tokens"),
        (ContiguousStreams(numbered(101), 2, 5, drop_tail=True), "drop_tail"),
        (BookStreams(numbered(101), 2, 5), "kind"),
    ]:
        with pytest.raises(CheckpointError, match=f"saved position has {key} "):
            other.load_state_dict(state)
    for position in (None, -1, 1.0, True):
        with pytest.raises(CheckpointError, match="is not a count"):
            ContiguousStreams(numbered(101), 2, 5).load_state_dict({**state, "position": position})


@pytest.mark.parametrize("kind", ALL)
def test_a_batch_is_the_callers_own(kind):
    ids = numbered(101)
    streams = kind(ids, 2, 5)
    for array in streams.batch(0):
        array[...] = -7
    assert ids.tolist() == list(range(101))
    assert streams.batch(0)[0].min() >= 0
    assert streams.position == 0


@pytest.mark.parametrize("kind", ALL)
def test_memory_mapped_ids(kind, tmp_path):
    plain = np.arange(200) % 251
    mapped = write_token_file(tmp_path / "a", [plain], ByteTokenizer())
    for a, b in zip(
        islice(kind(plain, 3, 7), 30),
        islice(kind(mapped, 3, 7), 30),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ALL)
def test_too_short_a_text(kind):
    needed = 20 * 35 + (kind is not CharRnnStreams)
    kind(numbered(needed), 20, 35)
    message = (
        rf"the text has {needed - 1} tokens, but one batch of N = 20 streams of T = 35 tokens "
        rf"needs {needed}; use a smaller batch \(--batch\) or shorter streams \(--bptt\)"
    )
    with pytest.raises(DataError, match=message):
        kind(numbered(needed - 1), 20, 35)


def test_too_short_for_other_purposes():
    with pytest.raises(DataError, match=r"the text has 10 tokens, .* needs 12"):
        char_rnn_split(numbered(10), 2, 3)
    with pytest.raises(DataError, match=r"the text has 350 tokens, .* needs 351"):
        book_evaluation_batches(numbered(350))
    for count in (0, 1):
        with pytest.raises(DataError, match=f"the text has {count} tokens, but to predict"):
            evaluation_batches(numbered(count))


@pytest.mark.parametrize("function", [*ALL, evaluation_batches, book_evaluation_batches])
def test_wrong_arguments(function):
    name = function.__name__
    with pytest.raises(ShapeError, match=rf"{name}: ids have shape \(5, 20\), expected \(M,\)"):
        function(numbered(100).reshape(5, 20), 2, 3)
    with pytest.raises(DTypeError, match=f"{name}: ids have dtype float64"):
        function(np.zeros(100), 2, 3)
    for value in (0, -1, 1.5, True, "2"):
        with pytest.raises(DataError, match=r"batch_size is .*, expected a positive integer"):
            function(numbered(100), value, 3)
        with pytest.raises(DataError, match=r"bptt is .*, expected a positive integer"):
            function(numbered(100), 3, value)


@given(st.integers(2, 120), st.integers(1, 9), st.integers(1, 9))
def test_exact_evaluation_predicts_every_token_once(count, N, T):
    batches = list(evaluation_batches(numbered(count), N, T))
    x, t = rows(batches)
    counted = t != IGNORE
    assert sorted(t[counted].tolist()) == list(range(1, count))
    assert (t[counted] == x[counted] + 1).all()
    assert x.shape[0] == min(N, count - 1)
    assert counted[:, :-1].all(), "only the last column may be ignored"
    assert (np.diff(x, axis=1)[counted[:, 1:]] == 1).all(), "rows are contiguous"
    assert {b[0].shape[1] for b in batches[:-1]} <= {T}
    assert x.min() >= 0
    assert x.max() < count


@given(SIZES)
def test_the_books_evaluation(sizes):
    N, T, extra = sizes
    corpus = numbered(N * T + 1 + extra)
    size = len(corpus)
    batches = list(book_evaluation_batches(corpus, N, T))
    assert len(batches) == (size - 1) // (N * T)
    for number, (x, t) in enumerate(batches):
        for row in range(N):
            start = number * T + row * ((size - 1) // N)
            assert x[row].tolist() == [(start + i) % size for i in range(T)]
            assert t[row].tolist() == [(start + i + 1) % size for i in range(T)]


def test_the_books_evaluation_of_ptb_has_235_batches():
    assert sum(1 for _ in book_evaluation_batches(np.zeros(82_430, dtype=np.int32))) == 235
