"""One step of a `proof.composed.ComposedKind` by torch.

Nothing here is shared with the package but the ratios and limits of the rows.
"""

import torch
from proof.cells import CELL_CLIP, PROJECTION_CLIP
from proof.random_kinds import STREAM, ZONEOUT_STREAM
from proof.torch_cells import (
    gru_after,
    gru_before,
    hard_sigmoid,
    layer_norm_gru,
    layer_norm_gru_before,
    layer_norm_lstm,
    layer_norm_lstmp,
    layer_norm_rnn,
    lstm,
    lstmp,
)
from proof.torch_oracle import elman, leaky
from torch.nn import functional as F


def composed_step(kind, params, x, state, masks):
    """One step: ``(output, new state)``."""

    def drop(k, a):
        if kind.dropouts[k] == 0.0:
            return a
        shape = {"stream": STREAM, "variational": kind.has("variational")}
        return a * masks(kind.dropouts, k, a.shape[1], **shape)

    top = len(params) - 3 * kind.has("stacked cell")
    output, new = weights_step(kind, params[:top], drop(0, x), state, drop(1, state[0]))
    part = None if kind.name == "user" else 0  # which part of the state the output is
    if kind.dropouts[1]:
        dropped = drop(2, output)
        part = part if dropped is output else None
        output = dropped
    if params[top:]:
        Wx, Wh, b = params[top:]
        output = torch.tanh(output @ Wx + state[-1] @ Wh + b)
        new, part = [*new, output], len(new)
    if kind.has("zoneout"):
        new = [
            torch.where(masks(kind.zoneouts, k, a.shape[1], stream=ZONEOUT_STREAM) > 0, a, old)
            for k, (a, old) in enumerate(zip(new, state, strict=True))
        ]
        output = output if part is None else new[part]
    if kind.has("states"):
        output = torch.cat(new, dim=1)
    if not kind.dropouts[1]:
        output = drop(2, output)
    return output + x if kind.residual else output, new


def weights_step(kind, params, x, state, seen):
    """One step of the cell with the weights; `seen` is h as the recurrent product sees it."""
    act, gate = torch.tanh, torch.sigmoid
    if kind.has("activations"):
        act, gate = F.silu, hard_sigmoid
    normed = kind.has("layer norm")
    if kind.name == "user":
        return leaky(params, x, [seen, state[1]])
    if kind.name == "rnn":
        step = layer_norm_rnn if normed else elman
        return step(act)(params, x, [seen])
    if kind.name in ("gru-after", "gru-before"):
        step = {
            ("gru-after", False): gru_after,
            ("gru-after", True): layer_norm_gru,
            ("gru-before", False): gru_before,
            ("gru-before", True): layer_norm_gru_before,
        }[kind.name, normed]
        return step(params, x, state[:1], act, gate, seen)
    state = [seen, state[1]]
    if not kind.has("LSTMP"):
        return (layer_norm_lstm if normed else lstm)(params, x, state, act, gate)
    clips = {}
    if kind.has("cell clip"):
        clips["clip"] = CELL_CLIP
    if kind.has("projection clip"):
        clips["projection_clip"] = PROJECTION_CLIP
    step = layer_norm_lstmp if normed else lstmp
    step = step(kind.has("peepholes"), kind.projects, act=act, gate=gate, **clips)
    return step(params, x, state)
