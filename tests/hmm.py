"""A source whose entropy is known: a hidden Markov chain picks a die, the die a number.

There are three dice, D4, D6 and D8. Before each throw but the first, the die stays with
probability 0.95; otherwise one of the three is drawn uniformly, which may be the same one
again (so the next die is the same with probability 0.95 + 0.05 / 3). The first die is drawn
uniformly, which is the stationary distribution. The symbols are 0 to 7: a D4 gives 0 to 3.

Which die was thrown is only seen through the numbers, and the more so the longer one has
looked, so a model must remember. The exact probability of the next symbol, and with it the
least log loss that any model can have, comes from the forward algorithm (Rabiner, "A
tutorial on hidden Markov models", Proc. IEEE 77(2), 1989, section III.A).
"""

import numpy as np

FACES = (4, 6, 8)
STAY = 0.95
SYMBOLS = max(FACES)
STATES = len(FACES)

# Probability of die j after die i, and of symbol k under die j.
TRANSITION = STAY * np.eye(STATES) + (1.0 - STAY) / STATES
EMISSION = np.array([[1.0 / n if k < n else 0.0 for k in range(SYMBOLS)] for n in FACES])
START = np.full(STATES, 1.0 / STATES)


def sample(n: int, seed: int) -> np.ndarray:
    """`n` symbols, int64, 0 to 7."""
    rng = np.random.default_rng(seed)
    draws_new = rng.random(n) >= STAY
    draws_new[:1] = True
    fresh = rng.integers(STATES, size=n)
    last_draw = np.maximum.accumulate(np.where(draws_new, np.arange(n), 0))
    faces = np.array(FACES)[fresh[last_draw]]
    return rng.integers(faces)


def log_loss_per_symbol(ids: np.ndarray) -> np.ndarray:
    """``-log p(x_t | x_0 .. x_t-1)`` in nats for each t, exactly; shape of `ids`.

    The recursion keeps the distribution of the die given the past, which sums to one, so
    nothing underflows however long the sequence is. 200,000 symbols take well under a second.
    """
    moved = (1.0 - STAY) / STATES  # any die by a fresh draw, given that beliefs sum to one
    columns = [tuple(column) for column in EMISSION.T.tolist()]
    a, b, c = START.tolist()
    probabilities = np.empty(len(ids))
    for t, symbol in enumerate(np.asarray(ids).tolist()):
        p4, p6, p8 = columns[symbol]
        a, b, c = a * p4, b * p6, c * p8
        total = a + b + c
        probabilities[t] = total
        factor = STAY / total
        a, b, c = a * factor + moved, b * factor + moved, c * factor + moved
    return -np.log(probabilities)


def order1_log_loss_per_symbol(train: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Nats of each symbol of `ids` under a first-order Markov model counted on `train`.

    Counts start at one. The first symbol gets the model's frequency of that symbol.
    """
    counts = np.ones((SYMBOLS, SYMBOLS))
    np.add.at(counts, (train[:-1], train[1:]), 1.0)
    pairs = np.log(counts / counts.sum(axis=1, keepdims=True))
    first = np.log(counts.sum(axis=0) / counts.sum())
    return -np.concatenate([first[ids[:1]], pairs[ids[:-1], ids[1:]]])


def order1_entropy() -> float:
    """Nats a symbol of the best first-order Markov model, ``H(x_t | x_t-1)``, exactly."""
    pairs = EMISSION.T @ (START[:, None] * TRANSITION) @ EMISSION
    return float(-(pairs * np.log(pairs / pairs.sum(axis=1, keepdims=True))).sum())
