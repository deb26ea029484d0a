"""States as Keras has them: an array, or a (nested) list or tuple of arrays."""

from collections.abc import Iterator
from typing import Any

from rnn_xp.errors import ShapeError


def is_nested(value: Any) -> bool:
    """Whether `value` is a list or a tuple."""
    return isinstance(value, list | tuple)


def flatten(value: Any) -> list[Any]:
    """The leaves, from left to right."""
    return [leaf for part in value for leaf in flatten(part)] if is_nested(value) else [value]


def pack(like: Any, leaves: "list[Any] | Iterator[Any]") -> Any:
    """The leaves in lists nested as `like` is."""
    rest = iter(leaves)
    return [pack(part, rest) for part in like] if is_nested(like) else next(rest)


def describe(value: Any) -> str:
    """The structure, for messages."""
    return f"[{', '.join(describe(part) for part in value)}]" if is_nested(value) else "array"


def leaves_of(given: Any, template: Any, where: str, what: str) -> list[Any]:
    """The leaves of `given`, which must be nested as `template` is.

    A list of one may also be given as its one element.

    Raises
    ------
    ShapeError
        If the structure differs.
    """
    found = _match(given, template)
    if found is None:
        raise ShapeError(f"{where}: {what} is {describe(given)}, expected {describe(template)}")
    return found


def _match(given: Any, template: Any) -> list[Any] | None:
    if not is_nested(template):
        return None if is_nested(given) else [given]
    if not is_nested(given):
        if given is None:
            return [None] * len(flatten(template))
        return _match(given, template[0]) if len(template) == 1 else None
    if len(given) != len(template):
        return None
    parts = [_match(g, t) for g, t in zip(given, template, strict=True)]
    return None if None in parts else [leaf for part in parts for leaf in part or []]
