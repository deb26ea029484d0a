"""Generation: one token after the other, with the recurrent state carried along.

::

    prompt ids ──► model ──► scores (V,) ──► probabilities ──► token ─┐
                     ▲                                                │
                     └──────────────── one step ──────────────────────┘

The scores come to the host, and the token is drawn there (`rnn_xp.sampling`): the same model,
seed and settings give the same tokens.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.backend import to_host
from rnn_xp.data.tokenizers import Tokenizer
from rnn_xp.errors import DataError, ShapeError
from rnn_xp.host import check_range, host_integers
from rnn_xp.kernels.generic.states import map_states
from rnn_xp.models import Rnnlm
from rnn_xp.namespace import namespace_of
from rnn_xp.sampling import Ids, Sampling, check_integer

# Tokens of a prompt read in one call: bounds the memory for their scores to 256 V numbers.
PROMPT_CHUNK = 256


def generate(
    model: Rnnlm,
    prompt_ids: Any,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    greedy: bool = False,
    seed: int | None = None,
    samples: int = 1,
    skip_ids: Iterable[int] = (),
) -> Iterator[Ids]:
    """Continue a prompt, token by token.

    Parameters
    ----------
    model : Rnnlm
        On any backend. Its state is as before whenever the caller has control, so it may be
        trained, or generate something else, between two tokens.
    prompt_ids : array_like of int, shape (M,)
        Read from a zero state. If empty, the first token is drawn uniformly: the models have
        no token for "start" (`start_ids` finds a better beginning).
    length : int
        How many tokens to generate.
    temperature, top_k, top_p, greedy, skip_ids
        See `Sampling`.
    seed : int, optional
        Default: another one at every call. Row r depends on (seed, r) alone, so the first
        of many samples is the one that ``samples=1`` gives (as far as the array library
        computes a row alike in batches of different sizes).
    samples : int
        N, how many continuations to generate side by side.

    Yields
    ------
    ids : numpy.ndarray of int64, shape (N,)
        The next token of each sample; `length` times.

    Raises
    ------
    ValueError
        If a setting is out of range.
    DataError
        If an id is not in the model's vocabulary.
    NonFiniteError
        While generating, if the model's scores are not finite.
    """
    V = model.config.vocab_size
    check_integer("generate: length", length, 0)
    check_integer("generate: samples", samples, 1)
    if seed is not None:
        check_integer("generate: seed", seed, 0)
    prompt = host_integers(prompt_ids, "generate", "prompt_ids")
    if prompt.ndim != 1:
        raise ShapeError(f"generate: prompt_ids has shape {prompt.shape}, expected (M,)")
    check_range(prompt, V, "generate", "prompt_ids")
    skipped = host_integers(list(skip_ids), "generate", "skip_ids")
    check_range(skipped, V, "generate", "skip_ids")
    if len(np.unique(skipped)) == V:
        raise ValueError(f"generate: skip_ids leaves none of the {V} tokens")
    sampling = Sampling(temperature, top_k, top_p, greedy, tuple(skipped.tolist()))
    sequence = np.random.SeedSequence(seed)
    rngs = [np.random.default_rng(child) for child in sequence.spawn(samples)]
    return _generate(model, prompt, length, sampling, rngs)


def _generate(
    model: Rnnlm, prompt: Any, length: int, sampling: Sampling, rngs: list[np.random.Generator]
) -> Iterator[Ids]:
    N, V = len(rngs), model.config.vocab_size
    state, scores = None, np.zeros((1, V))
    first = sampling
    if prompt.size:
        for start in range(0, len(prompt), PROMPT_CHUNK):
            scores, state = _step(model, prompt[None, start : start + PROMPT_CHUNK], state)
        state = [map_states(lambda a: _repeat(a, N), part) for part in state or []]
    else:
        first = Sampling(skip_ids=sampling.skip_ids)
    scores = np.broadcast_to(scores, (N, V))
    for number in range(length):
        uniforms = np.array([rng.random() for rng in rngs])
        ids = (sampling if number else first).choose(scores, uniforms)
        yield ids.copy()  # what the caller does to it must not change what is read next
        if number + 1 < length:
            scores, state = _step(model, ids[:, None], state)


def _step(model: Rnnlm, xs: Any, state: list[Any] | None) -> tuple[Any, list[Any]]:
    """Run `xs` (N, T) from `state` (None is zeros); scores after the last, and the new state."""
    with model.fresh_state(state):
        scores = to_host(model.predict(xs)[:, -1, :])
        return scores, model.state


def _repeat(a: Array, N: int) -> Array:
    return namespace_of(a).concat([a] * N, axis=0)


def start_ids(tokenizer: Tokenizer) -> Ids:
    """What to start from without a prompt: a line end, so that the text begins with a line.

    Returns
    -------
    ids : numpy.ndarray of int64, shape (1,) or (0,)
        Empty if the vocabulary has no line end; `generate` then draws the first token.
    """
    try:
        return tokenizer.encode("\n")
    except DataError:
        return np.zeros(0, dtype=np.int64)


def stream_text(
    model: Rnnlm, tokenizer: Tokenizer, prompt: str, length: int, **settings: Any
) -> Iterator[list[str]]:
    """Continue a prompt, as text, token by token.

    Parameters
    ----------
    model, length, **settings
        As in `generate`.
    tokenizer : Tokenizer
        The one that the model was trained with.
    prompt : str
        "" starts from `start_ids`.

    Yields
    ------
    pieces : list of str, one for each sample
        The text that is now certain: the prompt (as the tokenizer reads it) first, then a
        piece for each token; bytes may give "" until a character is complete. Joined, they
        are what `sample_text` returns.

    Raises
    ------
    DataError
        If the prompt holds what the vocabulary does not, or the vocabulary is of another
        size than the model's.
    """
    if tokenizer.size != model.config.vocab_size:
        raise DataError(
            f"the vocabulary has {tokenizer.size} tokens, the model {model.config.vocab_size}; "
            "give the vocabulary that the model was trained with"
        )
    prompt_ids = tokenizer.encode(prompt, "prompt")
    beginning = prompt_ids if prompt_ids.size else start_ids(tokenizer)
    tokens = generate(model, beginning, length, **settings)
    return _decode(tokenizer, prompt_ids, tokens, settings.get("samples", 1))


def _decode(
    tokenizer: Tokenizer, prompt_ids: Ids, tokens: Iterator[Ids], samples: int
) -> Iterator[list[str]]:
    decoders = [tokenizer.decode_stream() for _ in range(samples)]
    yield [decoder.push(prompt_ids) for decoder in decoders]
    for ids in tokens:
        yield [decoder.push(token) for decoder, token in zip(decoders, ids, strict=True)]
    yield [decoder.finish() for decoder in decoders]


def sample_text(
    model: Rnnlm, tokenizer: Tokenizer, prompt: str, length: int, **settings: Any
) -> list[str]:
    """Texts that continue a prompt, with the prompt in front; arguments as in `stream_text`.

    Returns
    -------
    texts : list of str, one for each sample
    """
    pieces = list(stream_text(model, tokenizer, prompt, length, **settings))
    return ["".join(row) for row in zip(*pieces, strict=True)]
