"""``last.safetensors``, everything that a resume needs, in one file; and the model.

One file that is replaced atomically is consistent whenever the process is killed.
"""

from dataclasses import asdict, dataclass
from typing import Any

from rnn_xp.backend import Backend
from rnn_xp.cells.nested import rebuild
from rnn_xp.checkpoint import load_arrays, save_arrays
from rnn_xp.data import TokenBatches
from rnn_xp.errors import CheckpointError, RnnXpError
from rnn_xp.layers.state import arrays_in
from rnn_xp.models import Rnnlm
from rnn_xp.optim import Optimizer, Schedule
from rnn_xp.train.progress import Progress
from rnn_xp.train.run_folder import PARAMETER, RunFolder, parameters_in, progress_in
from rnn_xp.train.stepper import Stepper

_OPTIMIZER, _STATE = "optimizer/", "state/"


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects whose state is saved and restored."""

    model: Rnnlm
    optimizer: Optimizer
    schedule: Schedule
    batches: TokenBatches
    stepper: Stepper


def save_state(folder: RunFolder, parts: Parts, progress: Progress) -> None:
    """Write ``last.safetensors``.

    Raises
    ------
    CheckpointError
        If it cannot be written; the file of before is intact then.
    """
    arrays = {PARAMETER + n: a for n, a in parts.model.named_parameters.items()}
    arrays |= {_OPTIMIZER + n: a for n, a in parts.optimizer.state_dict().items()}
    for p, states in enumerate(parts.stepper.states):
        for i, state in enumerate(states):
            for k, array in enumerate(arrays_in(state)):
                arrays[f"{_STATE}{p}/{i}/{k}"] = array
    document = {
        "run_id": folder.config.run_id,
        "progress": asdict(progress),
        "batches": parts.batches.state_dict(),
        "schedule": {"name": parts.schedule.name, **parts.schedule.state_dict()},
        "dropout_counters": parts.model.dropout_counters,
    }
    if parts.stepper.loss_scale is not None:
        document["loss_scale"] = parts.stepper.loss_scale.state_dict()
    save_arrays(folder.file("last.safetensors"), arrays, document)


def save_model(folder: RunFolder, model: Rnnlm, progress: Progress) -> None:
    """Write ``model.safetensors``: what `Rnnlm.save` writes, and where it is from.

    Raises
    ------
    CheckpointError
        If it cannot be written; the file of before is intact then.
    """
    document = {
        "run_id": folder.config.run_id,
        "config": model.config.to_json(),
        "frozen": sorted(model.frozen),
        "run": {"step": progress.step, "metric": progress.metric, "value": progress.best},
    }
    save_arrays(folder.file("model.safetensors"), model.named_parameters, document)


def load_state(folder: RunFolder, parts: Parts) -> Progress:
    """Read ``last.safetensors`` into `parts`, which were made with the run's settings.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged, of another run, or does not fit the settings.
    """
    path = folder.file("last.safetensors")
    if not path.exists():
        raise CheckpointError(
            f"{path}: no such file; the run was stopped before its first checkpoint or the file "
            "was removed: restore it, or start again with --overwrite"
        )
    arrays, document = load_arrays(path)
    folder.require_own(path, document)
    progress = progress_in(document, path)
    try:
        parts.model.set_parameters(parameters_in(arrays), str(path))
        parts.model.dropout_counters = document["dropout_counters"]
        _load_optimizer(arrays, parts.optimizer)
        _load_states(arrays, parts.stepper, parts.model.backend)
        parts.batches.load_state_dict(document["batches"])
        if parts.stepper.loss_scale is not None:
            parts.stepper.loss_scale.load_state_dict(document["loss_scale"])
        schedule = dict(document["schedule"])
        if schedule.pop("name") == parts.schedule.name:
            parts.schedule.load_state_dict(schedule)
    except RnnXpError as error:
        raise CheckpointError(f"{path}: does not fit this run: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"{path}: damaged ({error!r}); restore it from a copy") from error
    return progress


def _load_optimizer(arrays: dict[str, Any], optimizer: Optimizer) -> None:
    state = {
        name.removeprefix(_OPTIMIZER): array
        for name, array in arrays.items()
        if name.startswith(_OPTIMIZER)
    }
    for name, array in state.items():
        if name.rpartition(".")[2] in optimizer.counters:
            state[name] = array.reshape(())
    if state:  # there is none before the first update, nor with plain SGD
        optimizer.load_state_dict(state)


def _load_states(arrays: dict[str, Any], stepper: Stepper, backend: Backend) -> None:
    stepper.reset_states()
    if not any(name.startswith(_STATE) for name in arrays):  # saved where the state is zero
        return
    for p, states in enumerate(stepper.states):
        for i, layer in enumerate(stepper.model.recurrent_layers):
            like = layer.zero_state(1)
            names = [f"{_STATE}{p}/{i}/{k}" for k in range(len(arrays_in(like)))]
            states[i] = rebuild(like, [backend.asarray(arrays[name]) for name in names])
