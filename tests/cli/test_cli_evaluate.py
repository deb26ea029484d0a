"""``rnn-xp evaluate``: the numbers of a model on a text, and the book's weight files."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from rnn_xp.data import TextFile, WordTokenizer, encode_corpus
from rnn_xp.interop.dlfs2 import save_rnnlm_pickle
from rnn_xp.models import Rnnlm
from rnn_xp.train import RunFolder, evaluate

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
WORDS = "the cat sat on the mat\nthe dog sat on the cat\n" * 60


@pytest.fixture
def book(tmp_path):
    """A small weight file in the book's format, with the text that its words come from."""
    (tmp_path / "ptb.train.txt").write_text(WORDS)
    (tmp_path / "test.txt").write_text("the dog sat on the mat\n" * 80)
    size = WordTokenizer.build(TextFile(tmp_path / "ptb.train.txt")).size
    model = Rnnlm(size, 5, 6, backend="numpy", seed=4)
    parameters = {n: np.float16(a * 3) for n, a in model.named_parameters.items()}
    config = {"cell": "lstm", "layers": 1, "tied": False}
    save_rnnlm_pickle(tmp_path / "Rnnlm.pkl", parameters, config)
    return tmp_path


@pytest.mark.parametrize("protocol", ["exact", "dlfs2"])
def test_the_numbers_are_those_of_the_library(cli, char_run, text_file, protocol):
    result = cli("evaluate", char_run, "--data", text_file, "--protocol", protocol, "--json")
    assert (result.code, result.err) == (0, "")
    shown = json.loads(result.out)
    run = RunFolder.open(char_run)
    ids = encode_corpus(TextFile(text_file), run.tokenizer())
    expected = evaluate(run.load_model(backend="numpy"), ids, protocol)
    assert shown["perplexity"] == expected.perplexity
    assert shown["bits_per_token"] == math.log2(expected.perplexity) or math.isclose(
        shown["bits_per_token"], math.log2(expected.perplexity)
    )
    assert shown["tokens"] == (len(ids) - 1 if protocol == "exact" else len(ids) // 350 * 350)


def test_people_get_three_lines(cli, char_run, word_run, text_file):
    result = cli("evaluate", char_run, "--data", text_file)
    numbers = json.loads(cli("evaluate", char_run, "--data", text_file, "--json").out)
    assert result.out.splitlines() == [
        f"perplexity          {numbers['perplexity']:.2f} per character",
        f"bits per character  {numbers['bits_per_token']:.4f}",
        f"characters          {numbers['tokens']}",
    ]
    assert "bits per word" in cli("evaluate", word_run, "--data", text_file).out


def test_rows_change_little(cli, char_run, text_file):
    one = json.loads(cli("evaluate", char_run, "--data", text_file, "--json").out)
    four = json.loads(cli("evaluate", char_run, "--data", text_file, "--rows=4", "--json").out)
    assert four["tokens"] == one["tokens"]
    assert four["bits_per_token"] == pytest.approx(one["bits_per_token"], rel=0.01)
    assert four["bits_per_token"] != one["bits_per_token"]


def test_the_last_weights_can_be_asked_for(cli, char_run, text_file):
    words = ["evaluate", char_run, "--data", text_file, "--json"]
    # The last step of that run was its best one.
    assert cli(*words, "--weights", "last").out == cli(*words, "--weights", "best").out
    assert cli(*words, "--weights", "worst").code == 2


@pytest.mark.parametrize("backend", ["array_api_strict", "torch"])
def test_any_backend_gives_the_same(cli, char_run, tmp_path, backend):
    pytest.importorskip(backend)
    text = tmp_path / "short.txt"
    text.write_text("the 3 cats sat on mat 1,\n" * 3)
    shown = [
        json.loads(cli("evaluate", char_run, "--data", text, "--json", "--backend", name).out)
        for name in ("numpy", backend)
    ]
    assert shown[0]["perplexity"] == pytest.approx(shown[1]["perplexity"], rel=1e-5)


def test_a_weight_file_of_the_book_takes_its_words_from_beside_the_data(cli, book):
    result = cli("evaluate", book / "Rnnlm.pkl", "--data", book / "test.txt", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    named = cli(
        *("evaluate", book / "Rnnlm.pkl", "--data", book / "test.txt", "--json"),
        *("--vocab-from", book / "ptb.train.txt"),
    )
    assert json.loads(named.out) == found
    assert found["tokens"] == 80 * 7 - 1


def test_a_weight_file_without_its_words_is_explained(cli, book, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    pickle = elsewhere / "Rnnlm.pkl"
    pickle.write_bytes((book / "Rnnlm.pkl").read_bytes())
    (elsewhere / "test.txt").write_text("the cat\n")
    result = cli("evaluate", pickle, "--data", elsewhere / "test.txt")
    assert result.code == 2
    assert "--vocab-from FILE" in result.error
    (elsewhere / "other.txt").write_text("only three words\n")
    result = cli(
        *("evaluate", pickle, "--data", elsewhere / "test.txt"),
        *("--vocab-from", elsewhere / "other.txt"),
    )
    assert result.code == 1
    assert "other.txt has 4 words, but" in result.error
    result = cli("generate", pickle)
    assert result.code == 2
    assert "--vocab-from FILE" in result.error


def test_a_run_folder_needs_no_words(cli, char_run, text_file):
    words = ["evaluate", char_run, "--data", text_file, "--vocab-from", text_file]
    result = cli(*words)
    assert result.code == 2
    assert "a run folder has its vocabulary" in result.error


@pytest.mark.parametrize(
    ("protocol", "perplexity", "tokens"), [("dlfs2", 136.08, 82250), ("exact", 135.84, 82429)]
)
def test_the_books_own_weights(cli, protocol, perplexity, tokens):
    pickle, data = SHARED / "dlfs2" / "Rnnlm.pkl", SHARED / "ptb" / "ptb.test.txt"
    if not (pickle.exists() and data.exists()):
        pytest.skip("needs ../shared/data/dlfs2 and ptb beside the checkout, which are absent")
    result = cli("evaluate", pickle, "--data", data, "--protocol", protocol)
    assert result.code == 0
    assert f"perplexity          {perplexity} per word\n" in result.out
    assert f"words               {tokens}\n" in result.out
