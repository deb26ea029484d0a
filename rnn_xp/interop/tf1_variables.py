"""Variables of TensorFlow 1's cells, sorted by cell and direction, by their names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rnn_xp.errors import ConversionError
from rnn_xp.interop.weights import require_mapping

VARIABLES = (
    *("projection/kernel", "gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias"),
    *("w_i_diag", "w_f_diag", "w_o_diag", "kernel", "bias"),  # the longer ones come first
)
NAMED_KINDS = {"basic_rnn_cell": "rnn", "basic_lstm_cell": "lstm", "lstm_cell": "lstm"}
Variables: TypeAlias = dict[str, Any]


def names_below(variables: Mapping[str, Any], scope: str, where: str) -> dict[str, str]:
    """Names below `scope`, without it and without ``:0``, and the whole names.

    Raises
    ------
    TypeError
        If `variables` is not a mapping; `where` says which argument it is.
    """
    require_mapping(variables, where, "a mapping of names to arrays")
    start = f"{scope.strip('/')}/" if scope.strip("/") else ""
    return {
        name.removesuffix(":0").removeprefix(start): name
        for name in variables
        if name.startswith(start)
    }


def nets_of_variables(arrays: Mapping[str, Any], where: str) -> list[list[tuple[str, Variables]]]:
    """The cells of the one net, or of the forward and the backward one."""
    cells: dict[str, Variables] = {}
    for name, array in arrays.items():
        own = next((v for v in VARIABLES if name == v or name.endswith(f"/{v}")), None)
        if own is None:
            raise ConversionError(
                f"{where}: {name} is no variable of an RNN cell; give scope= to take some only"
            )
        cells.setdefault(name[: -len(own)].rstrip("/"), {})[own] = array
    roots: dict[str, list[tuple[str, Variables]]] = {}
    for name in sorted(cells, key=_natural):
        root = (
            re.split(r"(?:^|/)multi_rnn_cell(?=/|$)", name)[0] if "multi_rnn_cell" in name else ""
        )
        root = root or name.rpartition("/")[0]
        roots.setdefault(root, []).append((name, cells[name]))
    names = sorted(roots, key=lambda root: root.rpartition("/")[2] == "bw")
    ends = [root.rpartition("/")[2] for root in names]
    if len(roots) == 1 or (len(roots) == 2 and ends == ["fw", "bw"]):
        nets = [roots[root] for root in names]
        if all(len(net) == 1 or "multi_rnn_cell" in net[0][0] for net in nets):
            return nets
    listed = ", ".join(sorted(cells)[:6]) or "none"
    raise ConversionError(
        f"{where}: expected the cells of one net (or fw and bw), found {listed}; give scope="
    )


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def kind_of_variables(name: str, own: Variables, where: str) -> str:
    """The kind of a cell, from its variables or the name of its scope."""
    if "gates/kernel" in own:
        return "gru"
    if len(own) > 2:
        return "lstm"
    last = re.sub(r"_\d+$", "", name.rpartition("/")[2])
    if last not in NAMED_KINDS:
        raise ConversionError(
            f"{where}: the name does not tell the cell, expected one of "
            f"{', '.join(NAMED_KINDS)}; give kind="
        )
    return NAMED_KINDS[last]


def take(own: Variables, expected: Sequence[str], where: str) -> list[Any]:
    """The variables in the order `expected`; raise if there are others, or one is missing."""
    missing = [name for name in expected if name not in own]
    unknown = [name for name in own if name not in expected]
    if missing or unknown:
        raise ConversionError(f"{where}: found {', '.join(own)}, expected {', '.join(expected)}")
    return [own[name] for name in expected]
