"""The nets of `proof.nets` once more, from torch's own cells and its automatic differentiation.

Every layer is a loop over the steps of each row on its own: a masked step is skipped, a
reset puts zeros in place of the state. Nothing here is shared with the package but the
dropout masks, which `rnn_xp.rng` defines.
"""

from dataclasses import dataclass

import torch
from proof.nets import RATIO, SEED
from proof.random_kinds import StepMasks, random_step
from proof.specs import DROPOUTS, leaves
from proof.torch_composed import composed_step
from proof.torch_oracle import STEPS

from rnn_xp.rng import DropoutKey, draw_dropout_mask


def weights(params):
    """Wx, Wh, b as torch's cells take them."""
    Wx, Wh, b = params
    rows = b if b.ndim == 2 else (b, torch.zeros_like(b))
    return Wx.T, Wh.T, *rows


def rnn(params, x, state):
    h = torch.rnn_tanh_cell(x, state[0], *weights(params))
    return h, [h]


def relu(params, x, state):
    h = torch.rnn_relu_cell(x, state[0], *weights(params))
    return h, [h]


def lstm(params, x, state):
    h, c = torch.lstm_cell(x, tuple(state), *weights(params))
    return h, [h, c]


def gru(params, x, state):
    h = torch.gru_cell(x, state[0], *weights(params))
    return h, [h]


CELLS = {
    **STEPS,
    "rnn": rnn,
    "relu": relu,
    "lstm": lstm,
    "lstm-cell": lstm,
    "gru-after": gru,
    "gru-cell": gru,
}


def torch_net(case, given):
    """Outputs of a `proof.nets.NetCase` for tensors `given`."""
    N, T = case.N, case.T
    valid = [[True] * T for _ in range(N)]
    if case.mask is not None:
        valid = [list(row) for row in case.mask]
    elif case.lengths is not None:
        valid = [[t < length for t in range(T)] for length in case.lengths]
    resets = case.resets or [[False] * T] * N
    ends = {}
    hs = run(case.spec, case, given, given["xs"], Steps(valid, resets, pieces(resets)), ends)
    return {"hs": hs} | {f"end {name}": ends[name] for name in case.states}


@dataclass(frozen=True)
class Steps:
    """For each row and step whether it counts, whether the row starts anew before it, and
    in which row of a drawn mask it is: a row that starts anew goes on in another one."""

    valid: list
    resets: list
    drawn: list

    def backwards(self):
        # A cut between steps t - 1 and t is, backwards, before step T - t.
        cuts = [[False, *row[:0:-1]] for row in map(list, self.resets)]
        return Steps([row[::-1] for row in self.valid], cuts, [row[::-1] for row in self.drawn])

    @property
    def rows(self):
        return 1 + max(n for row in self.drawn for n in row)


def pieces(resets):
    """The first pieces of all rows, then the others, row by row."""
    count, drawn = len(resets), []
    for n, row in enumerate(resets):
        own = [n]
        for cut in row[1:]:
            own.append(count if cut else own[-1])
            count += cut
        drawn.append(own)
    return drawn


def run(spec, case, given, x, steps, ends):
    """Output of a net; the final states go into `ends`."""

    def inner(part, x, steps=steps, given=given):
        return run(part, case, given, x, steps, ends)

    match spec:
        case ("layer", k):
            return loop(k, case, given, x, steps, ends)
        case ("stack", *parts):
            for part in parts:
                x = inner(part, x)
            return x
        case ("reversed", part):
            return inner(part, x.flip(1), steps.backwards()).flip(1)
        case ("bidirectional", merge, one, two):
            there, back = inner(one, x), inner(("reversed", two), x)
            if merge in ("concat", None):
                return torch.cat([there, back], dim=2)
            if merge == "mul":
                return there * back
            return (there + back) * (0.5 if merge == "mean" else 1.0)
        case ("residual", part):
            kept = torch.tensor(steps.valid, dtype=x.dtype)[:, :, None]
            return inner(part, x) + kept * x
        case ("weight drop", part):
            (k,) = leaves(part)
            name = [n for n in case.names if n.startswith(f"{k}.")][1]
            key = DropoutKey(SEED, k, case.call_number)
            mask = draw_dropout_mask(tuple(given[name].shape), RATIO, key)
            return inner(part, x, given={**given, name: given[name] * torch.tensor(mask)})
        case (name, stream) if name in DROPOUTS:
            T, width = x.shape[1:]
            shape = (T if name == "dropout" else 1, steps.rows, width)
            mask = draw_dropout_mask(shape, RATIO, DropoutKey(SEED, stream, case.call_number))
            each = torch.tensor(mask).expand(T, -1, -1)
            return x * torch.stack([each[range(T), row] for row in steps.drawn])
        case (("trainable" | "resets"), part):
            return inner(part, x)
    raise AssertionError(spec)


def loop(k, case, given, x, places, ends):
    """One layer, row by row and step by step."""
    kind, size = case.kinds[k]
    sizes = kind.state_sizes(size)
    params = [given[f"{k}.{name}"] for name in case._shapes(k)]
    outputs, finals = [], []
    for n in range(x.shape[0]):
        state = [initial(case, given, k, s, n, sizes[s]) for s in range(kind.states)]
        steps = []
        for t in range(x.shape[1]):
            if places.resets[n][t]:
                state = [torch.zeros_like(part) for part in state]
            if places.valid[n][t]:
                x_t = x[n : n + 1, t]
                drawn = (places.rows, x.shape[1], places.drawn[n][t], t)
                if getattr(kind, "composed", False):
                    masks = StepMasks(case.call_number, *drawn)
                    output, state = composed_step(kind, params, x_t, state, masks)
                elif kind.random:
                    masks = StepMasks(case.call_number, *drawn)
                    output, state = random_step(kind.name, params, x_t, state, masks)
                else:
                    output, state = CELLS[kind.name](params, x_t, state)
                steps.append(output)
            else:
                steps.append(None)
        outputs.append(steps)
        finals.append(state)
    nothing = torch.zeros(1, kind.output_size(size), dtype=x.dtype)
    for s in range(kind.states):
        ends[f"{k}.s{s}"] = torch.cat([state[s] for state in finals])
    rows = [torch.cat([nothing if o is None else o for o in row]) for row in outputs]
    return torch.stack(rows)


def initial(case, given, k, s, n, width):
    """State of row `n`, (1, width): as it was set, as it is learned, or zeros."""
    if case.set_states:
        return given[f"{k}.s{s}"][n : n + 1]
    if f"{k}.t{s}" in given:
        return given[f"{k}.t{s}"][None, :]
    return torch.zeros(1, width, dtype=given["xs"].dtype)
