"""A Tang poem generator: characters, an embedding of 64, an LSTM of 128.

Training needs a file of poems in UTF-8, one poem a line, verses ended by ， and 。 (none comes
with this library; collections of Tang poems are in the public domain)::

    python examples/tang_poems.py train poems.txt --out runs/tang

The poems are shuffled into ``runs/tang.poems.txt``, so that what is held back for validation is
like the rest. It trains with `rnn_xp.train`, so it shows its progress, and leaves a run folder,
which ``rnn-xp info``, ``rnn-xp generate`` and ``rnn-xp train --resume`` understand too. It writes
quatrains of 5 or of 7 characters a line with ， 。 ， 。 after the lines, from a given beginning or
with the first character of each line given, or freely, as the model goes on by itself::

    python examples/tang_poems.py write runs/tang
    python examples/tang_poems.py write runs/tang --form 7 --count 3 --seed 1
    python examples/tang_poems.py write runs/tang --prompt 床前明月光
    python examples/tang_poems.py write runs/tang --heads 春夏秋冬
    python examples/tang_poems.py write runs/tang --form free --prompt 床前明月光，

The form is kept for certain: where it says what comes, that character is given to the model as
if it had chosen it; elsewhere the model chooses among the characters that are no punctuation.
So that it knows from the first character on how long the lines will be, each quatrain is learned
with a 5 or a 7 in front.

After the default of 1500 steps (some three minutes on one core) on the 14,096 quatrains of the
collection chinese-poetry the last three of these commands printed, with ``--seed 0``::

    床前明月光，七萬天涯鐵。遙見九衢紛，帆流不滿樓。
    春江海上岸，夏清小艇開。秋風不是爲，冬清半夜歸。
    床前明月光，靜奏自君時。不知何處見，誰道不相親。
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

from rnn_xp import CheckpointError, Rnnlm, RnnXpError, sample_text, to_host
from rnn_xp.data import CharTokenizer, TextFile
from rnn_xp.errors import DataError
from rnn_xp.sampling import Sampling
from rnn_xp.train import ProgressReporter, RunFolder, make_settings, train

MARKS = "，。，。"  # after the four lines of a quatrain
WIDTHS = (5, 7)
BATCH, BPTT = 32, 48
FEW = 20_000  # characters; a shorter text is not cut into one to learn and one to validate on
PROGRAM = "tang_poems.py"


def read_poems(paths: list[str]) -> list[str]:
    """The lines of UTF-8 files that are not empty, each one once.

    Raises
    ------
    DataError
        If a file cannot be read, or there are fewer than two poems.
    """
    lines = [line.strip() for path in paths for line in "".join(TextFile(path)).split("\n")]
    poems = list(dict.fromkeys(line for line in lines if line))
    if len(poems) < 2:
        raise DataError(f"{', '.join(paths)}: {len(poems)} line, expected poems, one a line")
    return poems


def form_of(poem: str) -> int | None:
    """5 or 7 if `poem` is a quatrain with lines of that many characters, else None."""
    return next((w for w in WIDTHS if re.fullmatch(rf"(\w{{{w}}}\W){{4}}", poem)), None)


def quatrain(width: int, heads: str = "", prompt: str = "") -> list[str | None]:
    """The 4 (width + 1) places of a quatrain: a character where it is given, else None.

    Parameters
    ----------
    width : int
        Characters a line.
    heads : str
        The first characters of the lines, or "".
    prompt : str
        How the poem begins, or "": whole lines with any punctuation after them, the last one
        may be unfinished.

    Raises
    ------
    ValueError
        If they do not fit the form.
    """
    if heads and (len(heads) != len(MARKS) or not heads.isalpha()):
        raise ValueError(
            f"--heads {heads}: {len(heads)} characters, expected {len(MARKS)}, the first of each "
            "line, without punctuation"
        )
    if heads and prompt:
        raise ValueError("--heads and --prompt both say how the poem begins; give one of them")
    if prompt and not prompt.lstrip()[:1].isalpha():
        raise ValueError(f"--prompt {prompt}: begins with no character of the first line")
    given = "".join(c if c.isalpha() else " " for c in prompt).split()
    ended = bool(prompt) and not prompt.rstrip()[-1:].isalpha()
    if len(given) > len(MARKS):
        raise ValueError(f"--prompt has {len(given)} lines, a quatrain has {len(MARKS)}")
    for number, line in enumerate(given, 1):
        complete = ended or number < len(given)
        if len(line) > width or (complete and len(line) < width):
            raise ValueError(
                f"--prompt: line {number} has {len(line)} characters, but --form {width} has "
                f"{width} a line; give whole lines with punctuation between them, or another --form"
            )
    lines: list[list[str | None]] = [[None] * width for _ in MARKS]
    for row, text in zip(lines, heads or given, strict=False):
        row[: len(text)] = text
    return [place for row, mark in zip(lines, MARKS, strict=True) for place in (*row, mark)]


def start_of(width: int, tokenizer: CharTokenizer) -> str:
    """What stands before a poem with lines of `width` characters: a line end, and the form."""
    form = str(width)
    return f"\n{form}" if form in tokenizer.symbols else "\n"


def write_quatrain(
    model: Rnnlm,
    tokenizer: CharTokenizer,
    places: list[str | None],
    sampling: Sampling,
    rng: np.random.Generator,
) -> str:
    """Fill the places that are None, one after the other; the text of all of them.

    Raises
    ------
    DataError
        If the vocabulary has no line end, or lacks a character that is given.
    """
    given = "".join(place for place in places if place is not None)
    tokenizer.encode(given, "the form, --heads or --prompt")
    text = ""
    with model.fresh_state():
        ids = tokenizer.encode(start_of(len(places) // 4 - 1, tokenizer), "the end of a poem")
        for place in places:
            scores = to_host(model.predict(ids[None, :]))[:, -1, :]  # the state goes on
            ids = sampling.choose(scores, rng.random(1))
            if place is not None:
                ids = tokenizer.encode(place)
            text += tokenizer.decode(ids)
    return text


def write_freely(
    model: Rnnlm,
    tokenizer: CharTokenizer,
    args: argparse.Namespace,
    seeds: np.random.SeedSequence,
) -> str:
    """A poem as the model goes on by itself, up to a line end or ``--length`` characters.

    A form stands only in front of a poem: it may be drawn there, and nowhere else.
    """
    forms = [form for form in map(str, WIDTHS) if form in tokenizer.symbols]
    chosen = {"temperature": args.temperature, "top_k": args.top_k}
    first, others = map(int, seeds.generate_state(2))
    if args.prompt:
        width = len(re.match(r"\w*", args.prompt)[0])
        start = start_of(width, tokenizer) + args.prompt
    else:
        (start,) = sample_text(model, tokenizer, "\n", 1, seed=first, **chosen)
    marks = tuple(int(i) for i in tokenizer.encode("".join(forms)))
    (text,) = sample_text(
        model, tokenizer, start, args.length, seed=others, skip_ids=marks, **chosen
    )
    text = text[1:]  # without the line end
    poem = text[1:] if text[:1] in forms else text
    return poem[: len(args.prompt) + args.length].partition("\n")[0]


def open_run(path: str) -> tuple[Rnnlm, CharTokenizer]:
    """Model and vocabulary of a run folder.

    Raises
    ------
    CheckpointError
        If it is none, or is damaged.
    DataError
        If its model does not write characters.
    """
    run = RunFolder.open(path)
    tokenizer = run.tokenizer()
    if not isinstance(tokenizer, CharTokenizer):
        raise DataError(f"{path}: is a model of {tokenizer.level}s, expected one of characters")
    return run.load_model(), tokenizer


def write(args: argparse.Namespace) -> list[str]:
    """The poems that the options of ``write`` ask for."""
    if args.count < 1 or args.length < 1:
        raise ValueError(f"--count {args.count}, --length {args.length}: expected at least 1")
    if args.seed is not None and args.seed < 0:
        raise ValueError(f"--seed {args.seed}: expected an integer from 0 on")
    if args.form == "free":
        if args.heads:
            raise ValueError("--heads needs --form 5 or --form 7: a free poem has no lines to head")
        places = []
    else:
        places = quatrain(int(args.form), args.heads, args.prompt)
    model, tokenizer = open_run(args.run)
    if not places:
        return [write_freely(model, tokenizer, args, seeds) for seeds in _seeds(args)]
    marks = [i for i, symbol in enumerate(tokenizer.symbols) if not symbol.isalpha()]
    marks += [] if tokenizer.unknown is None else [tokenizer.unknown]
    sampling = Sampling(args.temperature, args.top_k, skip_ids=tuple(marks))
    rngs = map(np.random.default_rng, _seeds(args))
    return [write_quatrain(model, tokenizer, places, sampling, rng) for rng in rngs]


def _seeds(args: argparse.Namespace) -> list[np.random.SeedSequence]:
    """One for each poem."""
    return np.random.SeedSequence(args.seed).spawn(args.count)


def learn(args: argparse.Namespace) -> None:
    """Train a model, and print what it wrote and what can be done with it."""
    if not args.poems:
        raise DataError(
            "train needs a file of poems: UTF-8 text, one poem a line, verses ended by ， and 。; "
            f"give it as in {PROGRAM} train poems.txt"
        )
    poems = read_poems(args.poems)
    out = Path(args.out)
    if out.exists() and not args.overwrite:
        raise CheckpointError(f"--out {out}: is there already; choose another, or --overwrite")
    forms = [form_of(poem) for poem in poems]
    fives, sevens = (forms.count(width) for width in WIDTHS)
    print(
        f"{len(poems):,} poems, {fives:,} of them quatrains of 5 characters a line and "
        f"{sevens:,} of 7",
        file=sys.stderr,
    )
    np.random.default_rng(args.seed).shuffle(poems)
    shuffled = out.with_name(f"{out.name}.poems.txt")
    shuffled.parent.mkdir(parents=True, exist_ok=True)
    shuffled.write_text("".join(f"{form_of(poem) or ''}{poem}\n" for poem in poems), "utf-8")
    size = sum(map(len, poems))
    bptt = min(BPTT, max(1, size // 8))
    settings = make_settings(
        data=str(shuffled.resolve()),
        level="char",
        embed=args.embed,
        hidden=args.hidden,
        dropout=args.dropout,
        batch=min(BATCH, max(1, size // (4 * bptt))),
        bptt=bptt,
        steps=args.steps,
        minutes=args.minutes,
        valid="none" if size < FEW else None,
        valid_fraction=0.05,
        seed=args.seed,
    )
    result = train(settings, out, overwrite=args.overwrite, reporter=ProgressReporter())
    if result.interrupted:
        print(f"stopped, and saved; go on with: rnn-xp train --resume {out}", file=sys.stderr)
        return
    form = str(WIDTHS[sevens > fives]) if fives or sevens else "free"
    parser = make_parser()
    asked = ["write", args.out, "--form", form, "--seed", "0", "--count", "3"]
    print(*write(parser.parse_args(asked)), sep="\n")
    print(f"more: {PROGRAM} {' '.join(asked[:4])} --prompt TEXT", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where help is."""
        self.exit(2, f"{PROGRAM}: error: {message}; see {self.prog} --help\n")


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser(prog=PROGRAM, description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="{train,write}")
    shows = argparse.ArgumentDefaultsHelpFormatter

    new = commands.add_parser("train", help="learn from a file of poems", formatter_class=shows)
    new.set_defaults(run_command=learn)
    new.add_argument("poems", nargs="*", metavar="POEMS", help="UTF-8 text, one poem a line")
    new.add_argument("--out", default=str(Path("runs", "tang")), help="the run folder to write")
    new.add_argument("--overwrite", action="store_true", help="replace the run that is there")
    new.add_argument("--steps", type=int, default=1500, help="updates")
    new.add_argument("--minutes", type=float, help="stop after this long")
    new.add_argument("--embed", type=int, default=64, help="width of the embedding")
    new.add_argument("--hidden", type=int, default=128, help="width of the LSTM")
    new.add_argument("--dropout", type=float, default=0.2, help="ratio after both of them")
    new.add_argument("--seed", type=int, default=0, help="of the weights and of the dropout")

    old = commands.add_parser("write", help="write poems", formatter_class=shows)
    old.set_defaults(run_command=lambda args: print(*write(args), sep="\n"))
    old.add_argument("run", metavar="RUN", help="a run folder that train wrote")
    forms = [*map(str, WIDTHS), "free"]
    old.add_argument("--form", choices=forms, default=forms[0], help="characters a line")
    start = old.add_argument_group("the beginning")
    start.add_argument("--prompt", default="", metavar="TEXT", help="how the poem begins")
    start.add_argument("--heads", default="", metavar="ABCD", help="first characters of the lines")
    old.add_argument("--count", type=int, default=1, help="how many poems")
    old.add_argument("--length", type=int, default=48, help="characters at most, if free")
    old.add_argument("--temperature", type=float, default=0.7, help="lower is more careful")
    old.add_argument("--top-k", type=int, metavar="K", help="choose among the K likeliest")
    old.add_argument("--seed", type=int, help="the same seed, the same poems (default: another)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code says whether all went well."""
    args = make_parser().parse_args(arguments)
    try:
        args.run_command(args)
    except (RnnXpError, ValueError, OSError) as error:
        print(f"{PROGRAM}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
