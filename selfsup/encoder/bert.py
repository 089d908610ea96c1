"""BERT's encoder (Devlin et al. 2018, §3), over packed sequences.

Shapes: B sequences, T tokens in total, Q tokens that are queried, D width, F width of the
feed-forward layer.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import ACTIVATIONS, Dropout, compute_dtype
from selfsup.encoder.packing import Packing, Queries


class EncoderOutput(NamedTuple):
    """A vector for every token, [T, D], and one for every sequence, [B, D]."""

    last_hidden_state: Tensor
    pooler_output: Tensor


class BertEncoder(nn.Module):
    """Embeddings, a stack of post-norm Transformer layers, and a pooler over ``[CLS]``.

    Models with a head over single tokens have no pooler: ``pooled`` is False for them, and
    ``forward``, ``pooled_states`` and ``pool`` must not be called.
    """

    def __init__(self, config: EncoderConfig, *, pooled: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = BertEmbeddings(config)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.num_hidden_layers))
        if pooled:
            self.pooler = nn.Linear(config.hidden_size, config.hidden_size)

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
        states = highest(hidden, packing, Queries(rows, queries.packing))
        return _first_rows(states, len(queries.rows))

    def pool(self, first_states: Tensor) -> Tensor:
        """The last layer's vectors of first tokens, [B, D] → ``pooler_output`` [B, D]."""
        return torch.tanh(self.pooler(first_states))

    def hidden_states(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> Tensor:
        """The last layer's vector for every token, [T, D]; the arguments are as in ``forward``."""
        hidden = self._embed(input_ids, token_type_ids, packing)
        for layer in self.layers:
            hidden = layer(hidden, packing)
        return _first_rows(hidden, len(input_ids))

    def layer_states(
        self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing
    ) -> Iterator[Tensor]:
        """Each layer's vectors, [T, D], from the lowest up; the arguments are as in ``forward``."""
        hidden = self._embed(input_ids, token_type_ids, packing)
        for layer in self.layers:
            hidden = layer(hidden, packing)
            yield _first_rows(hidden, len(input_ids))

    def _embed(self, input_ids: Tensor, token_type_ids: Tensor, packing: Packing) -> Tensor:
        """The first layer's input, [T, D], then padding rows, which repeat the first token."""
        padding = packing.padding_rows()
        ids = input_ids, token_type_ids, packing.position_ids
        return self.embeddings(*(torch.cat([x, x[:1].expand(padding)]) for x in ids))


def _first_rows(x: Tensor, count: int) -> Tensor:
    """The rows of x without its padding rows."""
    return x if len(x) == count else x[:count]


class BertEmbeddings(nn.Module):
    """The sum of word, position and segment embeddings, normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        """Three int64 [T] → [T, D], in the precision that the layers compute in."""
        embedded = self.word(input_ids) + self.position(position_ids)
        embedded = embedded + self.token_type(token_type_ids)
        normalised = self.norm(embedded.to(compute_dtype(embedded)))
        return self.dropout(normalised)


class BertLayer(nn.Module):
    """Attention, then a feed-forward network; a residual sum and a norm after each (post-norm)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, width)
        self.output_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D] of the queried tokens alone."""
        attended = self.attention(x, packing, queries)
        if queries is not None:
            x = x.index_select(0, queries.rows)
        x = self.attention_norm(x + self.dropout(attended))
        inner = self.activation(self.intermediate(x))  # [T, F]
        return self.output_norm(x + self.dropout(self.output(inner)))
