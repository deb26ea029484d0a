"""A Tang poem generator: characters, an embedding of 64, an LSTM of 128.

Training needs a UTF-8 file of poems, one a line, verses ended by ， and 。; or of verses, one a
line and in their order (no text comes with this library; Tang poems are in the public domain)::

    python examples/tang_poems.py train poems.txt --out runs/tang

It leaves a run folder, which ``rnn-xp info``, ``rnn-xp generate`` and ``rnn-xp train --resume``
understand too. From it come quatrains of 5 or of 7 characters a line with ， 。 ， 。 after the
lines: of the model's own, from a given beginning, or with the first character of each line given.
Or the model goes on freely, up to the end of the poem::

    python examples/tang_poems.py write runs/tang
    python examples/tang_poems.py write runs/tang --form 7 --count 3 --seed 1
    python examples/tang_poems.py write runs/tang --prompt 床前明月光
    python examples/tang_poems.py write runs/tang --heads 春夏秋冬
    python examples/tang_poems.py write runs/tang --form free --prompt 床前明月光，

The form is kept for certain: where it says what comes, that character is given to the model as
if it had chosen it; elsewhere the model chooses among the characters that are no punctuation.
So that it knows from the first character on how long the lines will be, each quatrain is learned
with a 5 or a 7 in front.

A handful of lines is learned by heart in the default of 1500 steps, in half a minute. After as
many (two and a half minutes on one core) on the 14,096 quatrains of the collection chinese-poetry,
the last three of these commands printed, with ``--seed 0``::

    床前明月光，青山碧柳水。無人與大術，花下郡陽地。
    春風景老侶，夏日看來繞。秋雲猶自到，冬雪還垂淚。
    床前明月光，青山碧柳水。不見城山裏，遊車不是無。
"""

import argparse
import re
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np

from rnn_xp import CheckpointError, Rnnlm, RnnXpError, to_host
from rnn_xp.data import CharTokenizer, TextFile
from rnn_xp.errors import DataError
from rnn_xp.sampling import Sampling
from rnn_xp.train import ProgressReporter, RunFolder, make_settings, train

PROGRAM = "tang_poems.py"
MARKS = "，。，。"  # after the four lines of a quatrain
WIDTHS = (5, 7)
BATCH, BPTT = 32, 48
HIDDEN = "57\ufffd"  # the marks of the forms, and of a character outside the vocabulary
FREE_LENGTH = 64  # characters at most
FEW = 20_000  # characters; a shorter text keeps its order, and nothing of it is held back


def read_poems(paths: list[str]) -> list[str]:
    """The lines of UTF-8 files that are not empty, each one once.

    Raises
    ------
    DataError
        If a file cannot be read, or there are fewer than two lines.
    """
    lines = [line.strip() for path in paths for line in "".join(TextFile(path)).split("\n")]
    poems = list(dict.fromkeys(line for line in lines if line))
    if len(poems) < 2:
        raise DataError(f"{', '.join(paths)}: {len(poems)} line, expected poems, one a line")
    return poems


def form_of(poem: str) -> int | None:
    """5 or 7 if `poem` is a quatrain with lines of that many characters, else None."""
    return next((w for w in WIDTHS if re.fullmatch(rf"(\w{{{w}}}\W){{4}}", poem)), None)


def learn(args: argparse.Namespace) -> None:
    """Train a model, and print what it writes."""
    poems = read_poems(args.poems)
    out = Path(args.out)
    if out.exists() and not args.overwrite:
        raise CheckpointError(f"--out {out}: is there already; choose another, or --overwrite")
    forms = [form_of(poem) for poem in poems]
    fives, sevens = (forms.count(width) for width in WIDTHS)
    learned = [f"{form or ''}{poem}\n" for form, poem in zip(forms, poems, strict=True)]
    size = sum(map(len, learned))
    few = size < FEW
    if few:  # said over and over, so that there is enough for a batch
        learned *= 1 + 4 * BATCH * BPTT // size
    else:  # so that what is held back for validation is like the rest
        np.random.default_rng(args.seed).shuffle(learned)
    text = out.with_name(f"{out.name}.poems.txt")
    settings = make_settings(
        data=str(text.resolve()),
        level="char",
        embed=64,
        hidden=128,
        dropout=0.2,
        batch=BATCH,
        bptt=BPTT,
        steps=args.steps,
        valid="none" if few else None,
        valid_fraction=0.05,
        seed=args.seed,
    )
    print(
        f"{len(poems):,} lines, {fives:,} of them quatrains of 5 characters a line and "
        f"{sevens:,} of 7",
        file=sys.stderr,
    )
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("".join(learned), "utf-8")
    result = train(settings, out, overwrite=args.overwrite, reporter=ProgressReporter())
    if result.interrupted:
        print(f"stopped, and saved; go on with: rnn-xp train --resume {out}", file=sys.stderr)
        return
    asked = ["write", args.out, "--form", "7" if sevens > fives else "5", "--seed", "0"]
    print(*write(make_parser().parse_args([*asked, "--count", "3"])), sep="\n")
    print(f"more: {PROGRAM} {' '.join(asked[:4])} --prompt TEXT", file=sys.stderr)


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
        raise ValueError(f"--heads {heads}: expected {len(MARKS)} characters, one for each line")
    if heads and prompt:
        raise ValueError("--heads and --prompt both say how the poem begins; give one of them")
    given = re.findall(r"\w+", prompt)
    whole = given[:-1] if re.search(r"\w$", prompt) else given
    fits = len(given) <= len(MARKS) and all(len(line) <= width for line in given)
    if not (fits and all(len(line) == width for line in whole) and re.match(r"\w|$", prompt)):
        raise ValueError(
            f"--prompt {prompt}: expected the beginning of {len(MARKS)} lines of {width} "
            "characters, with punctuation between the lines; or another --form"
        )
    lines = [*(heads or given), "", "", "", ""]
    places: list[str | None] = []
    for line, mark in zip(lines, MARKS, strict=False):
        places += [*line, *[None] * (width - len(line)), mark]
    return places


def compose(
    model: Rnnlm,
    tokenizer: CharTokenizer,
    width: int,
    places: list[str | None],
    sampling: Sampling,
    rng: np.random.Generator,
) -> str:
    """Fill the places that are None, one after the other; the text of all of them.

    `width`, the characters a line, is told to a model that has learned such quatrains.

    Raises
    ------
    DataError
        If the vocabulary has no line end, or lacks a character that is given.
    """
    form = str(width) if str(width) in tokenizer.symbols else ""
    ids, text = tokenizer.encode(f"\n{form}", "the beginning of a poem"), ""
    with model.fresh_state():
        for place in places:
            scores = to_host(model.predict(ids[None, :]))[:, -1, :]  # the state goes on
            if place is None:
                ids = sampling.choose(scores, rng.random(1))
                text += tokenizer.decode(ids)
            else:
                # Verses that were learned without punctuation end with the end of the line.
                bare = place in MARKS and place not in tokenizer.symbols
                ids = tokenizer.encode("\n" if bare else place, "--heads or --prompt")
                text += place
    return text


def write(args: argparse.Namespace) -> list[str]:
    """The poems that the options of ``write`` ask for."""
    if args.count < 1:
        raise ValueError(f"--count {args.count}: expected at least 1")
    if args.seed is not None and args.seed < 0:
        raise ValueError(f"--seed {args.seed}: expected an integer from 0 on")
    free = args.form == "free"
    if free and args.heads:
        raise ValueError("--heads needs --form 5 or --form 7: a free poem has no lines to head")
    places = (
        [*args.prompt, *[None] * FREE_LENGTH]
        if free
        else quatrain(int(args.form), args.heads, args.prompt)
    )
    run = RunFolder.open(args.run)
    model, tokenizer = run.load_model(), run.tokenizer()
    if not isinstance(tokenizer, CharTokenizer):
        raise DataError(f"{args.run}: a model of {tokenizer.level}s, expected one of characters")
    characters = [tokenizer.decode([i]) for i in range(tokenizer.size)]
    skip = [i for i, c in enumerate(characters) if (c in HIDDEN if free else not c.isalpha())]
    sampling = Sampling(args.temperature, skip_ids=tuple(skip))
    poems = []
    for seeds in np.random.SeedSequence(args.seed).spawn(args.count):
        rng = np.random.default_rng(seeds)
        if not free:
            width = int(args.form)
        elif args.prompt:
            width = len(re.match(r"\w*", args.prompt)[0])
        else:
            width = rng.choice([w for w in WIDTHS if str(w) in characters] or WIDTHS)
        text = compose(model, tokenizer, width, places, sampling, rng)
        if MARKS[0] in characters:
            poems.append(text.partition("\n")[0])
        else:  # verses, one a line: the last one may be unfinished
            poems.append(text.rpartition("\n")[0] or text)
    return poems


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
    new.add_argument("poems", nargs="+", metavar="POEMS", help="UTF-8 text, one poem a line")
    new.add_argument("--out", default=str(Path("runs", "tang")), help="the run folder to write")
    new.add_argument("--overwrite", action="store_true", help="replace the run that is there")
    new.add_argument("--steps", type=int, default=1500, help="updates")
    new.add_argument("--seed", type=int, default=0, help="of the weights and of the dropout")

    old = commands.add_parser("write", help="write poems", formatter_class=shows)
    old.set_defaults(run_command=lambda args: print(*write(args), sep="\n"))
    old.add_argument("run", metavar="RUN", help="a run folder that train wrote")
    old.add_argument("--form", choices=("5", "7", "free"), default="5", help="characters a line")
    old.add_argument("--prompt", default="", metavar="TEXT", help="how the poem begins")
    old.add_argument("--heads", default="", metavar="ABCD", help="first characters of the lines")
    old.add_argument("--count", type=int, default=1, help="how many poems")
    old.add_argument("--temperature", type=float, default=0.7, help="lower is more careful")
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
