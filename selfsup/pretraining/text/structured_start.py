"""Initial weights that already know which tokens are similar and where neighbours are.

From random weights BERT spends its first millions of tokens on a plateau: its heads cannot tell
positions apart, its embeddings do not know which tokens are similar, and neither can be learned
without the other. This start provides both (docs/log.md has the effect of each part):

- Word embeddings from co-occurrence, and the output's bias from frequencies. A matrix of positive
  pointwise mutual information is factorised, as word2vec does implicitly (Levy & Goldberg 2014,
  "Neural word embedding as implicit matrix factorization", §5).
- Sinusoidal position embeddings (Vaswani et al. 2017, §3.5) in dimensions of their own. A shift of
  position rotates them, so query and key matrices can make a head attend to the token at a fixed
  offset (Cordonnier et al. 2020, §2.3, use this to express a convolution). The first two layers
  get such heads.
- Two heads that compare segments, for next-sentence prediction. In the first layer they average
  the words of segments A and B, rare words with a higher weight (as Arora et al. 2017, eq. 1). In
  the second layer they attend to the words that resemble those averages, and note their segment.

Only values are set: the model stays a BERT.

Shapes: N tokens, V vocabulary, C contexts (the most frequent tokens), D width, H heads, K width of
a head or dimensions of a word vector, P position dimensions.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.bert import BertEncoder
from selfsup.pretraining.text.masked_lm import MaskedLM

WINDOW = 8
MAX_TOKENS = 10_000_000
_MAX_CONTEXTS, _MAX_CELLS = 4096, 2**26
_CONTEXT_SMOOTHING = 0.75  # Levy, Goldberg & Dagan 2015, §3.2


def co_occurrence_vectors(
    tokens: np.ndarray, vocab_size: int, dimensions: int, seed: int
) -> np.ndarray:
    """Vectors whose dot products tell how much more often than by chance two tokens are near.

    Args:
        tokens: text, integers [N]; the first ``MAX_TOKENS`` are used.
        vocab_size: V.
        dimensions: K.
        seed: of the random projection at the beginning of the factorisation.

    Returns:
        float32 [V, K], in descending order of singular values, with standard deviation 1. Their
        mean, weighted by frequency, is 0. The vectors of tokens that do not occur are zero.
    """
    tokens = tokens[:MAX_TOKENS].astype(np.int64)
    counts = np.bincount(tokens, minlength=vocab_size)
    information = _positive_mutual_information(tokens, counts)
    found = min(dimensions, *information.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        rank = min(found + 16, *information.shape)
        left, singular, _ = torch.svd_lowrank(information, q=rank, niter=2)
    vectors = (left * singular.sqrt())[:, :found].numpy()
    # Half-way to unit length: otherwise all rare tokens would be short, all frequent ones long.
    vectors /= np.sqrt(np.linalg.norm(vectors, axis=1, keepdims=True)) + 1e-6
    vectors[counts > 0] -= (counts / max(1, counts.sum())) @ vectors
    vectors /= vectors.std() + 1e-6
    return np.pad(vectors, ((0, 0), (0, dimensions - found))).astype(np.float32)


def _positive_mutual_information(tokens: np.ndarray, counts: np.ndarray) -> torch.Tensor:
    """max(0, log(P(token, context) / P(token) P(context))), float32 [V, C].

    Neighbours at distance n count 1/n.
    """
    vocab_size = len(counts)
    context_count = min(vocab_size, _MAX_CONTEXTS, max(256, _MAX_CELLS // vocab_size))
    contexts = np.argsort(-counts, kind="stable")[:context_count]
    index = np.full(vocab_size, -1)
    index[contexts] = np.arange(context_count)
    as_context = index[tokens]
    near = np.zeros(vocab_size * context_count, np.float32)
    for distance in range(1, WINDOW + 1):
        for word, context in (
            (tokens[:-distance], as_context[distance:]),
            (tokens[distance:], as_context[:-distance]),
        ):
            known = context >= 0
            cells = word[known] * context_count + context[known]
            near += np.bincount(cells, minlength=len(near)) / np.float32(distance)
    matrix = torch.from_numpy(near.reshape(vocab_size, context_count))
    of_word = matrix.sum(1, keepdim=True).clamp_(min=1e-9)
    of_context = matrix.sum(0, keepdim=True).clamp_(min=1e-9) ** _CONTEXT_SMOOTHING
    of_context /= of_context.sum()
    return matrix.div_(of_word).div_(of_context).clamp_(min=1.0).log_()


# The share of position in an embedding's squared length, and how sharply a local head attends.
_POSITION_SHARE, _SHARPNESS = 0.5, 2.0
_WORD_STD, _VALUE_STD, _RARITY_FLOOR = 0.04, 0.0625, 1e-3
_SHORTEST_WAVE, _LONGEST_WAVE = 2 / 0.9, 200 * math.pi  # in tokens
_SHIFTS = ((-1, 1, -2, 2, -3, 3), (-1, 1, -3, 3, -2, 2))  # of the first layer, of the second
_HEAD_OF_A, _HEAD_OF_B = 2, 3  # those that compare segments, where there are four heads or more


@dataclass(frozen=True)
class _Layout:
    """The initial meaning of each of the D dimensions of the residual stream."""

    position: slice
    segment: int
    rarity: int
    verdict_a: int
    verdict_b: int
    topic_a: slice
    topic_b: slice
    words: slice
    topic_size: int  # dimensions of each segment's average; 0 if no heads compare segments
    topic_words: slice  # the dimensions of words that are averaged
    frequencies: Tensor  # angular, of the waves, [P / 2]


def _layout(encoder: BertEncoder) -> _Layout:
    width, heads = encoder.config.hidden_size, encoder.config.num_attention_heads
    own = min(width // heads, width // 4)  # positions, and four single dimensions
    topic = width // heads // 2 if heads >= 4 else 0
    shortest, longest = 2 * math.pi / _SHORTEST_WAVE, 2 * math.pi / _LONGEST_WAVE
    logarithms = torch.linspace(math.log(shortest), math.log(longest), (own - 4) // 2)
    return _Layout(
        position=slice(0, own - 4),
        segment=own - 4,
        rarity=own - 3,
        verdict_a=own - 2,
        verdict_b=own - 1,
        topic_a=slice(own, own + topic),
        topic_b=slice(own + topic, own + 2 * topic),
        words=slice(own + 2 * topic, width),
        topic_size=topic,
        topic_words=slice(own + 2 * topic, own + 3 * topic),
        frequencies=torch.exp(logarithms),
    )


def word_dimensions(encoder: BertEncoder) -> int:
    """How many dimensions the word vectors given to ``start_structured`` must have."""
    return encoder.config.hidden_size - _layout(encoder).words.start


@torch.no_grad()
def start_structured(
    encoder: BertEncoder,
    masked_lm_head: MaskedLM | None,
    word_vectors: np.ndarray,
    token_counts: np.ndarray,
    special_ids: np.ndarray,
    seed: int,
) -> None:
    """Set the weights of a newly initialised encoder of at least two layers.

    Args:
        encoder: its embeddings, pooler and attention are set.
        masked_lm_head: its output bias is set, if it is given.
        word_vectors: float32 [V, word_dimensions(encoder)] with standard deviation 1.
        token_counts: how often each token occurs, integers [V].
        special_ids: ids of special tokens.
        seed: of the weights that stay random.
    """
    layout = _layout(encoder)
    generator = torch.Generator().manual_seed(seed)
    frequencies = torch.from_numpy((token_counts + 1) / (token_counts + 1).sum()).float()
    if masked_lm_head is not None:
        masked_lm_head.bias.copy_(frequencies.log().clamp(min=-14.0))
    _set_embeddings(encoder, layout, word_vectors, frequencies, special_ids)
    layers = [_HeadWeights.of(layer.attention) for layer in encoder.layers]
    for heads in layers:
        heads.value.normal_(0.0, _VALUE_STD, generator=generator)
        heads.output.normal_(0.0, _VALUE_STD, generator=generator)
    for number, heads in enumerate(layers[: len(_SHIFTS)]):
        shifted = set(range(encoder.config.num_attention_heads))
        if layout.topic_size:
            shifted -= {_HEAD_OF_A, _HEAD_OF_B}
            if number == 0:
                _init_segment_average(heads, _HEAD_OF_A, 1.0, layout.topic_a, layout)
                _init_segment_average(heads, _HEAD_OF_B, -1.0, layout.topic_b, layout)
            else:
                _init_topic_search(heads, _HEAD_OF_A, layout.topic_a, layout.verdict_a, layout)
                _init_topic_search(heads, _HEAD_OF_B, layout.topic_b, layout.verdict_b, layout)
        for head, shift in zip(sorted(shifted), _SHIFTS[number], strict=False):
            _init_local_head(heads, head, shift, layout, encoder.config.hidden_size)
    encoder.pooler.weight.normal_(0.0, _VALUE_STD, generator=generator)
    if layout.topic_size:
        encoder.pooler.weight[0].zero_()
        encoder.pooler.weight[0, layout.verdict_a] = 1.0
        encoder.pooler.weight[0, layout.verdict_b] = -1.0


@dataclass(frozen=True)
class _HeadWeights:
    """Views into an attention layer's weights: query, key, value [H, K, D], output [D, H, K]."""

    query: Tensor
    key: Tensor
    value: Tensor
    output: Tensor
    query_bias: Tensor

    @classmethod
    def of(cls, attention) -> "_HeadWeights":
        width = attention.output.weight.shape[0]
        inner = attention.query_key_value
        query, key, value = inner.weight.view(3, attention.heads, -1, width).unbind(0)
        output = attention.output.weight.view(width, attention.heads, -1)
        return cls(query, key, value, output, inner.bias.view(3, attention.heads, -1)[0])

    def clear(self, head: int, count: int, written: slice | int) -> None:
        """Make a head read nothing, with ``count`` values that alone are ``written``."""
        self.query[head].zero_()
        self.key[head].zero_()
        self.value[head, :count].zero_()
        self.output[:, head, :count] = 0.0
        self.output[written] = 0.0


def _set_embeddings(
    encoder: BertEncoder,
    layout: _Layout,
    word_vectors: np.ndarray,
    frequencies: Tensor,
    special_ids: np.ndarray,
) -> None:
    own = encoder.embeddings
    tables = (own.word, own.position, own.token_type)
    word, position, segment = (table.weight.zero_() for table in tables)
    word[:, layout.words] = torch.from_numpy(word_vectors) * _WORD_STD
    words_squared = word.square().sum(1).mean()
    unit = float((words_squared / (1 - _POSITION_SHARE) / word.shape[1]).sqrt())  # norm makes it 1
    rarity = -(frequencies + _RARITY_FLOOR).log()
    rarity -= (frequencies * rarity).sum()
    rarity[torch.from_numpy(special_ids)] = rarity.min()
    word[:, layout.rarity] = 0.5 * unit * rarity

    angles = torch.arange(len(position))[:, None] * layout.frequencies  # [positions, P / 2]
    share = _POSITION_SHARE / (1 - _POSITION_SHARE)
    amplitude = float((words_squared * share / angles.shape[1]).sqrt())
    waves = torch.stack([angles.sin(), angles.cos()], -1).flatten(1)  # sin and cos alternate
    position[:, layout.position] = amplitude * waves
    segment[0, layout.segment] = 1.5 * unit
    segment[1:, layout.segment] = -1.5 * unit


def _init_local_head(
    heads: _HeadWeights, head: int, shift: int, layout: _Layout, width: int
) -> None:
    """Make a head attend to the token ``shift`` positions later.

    With every wave of squared amplitude a after the norm, query · key is a times the sum over
    frequencies ω of cos(ω (j - i - shift)), which is greatest at j = i + shift.
    """
    angular = layout.frequencies
    amplitude_squared = width * _POSITION_SHARE / len(angular)
    head_width = heads.query.shape[1]
    scale = math.sqrt(_SHARPNESS * math.sqrt(head_width) / amplitude_squared)
    cos, sin = torch.cos(angular * shift), torch.sin(angular * shift)
    count = 2 * len(angular)
    even = torch.arange(0, count, 2)
    rotation = torch.zeros(count, count)
    rotation[even, even], rotation[even, even + 1] = cos, sin  # sin(ω(i+n)) of sin ωi, cos ωi
    rotation[even + 1, even], rotation[even + 1, even + 1] = -sin, cos
    heads.query[head] *= 0.5
    heads.key[head] *= 0.5
    heads.query[head, :count, layout.position] += scale * rotation
    heads.key[head, :count, layout.position] += scale * torch.eye(count)


def _init_segment_average(
    heads: _HeadWeights, head: int, sign: float, topic: slice, layout: _Layout
) -> None:
    """Make every token attend to the words of one segment, and write their mean to ``topic``."""
    count, words = layout.topic_size, layout.topic_words
    heads.clear(head, count, topic)
    heads.query_bias[head, 0] = 4.0
    heads.key[head, 0, layout.segment] = 4.0 * sign
    heads.key[head, 0, layout.rarity] = 2.0
    heads.value[head, :count, words] = torch.eye(count)
    heads.output[topic, head, :count] = 2.0 * torch.eye(count)


def _init_topic_search(
    heads: _HeadWeights, head: int, topic: slice, verdict: int, layout: _Layout
) -> None:
    """Make every token attend to words that resemble ``topic``, and write their segment."""
    count, words = layout.topic_size, layout.topic_words
    heads.clear(head, 1, verdict)
    heads.query[head, :count, topic] = 2.0 * torch.eye(count)
    heads.key[head, :count, words] = torch.eye(count)
    heads.query_bias[head, -1] = 4.0
    heads.key[head, -1, layout.rarity] = 2.0
    heads.value[head, 0, layout.segment] = 1.0
    heads.output[verdict, head, 0] = 2.0
