"""One training step's text, with what was hidden in it, and what an encoder makes of it.

Shapes: B sequences, T tokens in all, M masked tokens, D width.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from selfsup.encoder.packing import Packing, Queries


@dataclass(frozen=True)
class TextBatch:
    """B sequences laid end to end in T tokens, M of which are to be predicted.

    Attributes:
        input_ids: int64 [T], with tokens hidden.
        token_type_ids: int64 [T].
        packing: where each sequence begins.
        masked_rows: int64 [M], which of the T tokens to predict.
        masked_labels: int64 [M], what they were.
        next_sentence_label: int64 [B], 0 where B continues A, 1 where it is random, or None.
        queries: the tokens whose last states the heads look at: each sequence's first, and the
            masked ones.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    packing: Packing
    masked_rows: Tensor
    masked_labels: Tensor
    next_sentence_label: Tensor | None
    queries: Queries

    @property
    def token_count(self) -> int:
        """T."""
        return len(self.input_ids)

    @property
    def predictions(self) -> dict[str, int]:
        """How many each objective makes: of masked tokens M, of next sentences B."""
        pairs = self.next_sentence_label
        return {"mlm": len(self.masked_labels), "nsp": 0 if pairs is None else len(pairs)}

    def to(self, device: torch.device) -> "TextBatch":
        """The same batch on a device."""
        if device.type == "cpu":
            return self
        labels = self.next_sentence_label
        return TextBatch(
            self.input_ids.to(device),
            self.token_type_ids.to(device),
            self.packing.to(device),
            self.masked_rows.to(device),
            self.masked_labels.to(device),
            None if labels is None else labels.to(device),
            self.queries.to(device),
        )


class TextStates(NamedTuple):
    """What the encoder makes of a batch, as far as the heads look at it.

    Attributes:
        masked: the last layer's vectors of the masked tokens, [M, D].
        pooler_output: a vector for every sequence, [B, D].
    """

    masked: Tensor
    pooler_output: Tensor
