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

from rnn_xp.train.checks import option_name
from rnn_xp.train.curve import draw_curve
from rnn_xp.train.diagnose import diagnose
from rnn_xp.train.evaluate import PROTOCOLS, Evaluation, evaluate, perplexity
from rnn_xp.train.presets import PRESETS, Preset, get_preset, make_settings
from rnn_xp.train.report import ProgressReporter, Reporter, RunInfo, clock, readable
from rnn_xp.train.result import TrainResult
from rnn_xp.train.run_config import RunConfig
from rnn_xp.train.run_folder import RunFolder
from rnn_xp.train.settings import TrainSettings
from rnn_xp.train.start import CHANGEABLE, train

__all__ = [
    "CHANGEABLE",
    "PRESETS",
    "PROTOCOLS",
    "Evaluation",
    "Preset",
    "ProgressReporter",
    "Reporter",
    "RunConfig",
    "RunFolder",
    "RunInfo",
    "TrainResult",
    "TrainSettings",
    "clock",
    "diagnose",
    "draw_curve",
    "evaluate",
    "get_preset",
    "make_settings",
    "option_name",
    "perplexity",
    "readable",
    "train",
]
