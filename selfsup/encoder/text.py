"""The stack that all encoders of text share, over packed sequences.

What differs from family to family are the blocks that it is assembled from (``families/``).

Shapes: B sequences, T tokens in total, Q tokens that are queried, D width.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.packing import Packing, Queries


class EncoderOutput(NamedTuple):
    """A vector for every token, [T, D], and one for every sequence, [B, D]."""

    last_hidden_state: Tensor
    pooler_output: Tensor


class TextEncoder(nn.Module):
    """Embeddings, a stack of Transformer layers, and in some models a pooler over ``[CLS]``."""

    embeddings: Any
    pooler: nn.Module

    def __init__(
        self,
        config: EncoderConfig,
        embeddings: nn.Module,
        layers: Iterable[nn.Module],
        pooler: nn.Module | None = None,
        norm: nn.Module | None = None,
    ) -> None:
        """Assemble an encoder from its parts.

        Args:
            config: its sizes.
            embeddings: called with three int64 [T], the ids of tokens, segments and positions;
                returns [T, D]. Its module ``word`` is an ``nn.Embedding``.
            layers: each called with x [T, D] and its packing; with ``Queries`` as a third argument
                it returns the rows of the queried tokens alone, [Q, D].
            pooler: [B, D] → [B, D], before the tanh.
            norm: after the highest layer, in encoders that need one.
        """
        super().__init__()
        self.config = config
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)
        self.norm = nn.Identity() if norm is None else norm
        if pooler is not None:
            self.pooler = pooler

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> EncoderOutput:
        """Encode packed sequences.

        Args:
            input_ids: int64 [T].
            token_type_ids: int64 [T], 0 in the first segment and 1 in the second.
            packing: the boundaries of the sequences, of at most ``max_position_embeddings`` tokens.
        """
        hidden = self.hidden_states(input_ids, token_type_ids, packing)
        first_tokens = hidden.index_select(0, packing.first_rows)
        return EncoderOutput(hidden, self.pool(first_tokens))

    @property
    def pooling(self) -> list[nn.Module]:
        """What makes a sequence's vector of its first token's state: nothing without a pooler."""
        return [self.pooler, nn.Tanh()] if hasattr(self, "pooler") else []

    def sequence_states(
        self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing
    ) -> Tensor:
        """The states that a classifier reads, one for each sequence, [B, D]: before ``pooling``."""
        return self.first_states(input_ids, token_type_ids, packing)

    def pooled_states(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> Tensor:
        """``pooler_output`` alone, [B, D]; the arguments are as in ``forward``."""
        return self.pool(self.first_states(input_ids, token_type_ids, packing))

    def first_states(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> Tensor:
        """The last layer's vector for each sequence's first token, [B, D]; see ``states_at``."""
        return self.states_at(Queries.first_tokens(packing), input_ids, token_type_ids, packing)

    def states_at(
        self, queries: Queries, input_ids: Tensor, token_type_ids: Tensor, packing: Packing
    ) -> Tensor:
        """The last layer's vector for each queried token, [Q, D].

        These are the rows of ``hidden_states`` at ``queries.rows``. For the other tokens the last
        layer computes only keys and values, which saves most of it in masked language modelling.
        """
        hidden = self._embed(input_ids, token_type_ids, packing)
        *lower, highest = self.layers
        for layer in lower:
            hidden = layer(hidden, packing)
        rows = F.pad(queries.rows, (0, queries.packing.padding_rows()))
        states = self.norm(highest(hidden, packing, Queries(rows, queries.packing)))
        return _first_rows(states, len(queries.rows))

    def pool(self, first_states: Tensor) -> Tensor:
        """The last layer's vectors of first tokens, [B, D] → ``pooler_output`` [B, D].

        Without a pooler they stay as they are.
        """
        for module in self.pooling:
            first_states = module(first_states)
        return first_states

    def hidden_states(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> Tensor:
        """The last layer's vector for every token, [T, D]; the arguments are as in ``forward``."""
        hidden = self._embed(input_ids, token_type_ids, packing)
        for layer in self.layers:
            hidden = layer(hidden, packing)
        return _first_rows(self.norm(hidden), len(input_ids))

    def layer_states(
        self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing
    ) -> Iterator[Tensor]:
        """Each layer's vectors, [T, D], from the lowest up; the arguments are as in ``forward``."""
        hidden = self._embed(input_ids, token_type_ids, packing)
        *lower, highest = self.layers
        for layer in lower:
            hidden = layer(hidden, packing)
            yield _first_rows(hidden, len(input_ids))
        yield _first_rows(self.norm(highest(hidden, packing)), len(input_ids))

    def _embed(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> Tensor:
        """The first layer's input, [T, D], then padding rows, which repeat the first token."""
        padding = packing.padding_rows()
        ids = input_ids, token_type_ids, packing.position_ids
        return self.embeddings(*(torch.cat([x, x[:1].expand(padding)]) for x in ids))


def _first_rows(x: Tensor, count: int) -> Tensor:
    """The rows of x without its padding rows."""
    return x if len(x) == count else x[:count]
