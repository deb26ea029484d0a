"""``rnn-xp generate``: what it writes, when, and how it ends."""

import signal
import sys
from importlib import import_module

import pytest
from cli_helpers import start

from rnn_xp.generate import sample_text
from rnn_xp.train import RunFolder


def expected(run, prompt, length, **settings):
    folder = RunFolder.open(run)
    model = folder.load_model(backend="numpy")
    return sample_text(model, folder.tokenizer(), prompt, length, **settings)


def ended(text):
    return text if text.endswith("\n") else f"{text}\n"


def test_one_text_is_the_prompt_and_what_follows(cli, char_run):
    result = cli("generate", char_run, "--prompt", "the cat", "--length", "40", "--seed", "3")
    (text,) = expected(char_run, "the cat", 40, seed=3)
    assert (result.code, result.out, result.err) == (0, ended(text), "")


def test_settings_reach_the_sampler(cli, char_run):
    words = ["generate", char_run, "--length", "30", "--seed", "3", "--prompt", "so"]
    more = ["--temperature", "0.7", "--top-k", "5", "--top-p", "0.8", "--skip", "t"]
    skipped = RunFolder.open(char_run).tokenizer().encode("t").tolist()
    settings = {"temperature": 0.7, "top_k": 5, "top_p": 0.8, "skip_ids": skipped}
    (text,) = expected(char_run, "so", 30, seed=3, **settings)
    assert cli(*words, *more).out == ended(text)
    (text,) = expected(char_run, "so", 30, greedy=True)
    assert cli(*words, "--greedy").out == ended(text)


def test_several_texts_are_set_apart(cli, char_run):
    words = ["--samples", "2", "--length", "20", "--seed", "1", "--prompt", "the"]
    result = cli("generate", char_run, *words)
    texts = [text.removesuffix("\n") for text in expected(char_run, "the", 20, seed=1, samples=2)]
    assert result.out == (f"--- sample 1 of 2 ---\n{texts[0]}\n--- sample 2 of 2 ---\n{texts[1]}\n")
    assert result.err == ""


def test_words_and_default_lengths(cli, char_run, word_run):
    text = cli("generate", word_run, "--seed", "1").out
    assert len(RunFolder.open(word_run).tokenizer().encode(text.removesuffix("\n"))) in (99, 100)
    assert len(cli("generate", char_run, "--seed", "1").out) in (500, 501)


def test_a_prompt_from_a_file_of_any_length(cli, char_run, tmp_path):
    prompt = "the 3 cats sat on mat 1,\n" * 40
    (tmp_path / "prompt.txt").write_text(prompt)
    words = ["--prompt-file", tmp_path / "prompt.txt", "--length", "10", "--seed", "1"]
    result = cli("generate", char_run, *words)
    assert result.out == ended(expected(char_run, prompt, 10, seed=1)[0])
    assert cli("generate", char_run, *words, "--prompt", "x").code == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--prompt", "the Ж and 猫"], 1, "prompt: not in the vocabulary: 'Ж' (U+0416), '猫'"),
        (["--temperature", "-1"], 2, "temperature is -1.0"),
        (["--temperature", "hot"], 2, "argument --temperature: 'hot': expected a number"),
        (["--top-k", "0"], 2, "top_k is 0"),
        (["--top-p", "1.5"], 2, "top_p is 1.5"),
        (["--length", "0"], 2, "argument --length: '0': expected an integer of at least 1"),
        (["--seed", "-1"], 2, "seed is -1"),
        (["--skip", "cats"], 2, "--skip 'cats': is 4 tokens, expected one"),
        (["--prompt-file", "nowhere.txt"], 1, "nowhere.txt: no such file"),
    ],
)
def test_bad_input_is_one_line(cli, char_run, words, code, message):
    result = cli("generate", char_run, *words)
    assert (result.code, result.out) == (code, "")
    assert message in result.error


def test_an_unknown_word_cannot_be_skipped(cli, word_run):
    result = cli("generate", word_run, "--skip", "zebra")
    assert result.code == 2
    assert "--skip 'zebra': not in the model's vocabulary" in result.error
    assert cli("generate", word_run, "--skip", "<unk>", "--length", "3").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_ends_with_a_line_end(char_run):
    with start("generate", char_run, "--length", "10000000", "--prompt", "the") as running:
        assert running.stdout.read(60).startswith("the")  # streamed, not kept to the end
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err == "rnn-xp: interrupted\n"
    assert out.endswith("\n")


def test_ctrl_c_shows_what_there_is_of_several_texts(cli, char_run, monkeypatch):
    def interrupted(*words, **settings):
        yield ["the ", "the "]
        yield ["cat", "dog"]
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("rnn_xp.cli.generate"), "stream_text", interrupted)
    result = cli("generate", char_run, "--samples", "2")
    assert result.code == 130
    assert result.out == "--- sample 1 of 2 ---\nthe cat\n--- sample 2 of 2 ---\nthe dog\n"
    assert result.err == "rnn-xp: interrupted\n"
