"""Objects as Keras writes them into a configuration, and back.

``{"module": ..., "class_name": ..., "config": {...}, "registered_name": None}``, with Keras's
own public module names (keras/src/saving/serialization_lib.py), so Keras reads what is written
here and the other way round.
"""

import re
from typing import Any

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """``SimpleRNNCell`` -> ``simple_rnn_cell``."""
    return _WORDS.sub("_", name).lower()


def class_config(instance: Any, module: str) -> dict[str, Any]:
    """The configuration of an object, or of a plain function by its name.

    Parameters
    ----------
    instance : object
        With ``get_config()``, or a function.
    module : str
        Where Keras keeps such objects.

    Raises
    ------
    TypeError
        If it has neither a ``get_config`` nor a name.
    """
    kind = type(instance)
    if hasattr(instance, "get_config"):
        own = kind.__module__.startswith("rnn_xp.compat.keras.")
        return {
            "module": module if own else kind.__module__,
            "class_name": kind.__name__,
            "config": instance.get_config(),
            "registered_name": None if own else kind.__name__,
        }
    name = getattr(instance, "name", None) or getattr(instance, "__name__", None)
    if name is None or name == "<lambda>":
        raise TypeError(
            f"get_config: {instance!r} has no name, so no configuration can hold it; give a named "
            "function, or an object with get_config()"
        )
    return {
        "module": "builtins",
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


def layer_from_config(
    config: Any,
    custom_objects: dict[str, Any] | None = None,
    backend: Any = None,
) -> Any:
    """The layer or cell of a configuration that `class_config` or Keras made.

    Parameters
    ----------
    config : dict
        With ``class_name`` and ``config``. Something else is returned as it is.
    custom_objects : dict, optional
        Classes and functions of your own, by name.
    backend : str or Backend, optional
        For the layer; the default backend otherwise.

    Raises
    ------
    ValueError
        If the class is unknown; the message lists the known ones.
    """
    if not isinstance(config, dict):
        return config
    from rnn_xp.compat import keras

    known = {n: getattr(keras, n) for n in keras.LAYERS} | (custom_objects or {})
    name = config.get("class_name")
    if name not in known:
        raise ValueError(
            f"unknown layer {name!r}, expected one of: {', '.join(sorted(known))}; "
            "name your own in custom_objects"
        )
    cls, own = known[name], dict(config["config"])
    if name in keras.LAYERS:
        return cls.from_config(own, custom_objects, backend=backend)
    return cls.from_config(own) if hasattr(cls, "from_config") else cls(**own)
