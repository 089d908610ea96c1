"""Word embeddings of which only the rows that the training data asks for learn.

A vocabulary has tens of thousands of rows, and a small encoder has most of its parameters there.
A task's training examples hold a part of them; no other row ever gets a gradient. To leave those
others out of the gradient, its norm and the optimizer's state saves up to a third of a step of a
small encoder, and changes nothing, except that weight decay leaves them as they were pre-trained.

Shapes: V rows of the vocabulary, R rows in use, D width.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.settings import FinetuneSettings
from selfsup.tasks.base import Task, TaskModule, Units
from selfsup.tasks.encoders import TEXT_ENCODERS

# With nearly all rows in use there is nothing to be saved.
_MOST_IN_USE = 0.8


class RowsInUse(nn.Module):
    """An embedding whose parameter, ``weight`` [R, D], is the rows in use.

    In training mode it may be asked for these alone; in evaluation mode for any row.
    """

    _table: Tensor
    _rows: Tensor
    _place: Tensor

    def __init__(self, embedding: nn.Embedding, rows: Tensor) -> None:
        """Take over from ``embedding`` [V, D] with the given rows in use, int64 [R], distinct."""
        super().__init__()
        table = embedding.weight.detach()
        self.weight = nn.Parameter(table[rows])
        self.weight.requires_grad_(embedding.weight.requires_grad)
        place = torch.full((len(table),), -1, dtype=torch.int64, device=table.device)
        place[rows] = torch.arange(len(rows), device=table.device)
        self.register_buffer("_table", table.clone(), persistent=False)  # [V, D]
        self.register_buffer("_rows", rows, persistent=False)
        self.register_buffer("_place", place, persistent=False)  # [V], of a row in ``weight``

    def forward(self, ids: Tensor) -> Tensor:
        """ids, int64 of any shape […] → […, D]."""
        if self.training:
            return F.embedding(self._place[ids], self.weight)
        return F.embedding(ids, self._table)

    def train(self, mode: bool = True) -> "RowsInUse":
        """Switch the mode; for evaluation the whole table learns what the rows in use are now."""
        if self.training and not mode:
            self.whole_table()
        return super().train(mode)

    @torch.no_grad()
    def whole_table(self) -> Tensor:
        """All rows as they are now, [V, D]; not a copy."""
        return self._table.index_copy_(0, self._rows, self.weight)


@contextmanager
def only_rows_in_use(embeddings: nn.Module, name: str, rows: Tensor) -> Iterator[None]:
    """Within it, the embedding ``embeddings.name`` is a ``RowsInUse``; then an embedding again.

    Args:
        embeddings: the module that holds it.
        name: of the attribute, an ``nn.Embedding`` [V, D].
        rows: int64 [R], the rows that training will ask for, distinct. If they are nearly all,
            everything stays as it is.
    """
    embedding = getattr(embeddings, name)
    if len(rows) > _MOST_IN_USE * len(embedding.weight):
        yield
        return
    in_use = RowsInUse(embedding, rows.to(embedding.weight.device))
    setattr(embeddings, name, in_use.train(embeddings.training))
    try:
        yield
    finally:
        with torch.no_grad():
            embedding.weight.copy_(in_use.whole_table())
        setattr(embeddings, name, embedding.train(embeddings.training))


# Which rows of the word embeddings a fine-tuning run learns: those of pieces it trains on.


_UNITS_AT_ONCE = 1024


def learning_rows_in_use(
    settings: FinetuneSettings, task: Task, model: TaskModule, units: Units
) -> AbstractContextManager[None]:
    """Within it, a text model's word embeddings are those that occur in the units to learn from."""
    # Every --freeze freezes the embeddings.
    if task.family is not TEXT_ENCODERS or settings.freeze is not None:
        return nullcontext()
    return only_rows_in_use(model.encoder.embeddings, "word", token_ids_of(units))


def token_ids_of(units: Units) -> torch.Tensor:
    """The ids that occur in units of text, int64, ascending."""
    found = np.empty(0, np.int64)
    for first in range(0, len(units), _UNITS_AT_ONCE):
        batch = units.batch(np.arange(first, min(first + _UNITS_AT_ONCE, len(units))))
        found = np.union1d(found, batch.input_ids.numpy())
    return torch.from_numpy(found)
