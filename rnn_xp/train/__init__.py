"""Training: settings to a run folder.

::

    settings = make_settings(preset=None, data="text.txt", hidden=256)   # -> TrainSettings
    result = train(settings, "runs/first", reporter=ProgressReporter())  # -> TrainResult
    result = train(None, "runs/first", resume=True, changes={"epochs": 20})

    run = RunFolder.open("runs/first")        # CheckpointError if missing or damaged
    run.config                                # RunConfig: settings, model, level, data, version
    model = run.load_model(backend=None, which="best")    # Rnnlm; "best" or "last"
    text = run.tokenizer().decode([1, 2, 3])
    run.summary()                             # dict for people and for --json

    evaluate(model, ids, "exact")             # -> Evaluation
"""

from rnn_xp.train.evaluate import PROTOCOLS, Evaluation, evaluate, perplexity
from rnn_xp.train.presets import PRESETS, Preset, get_preset, make_settings
from rnn_xp.train.report import ProgressReporter, Reporter, RunInfo, readable
from rnn_xp.train.settings import TrainSettings, option_name

__all__ = [
    "PRESETS",
    "PROTOCOLS",
    "Evaluation",
    "Preset",
    "ProgressReporter",
    "Reporter",
    "RunInfo",
    "TrainSettings",
    "evaluate",
    "get_preset",
    "make_settings",
    "option_name",
    "perplexity",
    "readable",
]
