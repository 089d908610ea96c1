"""Train only those rows of the word embeddings whose tokens occur in the training data.

A vocabulary has tens of thousands of rows, and a small encoder has most of its parameters there. A
task's training examples use only part of these rows; the others never get a gradient. Leaving them
out of the gradient, of its norm and of the optimizer's state saves up to a third of a training step
of a small encoder. The result is the same, except that weight decay does not shrink unused rows.

Shapes: V rows of the vocabulary, R rows in use, D width.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.settings.finetune import FinetuneSettings
from selfsup.tasks.base import Task, Units
from selfsup.tasks.models import TaskModule

# With a larger fraction of rows in use there is nothing to save.
_MAX_FRACTION = 0.8
_UNITS_AT_ONCE = 1024


class CompactEmbedding(nn.Module):
    """An embedding whose parameter, ``weight`` [R, D], holds the rows in use.

    In training mode only these rows may be looked up, in evaluation mode any row.
    """

    _table: Tensor
    _rows: Tensor
    _position: Tensor

    def __init__(self, embedding: nn.Embedding, rows: Tensor) -> None:
        """Take the weights of ``embedding`` [V, D]; ``rows``, int64 [R], are distinct."""
        super().__init__()
        table = embedding.weight.detach()
        self.weight = nn.Parameter(table[rows])
        self.weight.requires_grad_(embedding.weight.requires_grad)
        position = torch.full((len(table),), -1, dtype=torch.int64, device=table.device)
        position[rows] = torch.arange(len(rows), device=table.device)
        # No buffers: a checkpoint needs none of them, and the table is larger than all the rest.
        self._table = table.clone()  # [V, D]
        self._rows = rows
        self._position = position  # [V], index into ``weight``

    def forward(self, ids: Tensor) -> Tensor:
        """ids, int64 of any shape […] → […, D]."""
        if self.training:
            return F.embedding(self._position[ids], self.weight)
        return F.embedding(ids, self._table)

    def train(self, mode: bool = True) -> "CompactEmbedding":
        """Switch the mode; before evaluation the rows in use are copied into the full table."""
        if self.training and not mode:
            self.full_table()
        return super().train(mode)

    @torch.no_grad()
    def full_table(self) -> Tensor:
        """All rows with their current values, [V, D]; not a copy."""
        return self._table.index_copy_(0, self._rows, self.weight)


@contextmanager
def compact_embedding(embeddings: nn.Module, rows: Tensor) -> Iterator[None]:
    """Replace ``embeddings.word`` [V, D] by a ``CompactEmbedding``, and at the end put it back.

    Training looks up ``rows``, int64 [R], distinct. If they are nearly all, nothing is replaced.
    """
    embedding = embeddings.word
    assert isinstance(embedding, nn.Embedding)
    if len(rows) > _MAX_FRACTION * len(embedding.weight):
        yield
        return
    compact = CompactEmbedding(embedding, rows.to(embedding.weight.device))
    embeddings.word = compact.train(embeddings.training)
    try:
        yield
    finally:
        with torch.no_grad():
            embedding.weight.copy_(compact.full_table())
        embeddings.word = embedding.train(embeddings.training)


def compact_word_embeddings(
    settings: FinetuneSettings, task: Task, model: TaskModule, units: Units
) -> AbstractContextManager[None]:
    """A context in which a text model trains only the word embeddings that occur in the units."""
    # Every value of --freeze freezes the embeddings.
    if task.family.takes != "text" or settings.freeze is not None:
        return nullcontext()
    return compact_embedding(model.encoder.embeddings, token_ids_of(units))


def token_ids_of(units: Units) -> Tensor:
    """The token ids that occur in units of text, int64, ascending."""
    found = np.empty(0, np.int64)
    for first in range(0, len(units), _UNITS_AT_ONCE):
        batch = units.batch(np.arange(first, min(first + _UNITS_AT_ONCE, len(units))))
        found = np.union1d(found, batch.input_ids.numpy())
    return torch.from_numpy(found)
