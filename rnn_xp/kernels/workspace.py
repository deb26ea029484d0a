"""Named buffers that a layer owns and lends to its kernels from call to call."""

from typing import Any

from rnn_xp._typing import Array
from rnn_xp.errors import StaleCacheError
from rnn_xp.namespace import namespace_of


class Workspace:
    """Reusable buffers with a generation number.

    A kernel that keeps data for its backward pass in here calls `renew` at the start of
    its forward pass and puts the number into its cache; its backward pass calls `check`,
    so a cache whose buffers a later forward pass has overwritten is refused.
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Array] = {}
        self.generation = 0

    def renew(self) -> int:
        """Start a new generation; all older caches become stale."""
        self.generation += 1
        return self.generation

    def check(self, generation: int, where: str) -> None:
        """Raise `StaleCacheError` unless `generation` is the current one."""
        if generation != self.generation:
            raise StaleCacheError(
                f"{where}: the buffers of this forward pass were reused by a later one; "
                "call backward before the next forward"
            )

    def get(
        self, name: str, shape: tuple[int, ...], like: Array, dtype: str | None = None
    ) -> Array:
        """Buffer `name` of `shape`, with the dtype and device of `like`; contents undefined.

        The same memory as at the last call with the same name, shape and dtype.
        `dtype` names another dtype than that of `like`.
        """
        held: Any = self._buffers.get(name)
        wanted = like.dtype if dtype is None else getattr(namespace_of(like), dtype)
        if held is not None and held.shape == shape and held.dtype == wanted:
            return held
        made = namespace_of(like).empty(shape, dtype=wanted, device=like.device)
        self._buffers[name] = made
        return made

    def buffers(self) -> list[Array]:
        """All buffers; tests fill them with NaN."""
        return list(self._buffers.values())

    def __deepcopy__(self, memo: dict[int, Any]) -> "Workspace":
        """Copies of a layer start with no buffers."""
        return Workspace()
