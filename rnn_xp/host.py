"""Integers that enter from the host: token ids, targets, lengths. Checked here, once.

CuPy wraps an out-of-range index silently, so ids are checked while they are still on
the host, where a check costs microseconds; then they are uploaded. Integers that come as
device arrays (a sampler's own) are trusted: looking at them would stop the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnn_xp._typing import Array
from rnn_xp.backend import backend_of
from rnn_xp.errors import DataError, DTypeError, ShapeError
from rnn_xp.namespace import namespace_of, require_home


@dataclass(slots=True)
class TokenIds:
    """M token ids for an embedding.

    Attributes
    ----------
    device : array of int, shape (M,)
        On the device of the parameters.
    host : numpy.ndarray or None
        The same ids on the host; None if they came as a device array.
    shape : tuple of int
        That they had, in the order of M.
    """

    device: Array
    host: Any = None
    shape: tuple[int, ...] = ()
    _runs: tuple[Any, Any, Any] | None = field(default=None, repr=False)
    _uploaded: Any = field(default=None, repr=False)

    def sorted_runs(self) -> tuple[Any, Any, Any]:
        """``(order, starts, unique)`` on the host, computed once.

        ``order`` sorts the ids (stably), ``starts`` are the places in it where a new id
        begins, ``unique`` are those ids in ascending order.
        """
        if self._runs is None:
            order = np.argsort(self.host, kind="stable")
            ranked = self.host[order]
            first = np.ones(len(ranked), dtype=bool)
            first[1:] = ranked[1:] != ranked[:-1]
            starts = np.flatnonzero(first)
            self._runs = (order, starts, ranked[starts])
        return self._runs

    def packed_runs(self) -> Any:
        """`sorted_runs` in one int32 array on the host: order, starts, M, unique."""
        order, starts, unique = self.sorted_runs()
        return np.concatenate([order, starts, [len(order)], unique]).astype(np.int32)

    def uploaded_runs(self) -> Array:
        """`packed_runs` where the ids are, copied once."""
        if self._uploaded is None:
            self._uploaded = upload(self.packed_runs(), self.device)
        return self._uploaded


@dataclass(frozen=True, slots=True)
class Targets:
    """M target ids for a loss.

    Attributes
    ----------
    ids : array of int, shape (M,)
        On the device; 0 where a target is ignored.
    valid : array of bool, shape (M,), or None
        On the device; None if no target is ignored.
    count : int or 0-d array
        How many targets count; an int if the ids came from the host.
    shape : tuple of int
        That the ids had, in the order of M.
    """

    ids: Array
    valid: Array | None
    count: Any
    shape: tuple[int, ...] = ()

    def rows(self, start: int, stop: int) -> "Targets":
        """The targets of some rows (`count` stays that of the whole)."""
        valid = None if self.valid is None else self.valid[start:stop]
        return Targets(self.ids[start:stop], valid, self.count)


def is_host(array: Any) -> bool:
    """Whether `array` is a NumPy array, or something to make one of (a sequence, an int)."""
    if isinstance(array, (str, bytes)):
        return False
    return isinstance(array, (np.ndarray, np.generic, int, Sequence))


def host_integers(values: Any, where: str, what: str) -> Any:
    """Return `values` as a NumPy integer array.

    Raises
    ------
    DTypeError
        If they are not integers.
    ShapeError
        If they are lists of several lengths.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ShapeError(
            f"{where}: {what} is a ragged list, expected rows of one length"
        ) from error
    if array.dtype.kind not in "iu":
        if array.size == 0 and not isinstance(values, np.ndarray):
            return array.astype(np.int64)
        raise DTypeError(f"{where}: {what} has dtype {array.dtype}, expected integers")
    return array


def device_integers(values: Array, like: Array, where: str, what: str) -> Array:
    """Return `values`, integers that are on the device already.

    Raises
    ------
    MixedBackendError
        If they are not where `like` lives.
    DTypeError
        If they are not integers.
    """
    require_home(values, like, where, what)
    if not namespace_of(values).isdtype(values.dtype, "integral"):
        raise DTypeError(f"{where}: {what} has dtype {values.dtype}, expected integers")
    return values


def check_range(ids: Any, size: int, where: str, what: str) -> None:
    """Raise `DataError` unless all of `ids` (on the host) are in ``[0, size)``."""
    if ids.size and (ids.min() < 0 or ids.max() >= size):
        raise DataError(
            f"{where}: {what} holds ids from {ids.min()} to {ids.max()}, "
            f"expected 0 to {size - 1} for a vocabulary of {size}"
        )


def token_ids(ids: Any, size: int, like: Array, where: str) -> TokenIds:
    """Flatten, check and upload token ids.

    Parameters
    ----------
    ids : array of int, any shape
        Checked if on the host, trusted if on the device.
    size : int
        V, the number of embedding rows.
    like : array
        Gives the device.
    where : str
        The layer's name, for messages.
    """
    if not is_host(ids):
        xp = namespace_of(like)
        flat = xp.reshape(device_integers(ids, like, where, "ids"), (-1,))
        return TokenIds(flat, shape=tuple(ids.shape))
    given = host_integers(ids, where, "ids")
    host = given.reshape(-1)
    check_range(host, size, where, "ids")
    host = host.astype(np.int64, copy=False)
    return TokenIds(upload(host, like), host, given.shape)


def targets(ids: Any, size: int, like: Array, ignore_label: int, where: str) -> Targets:
    """Flatten, check and upload target ids; those equal to `ignore_label` are ignored."""
    if not is_host(ids):
        xp = namespace_of(like)
        flat = xp.reshape(device_integers(ids, like, where, "targets"), (-1,))
        valid = flat != ignore_label
        safe = xp.where(valid, flat, xp.zeros_like(flat))
        count = xp.sum(xp.astype(valid, like.dtype))
        return Targets(safe, valid, count, tuple(ids.shape))
    given = host_integers(ids, where, "targets")
    host = given.reshape(-1).astype(np.int64, copy=False)
    counted = host != ignore_label
    count = int(np.count_nonzero(counted))
    if count == host.size:
        check_range(host, size, where, "targets")
        return Targets(upload(host, like), None, count, given.shape)
    check_range(host[counted], size, where, "targets")
    safe = np.where(counted, host, 0)
    return Targets(upload(safe, like), upload(counted, like), count, given.shape)


def upload_batch(
    ids: TokenIds, chosen: Targets, like: Array, *, with_runs: bool
) -> tuple[TokenIds, Targets]:
    """Copy ids and targets that are on the host to where `like` lives, all in one.

    Parameters
    ----------
    ids, chosen
        From `token_ids` and `targets` with a NumPy array as ``like``.
    like : array
    with_runs : bool
        Whether the sorted ids, which the gradient of an embedding takes, come with them.
    """
    hosts = [ids.host, chosen.ids]
    if chosen.valid is not None:
        hosts.append(chosen.valid)
    if with_runs:
        hosts.append(ids.packed_runs())
    device, target_ids, *others = backend_of(like).upload(hosts)
    valid = None if chosen.valid is None else others[0]
    runs = others[-1] if with_runs else None
    return (
        TokenIds(device, ids.host, ids.shape, ids._runs, runs),
        Targets(target_ids, valid, chosen.count, chosen.shape),
    )


def time_mask(
    lengths: Any, mask: Any, N: int, T: int, like: Array, time_major: bool, where: str
) -> Array | None:
    """Boolean array (T, N) on the device from `lengths` or `mask`; None if neither is given.

    Parameters
    ----------
    lengths : array of int, shape (N,), or None
        Valid steps of each row, 0 to T.
    mask : array of bool, shape (N, T) (or (T, N) if `time_major`), or None
        True where a step counts.

    Raises
    ------
    ShapeError, DTypeError, DataError, MixedBackendError
    ValueError
        If both are given.
    """
    if lengths is not None and mask is not None:
        raise ValueError(f"{where}: give lengths or mask, not both")
    if lengths is not None:
        return _mask_from_lengths(lengths, N, T, like, where)
    if mask is None:
        return None
    host = is_host(mask)
    if host:
        mask = np.asarray(mask)
    else:
        require_home(mask, like, where, "mask")
    boolean = np.dtype(bool) if host else namespace_of(mask).bool
    if mask.dtype != boolean:
        raise DTypeError(f"{where}: mask has dtype {mask.dtype}, expected bool")
    expected = (T, N) if time_major else (N, T)
    if tuple(mask.shape) != expected:
        names = "(T, N)" if time_major else "(N, T)"
        raise ShapeError(
            f"{where}: mask has shape {tuple(mask.shape)}, expected {names} = {expected}"
        )
    turned = mask if time_major else mask.T
    return upload(turned, like) if host else turned


def _mask_from_lengths(lengths: Any, N: int, T: int, like: Array, where: str) -> Array:
    if is_host(lengths):
        lengths = host_integers(lengths, where, "lengths")
    else:
        lengths = device_integers(lengths, like, where, "lengths")
    if tuple(lengths.shape) != (N,):
        raise ShapeError(
            f"{where}: lengths has shape {tuple(lengths.shape)}, expected (N,) = ({N},)"
        )
    if not is_host(lengths):
        xp = namespace_of(lengths)
        steps = xp.arange(T, dtype=lengths.dtype, device=lengths.device)
        return steps[:, None] < lengths[None, :]
    if N and (lengths.min() < 0 or lengths.max() > T):
        raise DataError(
            f"{where}: lengths go from {lengths.min()} to {lengths.max()}, expected 0 to T = {T}"
        )
    return upload(np.arange(T)[:, None] < lengths[None, :], like)


def upload(host: Any, like: Array) -> Array:
    """Copy a NumPy array to where `like` lives; NumPy itself gets it as it is."""
    if isinstance(like, np.ndarray):
        return host
    return backend_of(like).upload([host])[0]
