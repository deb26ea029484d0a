"""The recurrent layers once more, from torch's own modules and automatic differentiation.

Nothing here is shared with the package. Where `torch.nn` has the layer, it is used: LSTM,
GRU (reset after) and RNN with tanh or relu, with packed sequences for lengths, with
``bidirectional=True``, with ``num_layers=2``. The others are a plain loop over steps.

A mask is taken at its word: the masked steps of a row are cut out, the rest runs as a
shorter sequence, and its outputs are put back where they belong.
"""

import torch
from proof.torch_cells import CELL_STEPS
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

MODULES = {
    "rnn": lambda *a, **k: torch.nn.RNN(*a, nonlinearity="tanh", **k),
    "relu": lambda *a, **k: torch.nn.RNN(*a, nonlinearity="relu", **k),
    "lstm": torch.nn.LSTM,
    "lstm-cell": torch.nn.LSTM,
    "gru-after": torch.nn.GRU,
    "gru-cell": torch.nn.GRU,
}


def gru_before(params, x, state):
    Wx, Wh, b = params
    (h,) = state
    xr, xz, xn = (x @ Wx + b).chunk(3, dim=1)
    Ur, Uz, Un = Wh.chunk(3, dim=1)
    r, z = torch.sigmoid(xr + h @ Ur), torch.sigmoid(xz + h @ Uz)
    new = (1 - z) * torch.tanh(xn + (r * h) @ Un) + z * h
    return new, [new]


def elman(function):
    def step(params, x, state):
        Wx, Wh, b = params
        new = function(x @ Wx + state[0] @ Wh + b)
        return new, [new]

    return step


def leaky(params, x, state):
    W, U, P = params
    a = torch.tanh(x @ W + state[0] @ U)
    s = 0.75 * state[1] + 0.25 * a
    return (a * s) @ P, [a, s]


STEPS = {
    "gru-before": gru_before,
    "sigmoid": elman(torch.sigmoid),
    "linear": elman(lambda a: a),
    "user": leaky,
    **CELL_STEPS,
}


def torch_net(case, leaves):
    """Outputs of a `proof.sequences.SequenceCase` for tensors `leaves`."""
    kind, option, x = case.kind.name, case.option, leaves["xs"]
    params = [case.params(leaves, k) for k in range(case.layers)]
    states = [case.states(leaves, k) for k in range(case.layers)]
    width = case.upstream["hs"].shape[-1]
    if option.mask is not None:
        hs, finals = by_rows(kind, option.net, params, x, states, option.mask, width)
    elif option.lengths is not None and kind in STEPS:
        mask = [[t < n for t in range(x.shape[1])] for n in option.lengths]
        hs, finals = by_rows(kind, option.net, params, x, states, mask, width)
    elif option.lengths is not None:
        hs, finals = packed(kind, option.net, params, x, states, option.lengths, width)
    else:
        hs, finals = run(kind, option.net, params, x, states)
    outputs = {"hs": hs}
    if option.net == "single":
        outputs |= {f"s{s}": final for s, final in enumerate(finals[0])}
    return outputs


def run(kind, net, params, x, states, lengths=None):
    """Whole rows: ``(hs, final states of each layer)``."""
    if kind in MODULES:
        return run_module(kind, net, params, x, states, lengths)
    if net == "stacked":
        finals = []
        for p, s in zip(params, states, strict=True):
            x, final = loop(kind, p, x, s)
            finals.append(final)
        return x, finals
    there, final = loop(kind, params[0], x, states[0])
    if net == "single":
        return there, [final]
    back, final_back = loop(kind, params[1], x.flip(1), states[1])
    return torch.cat([there, back.flip(1)], dim=2), [final, final_back]


def loop(kind, params, x, state):
    outputs = []
    for t in range(x.shape[1]):
        output, state = STEPS[kind](params, x[:, t], state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


def run_module(kind, net, params, x, states, lengths=None):
    options = {"num_layers": 2} if net == "stacked" else {"bidirectional": net == "bidirectional"}
    H = params[0][1].shape[0]
    module = MODULES[kind](x.shape[2], H, batch_first=True, dtype=x.dtype, **options)
    weights = {}
    suffixes = ("l0", "l1") if net == "stacked" else ("l0", "l0_reverse")
    for suffix, (Wx, Wh, b) in zip(suffixes, params, strict=False):
        rows = b if b.ndim == 2 else (b, torch.zeros_like(b))
        weights[f"weight_ih_{suffix}"] = Wx.T
        weights[f"weight_hh_{suffix}"] = Wh.T
        weights[f"bias_ih_{suffix}"], weights[f"bias_hh_{suffix}"] = rows
    given = [torch.stack(part) for part in zip(*states, strict=True)]  # each (layers, N, H)
    state = tuple(given) if len(given) == 2 else given[0]
    if lengths is not None:
        x = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    hs, final = torch.func.functional_call(module, weights, (x, state))
    if lengths is not None:
        hs, _ = pad_packed_sequence(hs, batch_first=True, total_length=max(lengths))
    final = final if isinstance(final, tuple) else (final,)
    return hs, [[part[k] for part in final] for k in range(len(params))]


def packed(kind, net, params, x, states, lengths, width):
    """`torch.nn` refuses rows of length 0: those rows keep their states and give zeros."""
    rows = torch.tensor([n for n, length in enumerate(lengths) if length > 0])
    chosen = [lengths[n] for n in rows]
    some = [[s[rows] for s in state] for state in states]
    hs, finals = run_module(kind, net, params, x[rows], some, chosen)
    N, T = x.shape[:2]
    padded = torch.zeros(len(rows), T, width, dtype=x.dtype)
    padded = torch.cat([hs, padded[:, hs.shape[1] :]], dim=1)
    hs = torch.zeros(N, T, width, dtype=x.dtype).index_copy(0, rows, padded)
    merged = [
        [s.index_copy(0, rows, f) for s, f in zip(state, final, strict=True)]
        for state, final in zip(states, finals, strict=True)
    ]
    return hs, merged


def by_rows(kind, net, params, x, states, mask, width):
    """Each row on its own, without its masked steps."""
    N, T = x.shape[:2]
    outputs, finals = [], []
    for n in range(N):
        own = [[s[n : n + 1] for s in state] for state in states]
        steps = torch.tensor([t for t in range(T) if mask[n][t]], dtype=torch.int64)
        hs = torch.zeros(T, width, dtype=x.dtype)
        if len(steps):
            short, own = run(kind, net, params, x[n : n + 1, steps], own)
            hs = hs.index_copy(0, steps, short[0])
        outputs.append(hs)
        finals.append(own)
    merged = [
        [torch.cat(rows) for rows in zip(*(final[k] for final in finals), strict=True)]
        for k in range(len(params))
    ]
    return torch.stack(outputs), merged
