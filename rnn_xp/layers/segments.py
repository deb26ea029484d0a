"""`Segments`: the rows of a batch cut into pieces, each piece a row of its own."""

from dataclasses import dataclass
from typing import Any

from rnn_xp._typing import Array
from rnn_xp.backend import to_host
from rnn_xp.errors import DTypeError, ShapeError
from rnn_xp.host import upload
from rnn_xp.namespace import namespace_of


@dataclass(frozen=True, slots=True)
class Segments:
    """N rows with R cuts after their first step as ``N + R`` rows.

    Each piece keeps its place in time, and is masked outside of itself. The first N pieces
    are those that the rows begin with.

    Attributes
    ----------
    rows : array of int, shape (N + R,)
        The row that a piece is of.
    inside : array of bool, shape (N + R, T), or (T, N + R) for time-major sequences
        Where a piece is.
    steps : array of int, shape (N * T,)
        For each step of the batch its place in the pieces, both flattened.
    last : array of int, shape (N,)
        The piece that a row ends with.
    ends : array of bool, shape (N + R, 1)
        Whether a piece is the last of its row.
    goes_on : array of bool, shape (N + R, 1)
        Whether a piece starts from the state of its row; the others start from zeros.
    """

    rows: Array
    inside: Array
    steps: Array
    last: Array
    ends: Array
    goes_on: Array
    time_major: bool

    def pieces(self, a: Array) -> Array:
        """Sequences (N, T, ...) of the rows as sequences of the pieces."""
        return namespace_of(a).take(a, self.rows, axis=1 if self.time_major else 0)

    def whole(self, a: Array) -> Array:
        """Sequences of the pieces as sequences of the rows: each step from its piece."""
        xp = namespace_of(a)
        N = self.last.shape[0]
        shape = (a.shape[0], N, a.shape[2]) if self.time_major else (N, a.shape[1], a.shape[2])
        flat = xp.reshape(a, (a.shape[0] * a.shape[1], a.shape[2]))
        return xp.reshape(xp.take(flat, self.steps, axis=0), shape)

    def start(self, s: Array) -> Array:
        """States (N, H) before the rows as states before the pieces."""
        return self._where(self.goes_on, s)

    def start_gradient(self, ds: Array) -> Array:
        """Gradient of `start`: from (N + R, H) to (N, H)."""
        N = self.last.shape[0]
        xp = namespace_of(ds)
        first = ds[:N, :]
        return xp.where(self.goes_on[:N, :], first, xp.zeros_like(first))

    def final(self, s: Array) -> Array:
        """States after the pieces as states after the rows."""
        return namespace_of(s).take(s, self.last, axis=0)

    def final_gradient(self, ds: Array) -> Array:
        """Gradient of `final`: from (N, H) to (N + R, H)."""
        return self._where(self.ends, ds)

    def _where(self, chosen: Array, s: Array) -> Array:
        xp = namespace_of(s)
        spread = xp.take(s, self.rows, axis=0)
        return xp.where(chosen, spread, xp.zeros_like(spread))


def cut(resets: Any, T: int, N: int, like: Array, time_major: bool, where: str) -> Segments | None:
    """Cut the rows of a batch before each step where `resets` is True.

    Parameters
    ----------
    resets : array of bool, shape (N, T), or (T, N) if `time_major`
        Looked at on the host.
    T, N : int
        Size of the batch.
    like : array
        Gives the device.
    time_major : bool
    where : str
        The layer's name, for messages.

    Returns
    -------
    segments : Segments, or None if `resets` is nowhere True

    Raises
    ------
    DTypeError, ShapeError
    """
    marks = to_host(resets)
    if marks.dtype != namespace_of(marks).bool:
        raise DTypeError(f"{where}: resets has dtype {marks.dtype}, expected bool")
    expected = (T, N) if time_major else (N, T)
    if tuple(marks.shape) != expected:
        names = "(T, N)" if time_major else "(N, T)"
        raise ShapeError(
            f"{where}: resets has shape {tuple(marks.shape)}, expected {names} = {expected}"
        )
    table = (marks.T if time_major else marks).tolist()
    if not any(True in row for row in table):
        return None
    rows = list(range(N))
    piece_at = [[n] * T for n in range(N)]
    last = list(range(N))
    for n, row in enumerate(table):
        for t in range(1, T):
            if row[t]:
                last[n] = len(rows)
                rows.append(n)
                piece_at[n][t:] = [last[n]] * (T - t)
    goes_on = [[not row[0]] for row in table] + [[False]] * (len(rows) - N)
    ends = [[last[n] == piece] for piece, n in enumerate(rows)]
    inside = [[piece == at for at in piece_at[n]] for piece, n in enumerate(rows)]
    if time_major:
        inside = [list(step) for step in zip(*inside, strict=True)]
        steps = [t * len(rows) + piece_at[n][t] for t in range(T) for n in range(N)]
    else:
        steps = [piece_at[n][t] * T + t for n in range(N) for t in range(T)]

    def put(values: Any) -> Array:
        return upload(to_host(values), like)

    return Segments(
        put(rows), put(inside), put(steps), put(last), put(ends), put(goes_on), time_major
    )
