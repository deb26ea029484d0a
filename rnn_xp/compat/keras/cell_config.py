"""The arguments of the three cells: kept, checked, written into a configuration and read."""

from numbers import Integral
from typing import Any

from rnn_xp.compat.keras import activations, initializers
from rnn_xp.compat.keras.dropout import Dropout, check_ratio, check_seed
from rnn_xp.compat.keras.layer import Layer, refuse

RULES = ("regularizer", "constraint")


class CellArguments(Layer):
    """What the constructors of `SimpleRNNCell`, `LSTMCell` and `GRUCell` share."""

    gates: int
    drops_all = False  # see `Dropout`

    def __init__(self, arguments: dict[str, Any], layer_arguments: dict[str, Any]):
        """Keep what Keras keeps; `arguments` are the subclass's own, by name."""
        super().__init__(**layer_arguments)
        where, a = type(self).__name__, arguments
        units = a["units"]
        if isinstance(units, bool) or not isinstance(units, Integral) or units <= 0:
            raise ValueError(f"{where}: units = {units!r}, expected a positive integer")
        self.units = int(units)
        for weight in ("kernel", "recurrent", "bias"):
            refuse(where, **{f"{weight}_{k}": a[f"{weight}_{k}"] for k in RULES})
        self.activation = activations.get(a["activation"])
        self.recurrent_activation: Any = None
        if "recurrent_activation" in a:
            self.recurrent_activation = activations.get(a["recurrent_activation"])
        self.use_bias = bool(a["use_bias"])
        self.kernel_initializer = initializers.get(a["kernel_initializer"])
        self.recurrent_initializer = initializers.get(a["recurrent_initializer"])
        self.bias_initializer = initializers.get(a["bias_initializer"])
        for name in ("dropout", "recurrent_dropout"):
            check_ratio(a[name], where, name)
        self.implementation = 1 if a["recurrent_dropout"] > 0 else a.get("implementation", 2)
        self.seed: int | None = check_seed(a["seed"], where)
        count = self.gates if self.implementation == 1 and self.gates > 1 else None
        self.masks = Dropout(
            where, a["dropout"], a["recurrent_dropout"], self.seed, count, self.drops_all
        )
        self.dropout, self.recurrent_dropout = self.masks.ratios

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, in Keras's form (without `implementation`, as there)."""
        config = {**super().get_config(), "units": self.units}
        config["activation"] = activations.serialize(self.activation)
        if self.recurrent_activation is not None:
            config["recurrent_activation"] = activations.serialize(self.recurrent_activation)
        config["use_bias"] = self.use_bias
        for weight in ("kernel", "recurrent", "bias"):
            name = f"{weight}_initializer"
            config[name] = initializers.serialize(getattr(self, name))
            config |= {f"{weight}_{kind}": None for kind in RULES}
        own = {"dropout": self.dropout, "recurrent_dropout": self.recurrent_dropout}
        return {**config, **own, "seed": self.seed}

    def custom_objects(self) -> dict[str, Any]:
        """What the configuration only names; see `Layer.custom_objects`."""
        found: dict[str, Any] = {}
        for a in (self.activation, self.recurrent_activation):
            if a is not None and not activations.is_known(a):
                found[a.name] = a
        for i in (self.kernel_initializer, self.recurrent_initializer, self.bias_initializer):
            config = initializers.serialize(i)
            if config["registered_name"] is not None:
                found[config["registered_name"]] = (
                    i if config["class_name"] == "function" else type(i)
                )
        return found


def arguments_of(scope: dict[str, Any]) -> dict[str, Any]:
    """A constructor's own arguments, from its ``locals()``."""
    return {k: v for k, v in scope.items() if k not in ("self", "kwargs", "__class__")}
