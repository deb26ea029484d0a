"""The poem generator keeps forms and acrostics, on poems of nonsense made here."""

import importlib.util
import random
import re
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[2] / "examples" / "tang_poems.py"
SYMBOLS = "".join(chr(0x4E00 + 7 * i) for i in range(60))  # 60 Chinese characters
MARKS = "，。，。"
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "tang"


def load():
    spec = importlib.util.spec_from_file_location("tang_poems", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tang = load()


def poem(draw, width):
    return "".join("".join(draw.choices(SYMBOLS, k=width)) + mark for mark in MARKS)


@pytest.fixture(scope="module")
def poems(tmp_path_factory):
    """Path of a file of 120 quatrains, half of them with lines of 7 characters."""
    draw = random.Random(1)
    path = tmp_path_factory.mktemp("poems") / "poems.txt"
    path.write_text("".join(poem(draw, w) + "\n" for w in (5, 7) * 60), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(poems):
    """Path of a trained run folder, made by the command line."""
    out = poems.parent / "run"
    assert tang.main(["train", str(poems), "--out", str(out), "--steps", "30"]) == 0
    return out


def written(capsys, *arguments):
    assert tang.main(["write", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def refused(capsys, *arguments):
    """The one line that says what is wrong."""
    assert tang.main([str(a) for a in arguments]) == 1
    output, message = capsys.readouterr()
    assert output == ""
    assert message.startswith("tang_poems.py: error: ")
    assert message.count("\n") == 1
    return message


def test_training_reports_what_it_read_and_writes_poems(poems, tmp_path, capsys):
    out = tmp_path / "run"
    assert tang.main(["train", str(poems), "--out", str(out), "--steps", "3"]) == 0
    output, messages = capsys.readouterr()
    assert len(output.splitlines()) == 3
    assert "120 lines, 60 of them quatrains of 5 characters a line and 60 of 7" in messages
    assert (out / "model.safetensors").exists()


@pytest.mark.parametrize("width", [5, 7])
def test_quatrains_keep_line_length_and_punctuation(run, capsys, width):
    lines = written(capsys, run, "--form", width, "--count", 5, "--seed", 3, "--temperature", 2)
    assert len(lines) == 5
    for line in lines:
        assert re.fullmatch("".join(f"[{SYMBOLS}]{{{width}}}{mark}" for mark in MARKS), line)
        assert tang.form_of(line) == width


def test_an_acrostic_has_the_given_first_characters(run, capsys):
    heads = SYMBOLS[7:11]
    (line,) = written(capsys, run, "--heads", heads, "--seed", 0)
    assert line[::6] == heads
    assert tang.form_of(line) == 5
    (line,) = written(capsys, run, "--heads", heads, "--seed", 0, "--form", 7)
    assert line[::8] == heads
    assert tang.form_of(line) == 7


def test_a_given_line_is_continued(run, capsys):
    for prompt in (SYMBOLS[:5], SYMBOLS[:3], f"{SYMBOLS[:5]}，{SYMBOLS[9:11]}", f"{SYMBOLS[:5]}，"):
        (line,) = written(capsys, run, "--prompt", prompt, "--seed", 0)
        assert line.startswith(prompt)
        assert tang.form_of(line) == 5
    texts = written(capsys, run, "--form", "free", "--prompt", SYMBOLS[:5], "--count", 2)
    assert len(texts) == 2
    for text in texts:
        assert text.startswith(SYMBOLS[:5])
        assert len(text) <= 5 + 64


@pytest.mark.parametrize("prompt", ["", SYMBOLS[:3], SYMBOLS[:5]])
def test_the_form_does_not_leak_into_a_free_poem(run, capsys, prompt):
    options = ["--form", "free", "--count", 20, "--seed", 0, "--temperature", 5]
    lines = written(capsys, run, *options, "--prompt", prompt)
    assert len(lines) == 20
    assert len(set(lines)) > 10
    for line in lines:
        assert line.startswith(prompt)
        assert not set(line) & set("57")


def test_the_characters_that_are_given_are_read(run, capsys):
    """What is forced goes into the state: other heads give another poem behind them."""
    greedy = ["--temperature", 0, "--heads"]
    texts = [written(capsys, run, *greedy, SYMBOLS[k : k + 4])[0] for k in range(20)]
    assert len({text[1:5] for text in texts}) > 1


def test_the_same_seed_writes_the_same_poems(run, capsys):
    first = written(capsys, run, "--count", 2, "--seed", 5)
    assert written(capsys, run, "--count", 2, "--seed", 5) == first
    assert written(capsys, run, "--count", 1, "--seed", 5) == first[:1]
    assert written(capsys, run, "--count", 2, "--seed", 6) != first


def learned_by_heart(capsys, tmp_path, *lines):
    """Path of a run that has learned a few lines."""
    path, out = tmp_path / "few.txt", tmp_path / "run"
    path.write_text("\n\n".join(lines), encoding="utf-8")
    assert tang.main(["train", str(path), "--out", str(out), "--steps", "200"]) == 0
    capsys.readouterr()
    return out


def test_two_poems_are_enough_to_learn_by_heart(tmp_path, capsys):
    draw = random.Random(2)
    known = [poem(draw, 5), poem(draw, 5)]
    out = learned_by_heart(capsys, tmp_path, *known)
    for text in known:
        for form in ("5", "free"):
            options = ["--prompt", text[:5], "--form", form, "--temperature", 0]
            assert written(capsys, out, *options) == [text]


def test_verses_without_punctuation_are_continued_in_their_order(tmp_path, capsys):
    verses = [SYMBOLS[k : k + 5] for k in range(0, 45, 5)]
    out = learned_by_heart(capsys, tmp_path, *verses)
    options = ["--prompt", verses[3], "--temperature", 0]
    (line,) = written(capsys, out, *options)
    assert line == "".join(verse + mark for verse, mark in zip(verses[3:], MARKS, strict=False))
    assert written(capsys, out, *options, "--form", "free")[:6] == verses[3:]


def test_the_form_of_a_poem_is_recognised():
    draw = random.Random(3)
    assert tang.form_of(poem(draw, 5)) == 5
    assert tang.form_of(poem(draw, 7)) == 7
    assert tang.form_of(poem(draw, 6)) is None
    assert tang.form_of(poem(draw, 5) + poem(draw, 5)) is None


def test_a_quatrain_is_learned_with_its_form_in_front(run):
    learned = run.with_name("run.poems.txt").read_text("utf-8").splitlines()
    assert {line[0] for line in learned} == {"5", "7"}
    assert all(tang.form_of(line[1:]) == int(line[0]) for line in learned)


@pytest.mark.parametrize(("name", "width", "count"), [("wuyan", 5, 3754), ("qiyan", 7, 10342)])
def test_the_quatrains_of_the_tang(name, width, count):
    path = SHARED / f"{name}_jueju.hant.txt"
    if not path.exists():
        pytest.skip(f"needs ../shared/data/tang/{path.name} beside the checkout, which is absent")
    poems = tang.read_poems([str(path)])
    assert [tang.form_of(text) for text in poems] == [width] * count


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        (b"", "the file is empty"),
        (b"one line\n\n", "1 line, expected poems, one a line"),
        ("唐詩".encode("utf-16"), "save it as UTF-8"),
    ],
)
def test_a_file_that_is_none_of_poems_is_refused(tmp_path, capsys, content, expected):
    path = tmp_path / "poems.txt"
    if content is not None:
        path.write_bytes(content)
    assert expected in refused(capsys, "train", path, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_kept(poems, run, capsys):
    before = (run / "model.safetensors").read_bytes()
    assert "--overwrite" in refused(capsys, "train", poems, "--out", run)
    assert (run / "model.safetensors").read_bytes() == before


def test_several_files_are_read_each_poem_once(poems, tmp_path, capsys):
    more, out = tmp_path / "more.txt", tmp_path / "run"
    more.write_text(poem(random.Random(9), 5) + "\r\n" + poems.read_text("utf-8"), "utf-8")
    assert tang.main(["train", str(poems), str(more), "--out", str(out), "--steps", "2"]) == 0
    assert "121 lines, 61 of them quatrains of 5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--heads", SYMBOLS[:3]], "expected 4 characters, one for each line"),
        (["--heads", f"{SYMBOLS[:3]}，"], "expected 4 characters, one for each line"),
        (["--heads", SYMBOLS[:4], "--prompt", SYMBOLS[:2]], "give one of them"),
        (["--heads", SYMBOLS[:4], "--form", "free"], "--heads needs --form"),
        (["--prompt", SYMBOLS[:6]], "expected the beginning of 4 lines of 5 characters"),
        (["--prompt", f"{SYMBOLS[:4]}，"], "expected the beginning of 4 lines"),
        (["--prompt", f"{SYMBOLS[:4]}，{SYMBOLS[:5]}"], "expected the beginning of 4 lines"),
        (["--prompt", f"{SYMBOLS[:5]}，" * 5], "expected the beginning of 4 lines"),
        (["--prompt", "，"], "expected the beginning of 4 lines"),
        (["--prompt", f"，{SYMBOLS[:5]}"], "expected the beginning of 4 lines"),
        (["--prompt", "abc"], "not in the vocabulary"),
        (["--heads", "abcd"], "not in the vocabulary"),
        (["--count", "0"], "expected at least 1"),
        (["--seed", "-1"], "expected an integer from 0 on"),
        (["--temperature", "-1"], "temperature"),
    ],
)
def test_what_cannot_be_written_is_refused(run, capsys, options, expected):
    assert expected in refused(capsys, "write", run, *options)


def test_a_missing_run_is_refused(tmp_path, capsys):
    assert "no such run folder" in refused(capsys, "write", tmp_path / "none")


@pytest.mark.parametrize("arguments", [["write", "run", "--form", "6"], ["train"]])
def test_bad_usage_is_one_line(arguments, capsys):
    with pytest.raises(SystemExit):
        tang.main(arguments)
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "--help" in message


def test_a_bad_setting_leaves_nothing_behind(poems, tmp_path, capsys):
    assert "steps" in refused(
        capsys, "train", poems, "--out", tmp_path / "new" / "run", "--steps", "-1"
    )
    assert not (tmp_path / "new").exists()
