"""All pairs of options that go together, as cases of the proof grid.

Each pair is tried on an LSTM, and on one of the other kinds that have both options: the one
that the two have met least so far, so that each option meets every kind that has it. Where
two wrappers can be put around each other in two ways, the other way is a case, too.
"""

from collections import Counter
from itertools import combinations

from proof.catalogue import BY_NAME, KINDS, OPTIONS, H, N, T
from proof.composed import ComposedKind
from proof.incompatible import ONE_WAY, why_not
from proof.nets import NetCase
from proof.stateful import StatefulCase

# From the inside to the outside. Weight drop is of one layer, the others go around all layers;
# the other way round they go around each.
OUTSIDE = ("reversed", "resets", "residual", "trainable")
EACH = ("weight drop",)
NETS = ("merge", "widths")


def net_of(recipe, each=EACH, outside=OUTSIDE):
    """``(net, widths of its layers)`` of what the options of a pair set."""

    def wrapped(net, names):
        for name in names:
            net = (name, net) if name in recipe else net
        return net

    def layer(k):
        return wrapped(("layer", k), each)

    stacked = "widths" in recipe or "between" in recipe
    low, high = recipe.get("widths", (H, H))
    between = [(recipe["between"], 5)] if "between" in recipe else []
    if "merge" not in recipe:
        net, widths = layer(0), [low, high]
        if stacked:
            net = ("stack", net, *between, layer(1))
    elif recipe["merge"] is None and stacked:  # two outputs are no input for a layer above
        net, widths = ("bidirectional", None, layer(1), layer(2)), [low, high, high]
        net = ("stack", layer(0), *between, net)
    else:
        net, widths = ("bidirectional", recipe["merge"], layer(0), layer(1)), [low, low, high]
        if stacked:
            net = ("stack", net, *between, layer(2))
    return wrapped(net, outside), widths


def case_of(label, kind, recipe, **order):
    """The case of a pair of options on a kind of layer."""
    net, widths = net_of(recipe, **order)
    kinds = [(ComposedKind(kind, recipe), width) for width in widths]
    options = {k: recipe[k] for k in ("lengths", "mask", "resets", "time_major") if k in recipe}
    if "resets" in recipe and ("reversed" in recipe or "merge" in recipe):
        options |= {"set_states": False, "ends": False}  # there is no state: see `TimeReset`
    if "stateful" not in recipe:
        return NetCase(label, net, kinds, N, T, **options)
    first = NetCase(label, net, kinds, N, T, tag="first", **options)
    options["set_states"] = True
    return StatefulCase(first, NetCase(label, net, kinds, N, T, tag="second", call=1, **options))


def chosen_kinds():
    """``{(option, other option): kinds that the pair is tried on}``, by name."""
    met, chosen = Counter(), {}
    for one, other in combinations(OPTIONS, 2):
        if why_not(one.name, other.name) is not None:
            continue
        common = [k for k in KINDS if k in one.kinds and k in other.kinds and k != "lstm"]
        rest = sorted(common, key=lambda k: met[one.name, k] + met[other.name, k])[:1]
        met.update((option.name, k) for option in (one, other) for k in rest)
        chosen[one.name, other.name] = ("lstm", *rest)
    return chosen


def recipe_of(pair):
    """What the two options set."""
    return BY_NAME[pair[0]].sets | BY_NAME[pair[1]].sets


def other_way(pair):
    """The case of a pair whose wrappers are put around each other the other way, or None."""
    recipe = recipe_of(pair)
    wrappers = [name for name in OUTSIDE if name in recipe]
    if not wrappers or not all(key in (*EACH, *OUTSIDE, *NETS) for key in recipe):
        return None
    label = f"{' + '.join(pair)}, the other way round"
    return case_of(label, "lstm", recipe, each=(*reversed(OUTSIDE), *EACH), outside=())


def cases_of(pair, kinds):
    """The cases of a pair, by name."""
    label, recipe = " + ".join(pair), recipe_of(pair)
    cases = [case_of(label, kind, recipe) for kind in kinds]
    if pair in OTHER_WAYS and frozenset(pair) not in ONE_WAY:
        cases.append(OTHER_WAYS[pair])
    return tuple(cases)


CHOSEN = chosen_kinds()
OTHER_WAYS = {pair: row for pair in CHOSEN if (row := other_way(pair)) is not None}
PAIRS = {pair: cases_of(pair, kinds) for pair, kinds in CHOSEN.items()}
PAIR_ROWS = tuple(row for cases in PAIRS.values() for row in cases)
