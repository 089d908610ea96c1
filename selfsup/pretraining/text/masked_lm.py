"""Masked language modelling: predict the masked tokens (BERT §3.1, task 1).

Which tokens are masked, and how, is in ``masking``. The loss is a cross-entropy over the whole
vocabulary that never keeps its scores in float32.

Shapes: M labels, N rows (M, and padding after them), D width, E width of the embeddings (D, but for
ELECTRA), V vocabulary.
"""

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.encoder.families import text_family
from selfsup.encoder.family import TextFamily
from selfsup.encoder.huggingface.names import NameTable
from selfsup.encoder.layers import ACTIVATIONS, compute_dtype
from selfsup.encoder.packing import pad_rows
from selfsup.encoder.text import TextEncoder
from selfsup.pretraining.text.batches import TextBatch, TextObjective, TextStates
from selfsup.pretraining.text.masking import Masking
from selfsup.pretraining.text.sequences import Sequences, TextCorpus, token_counts

_ROWS_AT_ONCE = 16


class MaskedLM(TextObjective):
    """Dense, activation, norm, then a score for every token of the vocabulary.

    The output matrix is the word embedding itself.
    """

    name = "mlm"
    architecture = "ForMaskedLM"

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        config = encoder.config
        width = encoder.embeddings.word.embedding_dim
        head = text_family(config).masked_lm
        self.dense = nn.Linear(config.hidden_size, width, bias=head.has_biases)
        self.activation = ACTIVATIONS[head.activation(config)]
        self.norm = nn.LayerNorm(width, eps=config.layer_norm_eps, bias=head.has_biases)
        self.decoder_weight = encoder.embeddings.word.weight  # [V, E], shared with the encoder
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    @classmethod
    def weight_names(cls, family: TextFamily) -> NameTable:
        return family.masked_lm.names

    @staticmethod
    def labels(sequences: Sequences, masked: np.ndarray) -> np.ndarray:
        return masked

    def transform(self, hidden: Tensor) -> Tensor:
        """[M, D] → [M, E]."""
        return self.norm(self.activation(self.dense(hidden)))

    def forward(self, hidden: Tensor) -> Tensor:
        """[M, D] → scores [M, V]."""
        return nn.functional.linear(self.transform(hidden), self.decoder_weight, self.bias)

    def loss(self, states: TextStates, labels: Tensor) -> tuple[Tensor, Tensor, int]:
        """Mean loss in nats, number of right answers (int64 scalar), number of masked tokens.

        Scores are computed at masked tokens only.
        """
        hidden = self.transform(pad_rows(states.masked))
        # Autocast leaves norms in float32 on some devices; the large product need not be.
        hidden = hidden.to(compute_dtype(hidden))
        loss, right = linear_cross_entropy(hidden, self.decoder_weight, self.bias, labels)
        return loss, right, len(labels)

    def products(self, batch: TextBatch) -> int:
        """Multiplications of the transform and of the output matrix, at masked tokens."""
        return (self.dense.weight.numel() + self.decoder_weight.numel()) * len(batch.masked_rows)


def linear_cross_entropy(
    hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean of ``-log softmax(hidden @ weight.T + bias)[label]``.

    The scores are computed once in the precision of ``hidden`` and overwritten by their
    exponentials, from which the backward pass has the gradient by matrix products alone: with
    p = softmax(z), dL/dz = (p - onehot(label)) / M, so dL/dh = (p W - W[label]) / M and
    dL/dW = (pᵀ h - scatter(h)) / M, and p is never formed. On a CPU, log-softmax's own backward
    pass in float32 costs more than all of this (docs/log.md).

    Args:
        hidden: [N, D], float32 or bfloat16; rows after the M count for nothing.
        weight: [V, D], float32.
        bias: [V], float32.
        labels: int64 [M].

    Returns:
        the mean in nats, float32, and the number of rows in which no score is better than the
        label's, int64; both scalars. With no rows, both are zero.
    """
    if len(labels) == 0:
        return (hidden.sum() + bias.sum()) * 0.0, labels.new_zeros(())
    return _LinearCrossEntropy.apply(hidden, weight, bias, labels)  # type: ignore[return-value]


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, bias: Tensor, labels: Tensor):
        device = hidden.device.type
        with torch.autocast(device, enabled=False):
            weight = weight.to(hidden.dtype)
            scores = torch.addmm(bias.to(hidden.dtype), hidden, weight.t())  # [N, V]
            of_label = scores[: len(labels)].gather(1, labels[:, None]).float()  # [M, 1]
            best = scores.amax(-1, keepdim=True)  # [N, 1]
            exponentials = scores.sub_(best).exp_()
            # In parts, since on a CPU torch first copies all that it sums in another precision.
            parts = exponentials.split(_ROWS_AT_ONCE if device == "cpu" else len(exponentials))
            total = torch.cat([part.sum(-1, keepdim=True, dtype=torch.float32) for part in parts])
            best = best[: len(labels)].float()
            losses = total[: len(labels)].log() + best - of_label
            right = (of_label == best).sum()
        ctx.save_for_backward(exponentials, total, hidden, weight, labels)
        ctx.mark_non_differentiable(right)
        return losses.mean(), right

    @staticmethod
    def backward(ctx, gradient: Tensor, _right):  # type: ignore[override]
        exponentials, total, hidden, weight, labels = ctx.saved_tensors
        with torch.autocast(hidden.device.type, enabled=False):
            count = len(labels)
            each = gradient / count
            share = each / total  # [N, 1]: p · each = exponentials · share
            share[count:] = 0
            d_hidden = (exponentials @ weight).float() * share
            d_hidden[:count] -= weight.index_select(0, labels).float() * each
            scaled = (hidden.float() * share).to(hidden.dtype)
            d_weight = (exponentials.t() @ scaled).float()
            d_weight.index_add_(0, labels, hidden[:count].float() * -each)
            d_bias = (exponentials.t() @ share.to(hidden.dtype)).float().squeeze(1)
            d_bias.index_add_(0, labels, (-each).expand(count))
        return d_hidden.to(hidden.dtype), d_weight, d_bias, None


def unigram_loss(
    corpus: TextCorpus, train: np.ndarray, held_out: np.ndarray, masking: Masking
) -> float:
    """Loss of guessing each held-out token by the training documents' frequencies, nats a token.

    Special tokens, ``[UNK]`` among them, are left out: they are never masked.
    """
    is_text = np.isin(np.arange(masking.vocab_size), masking.special.ids(), invert=True)
    train_counts = token_counts(corpus, train, masking.vocab_size)[is_text] + 1
    counts = token_counts(corpus, held_out, masking.vocab_size)[is_text]
    log_frequencies = np.log(train_counts / train_counts.sum())
    return float(-(counts * log_frequencies).sum() / max(1, counts.sum()))
