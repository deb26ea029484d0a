"""Keras 3's initialisers: by name, by object, or from a configuration."""

from collections.abc import Callable
from typing import Any

from rnn_xp.compat.keras.constant_initializers import Constant, Identity, Initializer, Ones, Zeros
from rnn_xp.compat.keras.random_initializers import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from rnn_xp.compat.keras.serialization import class_config, snake_case

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]

CLASSES: dict[str, type[Initializer]] = {
    c.__name__: c
    for c in (
        *(Constant, Zeros, Ones, Identity, Orthogonal),
        *(RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling),
        *(GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform),
    )
}
NAMES = CLASSES | {snake_case(name): c for name, c in CLASSES.items()}
ALIASES = {
    "normal": RandomNormal,
    "uniform": RandomUniform,
    "one": Ones,
    "zero": Zeros,
    "IdentityInitializer": Identity,
    "OrthogonalInitializer": Orthogonal,
}


def get(identifier: Any, custom_objects: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The initialiser that `identifier` names.

    Parameters
    ----------
    identifier : str, dict, Initializer, class or callable
        A name; ``{"class_name": ..., "config": ...}``; or something to call with
        ``(shape, dtype=...)`` that returns what the backend can read, which is taken as it is.
    custom_objects : dict, optional
        More names.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    """
    known = NAMES | ALIASES | (custom_objects or {})
    config: dict[str, Any] = {}
    if isinstance(identifier, dict):
        function = identifier.get("class_name") == "function"
        config = {} if function else dict(identifier.get("config") or {})
        identifier = identifier.get("config" if function else "class_name")
    if isinstance(identifier, str):
        if identifier not in known:
            raise ValueError(
                f"unknown initializer {identifier!r}, expected one of: "
                f"{', '.join(sorted(n for n in NAMES if n.islower()))}"
            )
        identifier = known[identifier]
    if isinstance(identifier, type):
        made: Any = identifier(**config)
        return made  # type: ignore[no-any-return]
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    raise ValueError(
        f"initializer is {identifier!r}, expected a name, a configuration or a callable"
    )


def serialize(initializer: Any) -> dict[str, Any]:
    """The configuration of an initialiser, in Keras's form."""
    return class_config(initializer, "keras.initializers")
