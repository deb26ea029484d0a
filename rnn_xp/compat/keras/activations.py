"""Activations by Keras's names, as objects, callables or None.

The names are attributes too: ``activations.tanh`` is ``activations.get("tanh")``. It is an
`rnn_xp.cells.Activation`, to be handed to a layer; in other code, ``.function(x, xp)`` is the
function and ``.derivative`` its derivative. Keras's ``glu``, ``sparsemax`` and ``threshold``
are not there.
"""

from typing import Any

from rnn_xp.cells.activations import Activation, get_activation
from rnn_xp.compat.keras.serialization import class_config

_SAME = {"swish": "silu", "hard_swish": "hard_silu"}  # Keras writes the second name


def get(identifier: Any, custom_objects: dict[str, Any] | None = None) -> Activation:
    """The activation that `identifier` names.

    Parameters
    ----------
    identifier : str, dict, Activation, callable or None
        None is linear. A plain callable of an array works forwards only: `backward` needs an
        `rnn_xp.cells.Activation`, which has the derivative.
    custom_objects : dict, optional
        More names.

    Raises
    ------
    ValueError
        If the name is unknown; the message lists the known ones.
    """
    if isinstance(identifier, dict):
        identifier = identifier.get("config")
    if isinstance(identifier, str):
        identifier = (custom_objects or {}).get(identifier, _SAME.get(identifier, identifier))
    return get_activation(identifier)


def __getattr__(name: str) -> Activation:
    if not name.startswith("_"):
        try:
            return get(name)
        except ValueError as error:
            raise AttributeError(f"keras.activations.{name}: {error}") from error
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def serialize(activation: Activation) -> Any:
    """Its name if Keras knows it too, else a dictionary with the name of your function."""
    return activation.name if is_known(activation) else class_config(activation, "builtins")


def is_known(activation: Activation) -> bool:
    """Whether the activation is one of the package's own."""
    try:
        return get_activation(activation.name) is activation
    except ValueError:
        return False
