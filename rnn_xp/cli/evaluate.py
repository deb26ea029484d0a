"""``rnn-xp evaluate``: perplexity and bits per token of a model on a text."""

import argparse
import json
import sys

from rnn_xp.cli.errors import UsageError
from rnn_xp.cli.models import open_model
from rnn_xp.cli.options import add_machine, add_model, positive_integer
from rnn_xp.cli.wording import singular
from rnn_xp.data import TextFile, encode_corpus
from rnn_xp.errors import DataError
from rnn_xp.train import PROTOCOLS, evaluate


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument(
        "--data", metavar="FILE", required=True, help="the UTF-8 text (or .gz) to measure on"
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="exact",
        help="exact: each token counts once; dlfs2: as the book's eval_perplexity, which leaves "
        "out what fills no batch of 10 rows of 35 (default: exact)",
    )
    parser.add_argument(
        "--rows",
        type=positive_integer,
        default=1,
        metavar="N",
        help="with exact: read the text in N parts side by side, each without a past: faster, "
        "and a little worse at their beginnings (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_machine(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.protocol != "exact" and args.rows != 1:
        raise UsageError(
            f"--rows {args.rows}: is for --protocol exact; {args.protocol} has its own"
        )
    text = TextFile(args.data)
    opened = open_model(
        args.model,
        backend=args.backend,
        weights=args.weights,
        vocab_from=args.vocab_from,
        data=args.data,
    )
    ids = encode_corpus(text, opened.tokenizer)
    progress = _Progress()
    try:
        result = evaluate(
            opened.model, ids, args.protocol, rows=args.rows, progress=progress.update
        )
    except DataError as error:
        raise DataError(f"{args.data}: {error}") from error
    finally:
        progress.close()
    if args.json:
        document = {**result.to_json(), "protocol": args.protocol, "data": args.data}
        print(json.dumps(document))
        return 0
    token = singular(opened.tokenizer.level)
    print(f"perplexity          {result.perplexity:.2f} per {token}")
    print(f"bits per {token:10} {result.bits_per_token:.4f}")
    print(f"{token + 's':19} {result.tokens}")
    return 0


class _Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit="token", unit_scale=True, leave=False, disable=None, file=sys.stderr)

    def update(self, done: int, total: int) -> None:
        """Move the bar."""
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()
