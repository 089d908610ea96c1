"""Cross-entropy of a linear layer's scores, without keeping the scores in float32.

Shapes: M labels, N rows (M, and filler), D width, V vocabulary.
"""

import torch
from torch import Tensor

_ROWS_AT_ONCE = 16


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
