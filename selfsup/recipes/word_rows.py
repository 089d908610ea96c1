"""Which rows of the word embeddings a fine-tuning run learns: those of pieces it trains on."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from selfsup.settings import FinetuneSettings
from selfsup.tasks import text_family
from selfsup.tasks.task import Task, TaskModule, Units
from selfsup.transfer.rows_in_use import only_rows_in_use

_UNITS_AT_ONCE = 1024


def learning_rows_in_use(
    settings: FinetuneSettings, task: Task, model: TaskModule, units: Units
) -> AbstractContextManager[None]:
    """Within it, a text model's word embeddings are those that occur in the units to learn from."""
    # Every --freeze freezes the embeddings.
    if task.FAMILY is not text_family or settings.freeze is not None:
        return nullcontext()
    return only_rows_in_use(model.encoder.embeddings, "word", token_ids_of(units))


def token_ids_of(units: Units) -> torch.Tensor:
    """The ids that occur in units of text, int64, ascending."""
    found = np.empty(0, np.int64)
    for first in range(0, len(units), _UNITS_AT_ONCE):
        batch = units.batch(np.arange(first, min(first + _UNITS_AT_ONCE, len(units))))
        found = np.union1d(found, batch.input_ids.numpy())
    return torch.from_numpy(found)
