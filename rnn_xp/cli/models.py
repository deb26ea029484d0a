"""What the argument RUN of `evaluate`, `generate` and `info` may be."""

from dataclasses import dataclass
from pathlib import Path

from rnn_xp.backend import get_backend
from rnn_xp.cli.errors import UsageError, bad_usage
from rnn_xp.data import TextFile, Tokenizer, WordTokenizer
from rnn_xp.errors import CheckpointError, DataError
from rnn_xp.interop.dlfs2 import read_pickle_arrays, rnnlm_weights
from rnn_xp.kernels.choice import kernel_mode
from rnn_xp.models import LMConfig, Rnnlm
from rnn_xp.train import RunFolder

PTB_TRAIN = "ptb.train.txt"


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model and how to talk to it."""

    model: Rnnlm
    tokenizer: Tokenizer


def open_model(
    path: str,
    *,
    backend: str | None,
    weights: str,
    vocab_from: str | None,
    data: str | None = None,
) -> OpenedModel:
    """Open a run folder, or a weight file of "Deep Learning from Scratch 2".

    Parameters
    ----------
    path : str
    backend : str or None
    weights : {"best", "last"}
        Of a run folder.
    vocab_from, data : str or None
        For a weight file: the text that gives the ids, and the file beside which to look
        for ``ptb.train.txt`` if `vocab_from` is None.

    Raises
    ------
    CheckpointError, DataError, BackendUnavailable, UsageError
    """
    with bad_usage():
        chosen = get_backend(backend)
        kernel_mode()
    if not Path(path).is_file():
        if vocab_from is not None:
            raise UsageError("--vocab-from is for a .pkl file; a run folder has its vocabulary")
        run = RunFolder.open(path)
        return OpenedModel(run.load_model(backend=chosen, which=weights), run.tokenizer())
    if (Path(path).parent / "config.json").is_file() and Path(path).suffix != ".pkl":
        raise UsageError(
            f"{path}: is a file of a run folder; give the folder, {Path(path).parent} "
            "(--weights last for last.safetensors)"
        )
    try:
        book = rnnlm_weights(read_pickle_arrays(path), path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; expected a run folder or a .pkl file of Deep Learning from Scratch 2"
        ) from error
    tokenizer = _book_vocabulary(path, book.config["vocab_size"], vocab_from, data)
    model = Rnnlm.from_config(LMConfig(**book.config), chosen)
    model.set_parameters(book.parameters, path)
    return OpenedModel(model, tokenizer)


def _book_vocabulary(
    path: str, size: int, vocab_from: str | None, data: str | None
) -> WordTokenizer:
    """Words in order of first appearance, as the book's ``dataset/ptb.py`` numbers them."""
    if vocab_from is None:
        folders = [Path(p).parent for p in (data, path) if p is not None]
        places = [folder / PTB_TRAIN for folder in folders]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise UsageError(
                f"{path} holds weights without words, and there is no "
                f"{' and no '.join(map(str, places))}; give the text that it was trained on "
                "with --vocab-from FILE"
            )
        vocab_from = str(found)
    tokenizer = WordTokenizer.build(TextFile(vocab_from))
    if tokenizer.size != size:
        raise DataError(
            f"{vocab_from} has {tokenizer.size} words, but {path} was trained on {size}; give "
            "the text that it was trained on with --vocab-from"
        )
    return tokenizer
