"""``rnn-xp generate``: let a model write, token by token on the terminal."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from rnn_xp.cli.errors import UsageError, bad_usage
from rnn_xp.cli.models import open_model
from rnn_xp.cli.options import add_machine, add_model, integer, number, positive_integer
from rnn_xp.data import TextFile, Tokenizer
from rnn_xp.generate import stream_text

LENGTHS = {"char": 500, "byte": 500, "word": 100}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    prompt = parser.add_mutually_exclusive_group()
    prompt.add_argument(
        "--prompt",
        metavar="TEXT",
        default="",
        help="what to continue (default: nothing; the text starts as after a line end)",
    )
    prompt.add_argument(
        "--prompt-file", metavar="FILE", help="a UTF-8 text to continue (default: none)"
    )
    parser.add_argument(
        "--length",
        type=positive_integer,
        metavar="N",
        help="tokens to write (default: 500 characters or bytes, or 100 words)",
    )
    parser.add_argument(
        "--temperature",
        type=number,
        default=1.0,
        metavar="X",
        help="below 1 is safer, above 1 is wilder, 0 is --greedy (default: 1)",
    )
    parser.add_argument(
        "--top-k",
        type=integer,
        metavar="K",
        help="choose among the K most likely tokens only (default: all)",
    )
    parser.add_argument(
        "--top-p",
        type=number,
        metavar="P",
        help="choose among the fewest tokens that have probability P together (default: all)",
    )
    parser.add_argument(
        "--greedy", action="store_true", help="always the most likely token (default: a random one)"
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        metavar="TOKEN",
        help="never write this token, such as '<unk>'; may be given several times (default: none)",
    )
    parser.add_argument(
        "--seed",
        type=integer,
        metavar="S",
        help="the same seed gives the same text (default: another text each time)",
    )
    parser.add_argument(
        "--samples",
        type=positive_integer,
        default=1,
        metavar="N",
        help="texts to write, side by side; shown when they are complete if more than one "
        "(default: 1)",
    )
    add_machine(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    prompt = args.prompt
    if args.prompt_file is not None:
        prompt = "".join(TextFile(args.prompt_file))
    opened = open_model(
        args.model, backend=args.backend, weights=args.weights, vocab_from=args.vocab_from
    )
    tokenizer = opened.tokenizer
    with bad_usage():
        pieces = stream_text(
            opened.model,
            tokenizer,
            prompt,
            args.length or LENGTHS[tokenizer.level],
            temperature=args.temperature,
            top_k=args.top_k,
            top_p=args.top_p,
            greedy=args.greedy,
            seed=args.seed,
            samples=args.samples,
            skip_ids=_skipped(tokenizer, args.skip),
        )
    if args.samples == 1:
        _stream(piece for (piece,) in pieces)
    else:
        _show_all(pieces, args.samples)
    return 0


def _skipped(tokenizer: Tokenizer, tokens: list[str]) -> list[int]:
    ids: list[int] = []
    for token in tokens:
        found = tokenizer.encode(token, "--skip").tolist()
        if len(found) != 1:
            raise UsageError(f"--skip {token!r}: is {len(found)} tokens, expected one")
        if found[0] == tokenizer.unknown and tokenizer.decode(found) != token:
            raise UsageError(f"--skip {token!r}: not in the model's vocabulary")
        ids += found
    return ids


def _stream(pieces: Iterator[str]) -> None:
    """Write what comes at once; however it ends, the next prompt of the shell has its own line."""
    last = ""
    try:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
            last = piece[-1:] or last
    except BaseException:
        last = ""  # a signal may come between a write and its note: rather an empty line than none
        raise
    finally:
        if last != "\n":
            sys.stdout.write("\n")


def _show_all(pieces: Iterator[list[str]], samples: int) -> None:
    """Write one text after the other, in what length there is if it is interrupted."""
    texts = [""] * samples
    try:
        for row in _with_bar(pieces):
            texts = [text + piece for text, piece in zip(texts, row, strict=True)]
    finally:
        for k, text in enumerate(texts, 1):
            print(f"--- sample {k} of {samples} ---")
            print(text.removesuffix("\n"))


def _with_bar(pieces: Iterator[Any]) -> Iterator[Any]:
    from tqdm import tqdm

    yield from tqdm(pieces, unit="token", leave=False, disable=None, file=sys.stderr)
