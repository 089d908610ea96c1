"""BERT's encoder (Devlin et al. 2018, §3): its embeddings and its layers.

Shapes: T tokens in total, Q tokens that are queried, D width, F width of the feed-forward layer.
"""

from torch import Tensor, nn

from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.layers import ACTIVATIONS, Dropout, compute_dtype
from selfsup.encoder.packing import Packing, Queries
from selfsup.encoder.text import TextEncoder


class BertEncoder(TextEncoder):
    """Embeddings, a stack of post-norm Transformer layers, and a pooler over ``[CLS]``.

    Models with a head over single tokens have no pooler: ``pooled`` is False for them.
    """

    pooler: nn.Linear

    def __init__(self, config: EncoderConfig, *, pooled: bool = True) -> None:
        width = config.hidden_size
        super().__init__(
            config,
            BertEmbeddings(config),
            (BertLayer(config) for _ in range(config.num_hidden_layers)),
            nn.Linear(width, width) if pooled else None,
        )


class BertEmbeddings(nn.Module):
    """The sum of word, position and segment embeddings, normalised."""

    def __init__(self, config: EncoderConfig, width: int | None = None) -> None:
        """``width`` is D, the layers' own unless it is given."""
        super().__init__()
        width = width or config.hidden_size
        self.word = nn.Embedding(config.vocab_size, width)
        self.position = nn.Embedding(config.max_position_embeddings, width)
        self.token_type = nn.Embedding(config.type_vocab_size, width)
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        """Three int64 [T] → [T, D], in the precision that the layers compute in."""
        embedded = self.word(input_ids) + self.position(position_ids)
        embedded = embedded + self.token_type(token_type_ids)
        normalised = self.norm(embedded.to(compute_dtype(embedded)))
        return self.dropout(normalised)


class BertLayer(nn.Module):
    """Attention, then a feed-forward network; a residual sum and a norm after each (post-norm)."""

    def __init__(self, config: EncoderConfig, *, drop_attended: bool = True) -> None:
        """``drop_attended``: whether there is dropout after attention too."""
        super().__init__()
        width = config.hidden_size
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, width)
        self.output_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout_prob)
        self.attended_dropout = self.dropout if drop_attended else nn.Identity()

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D] of the queried tokens alone."""
        attended = self.attention(x, packing, queries)
        if queries is not None:
            x = x.index_select(0, queries.rows)
        x = self.attention_norm(x + self.attended_dropout(attended))
        inner = self.activation(self.intermediate(x))  # [T, F]
        return self.output_norm(x + self.dropout(self.output(inner)))
