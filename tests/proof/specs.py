"""Nets written as nested tuples, ``("residual", ("weight drop", ("layer", 0)))``.

The number says which of a case's layers is meant.
"""

WRAPPERS = ("weight drop", "trainable", "residual", "resets", "reversed")
DROPOUTS = ("dropout", "variational dropout")


def leaves(spec):
    """The numbers of the layers of a net, in order."""
    if spec[0] == "layer":
        return [spec[1]]
    return [k for part in spec if isinstance(part, tuple) for k in leaves(part)]


def part_of(spec, name):
    """The first part of a net that has that name, or None."""
    if spec[0] == name:
        return spec
    found = (part_of(part, name) for part in spec if isinstance(part, tuple))
    return next((part for part in found if part is not None), None)


def has(spec, name):
    """Whether a net has a part of that name."""
    return part_of(spec, name) is not None


def two_outputs(spec):
    """Whether a net gives out both of its directions."""
    if spec[:2] == ("bidirectional", None):
        return True
    return any(two_outputs(part) for part in spec if isinstance(part, tuple))
