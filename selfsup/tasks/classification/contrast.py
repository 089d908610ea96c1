"""Supervised contrast: texts of one label come together, those of different labels apart.

The loss of Khosla et al. 2020, "Supervised Contrastive Learning", equation 2, beside the task's
own. From few labels it teaches more than the labels alone: every pair of texts is an example.

Shapes: B texts, D width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 0.1


def supervised_contrast(vectors: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of the texts whose label some other text has; 0 if there are none.

    Args:
        vectors: [B, D]; their length does not count.
        labels: int64 [B].
    """
    unit = F.normalize(vectors.float(), dim=-1)
    similarity = unit @ unit.T / TEMPERATURE  # [B, B]
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    # Not minus infinity: a text alone in its batch would have a gradient of NaN.
    log_share = similarity - similarity.masked_fill(itself, -1e4).logsumexp(1, keepdim=True)
    alike = (labels[:, None] == labels) & ~itself
    counts = alike.sum(1)
    losses = -(log_share * alike).sum(1) / counts.clamp(min=1)
    return losses.sum() / (counts > 0).sum().clamp(min=1)
