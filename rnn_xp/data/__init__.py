"""Data: text to tokens to batches, all on the host.

::

    resolve_data      build_tokenizer      encode_corpus         ContiguousStreams
    name or path ──► TextSource ──► Tokenizer ──► ids (M,) ──► x, t (N, T)
"""

from rnn_xp.data.batches import ContiguousStreams, TokenBatches
from rnn_xp.data.corpora import Corpus, DataSource, load_corpus, resolve_data
from rnn_xp.data.evaluation import IGNORE, book_evaluation_batches, evaluation_batches
from rnn_xp.data.preset_batches import BookStreams, CharRnnStreams, char_rnn_split
from rnn_xp.data.text import TextFile, TextSource, TextString, text_digest
from rnn_xp.data.token_file import (
    encode_corpus,
    open_token_file,
    split_tail,
    token_dtype,
    write_token_file,
)
from rnn_xp.data.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    StreamDecoder,
    Tokenizer,
    WordTokenizer,
    build_tokenizer,
    load_tokenizer,
    tokenizer_from_json,
)

__all__ = [
    "IGNORE",
    "BookStreams",
    "ByteTokenizer",
    "CharRnnStreams",
    "CharTokenizer",
    "ContiguousStreams",
    "Corpus",
    "DataSource",
    "StreamDecoder",
    "TextFile",
    "TextSource",
    "TextString",
    "TokenBatches",
    "Tokenizer",
    "WordTokenizer",
    "book_evaluation_batches",
    "build_tokenizer",
    "char_rnn_split",
    "encode_corpus",
    "evaluation_batches",
    "load_corpus",
    "load_tokenizer",
    "open_token_file",
    "resolve_data",
    "split_tail",
    "text_digest",
    "token_dtype",
    "tokenizer_from_json",
    "write_token_file",
]
