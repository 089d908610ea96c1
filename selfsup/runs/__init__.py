"""The folder of a run, written while it goes on and read afterwards.

Every run has `run.yaml`: the command that made it, then its settings. `metrics.jsonl` holds what it
logs, one JSON object a line in the order of the steps. `summary.json` is written last, so that it
says that the run has ended. A pre-training run keeps `checkpoints/` until it ends, and a
fine-tuning run writes `validation_predictions.jsonl`: the validation examples with what the model
of the best seed predicts for each.
"""

import math
from typing import Any, Literal

SETTINGS = "run.yaml"
METRICS = "metrics.jsonl"
SUMMARY = "summary.json"
CHECKPOINTS = "checkpoints"
VALIDATION_PREDICTIONS = "validation_predictions.jsonl"

RunCommand = Literal["pretrain", "finetune", "demo"]
"""The commands that make a run."""


def with_nulls(value: Any) -> Any:
    """A value for JSON, with null for NaN and infinity (a diverged loss), which JSON lacks."""
    if isinstance(value, dict):
        return {str(key): with_nulls(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_nulls(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
