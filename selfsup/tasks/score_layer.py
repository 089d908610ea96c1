"""The last layer of a task's model."""

import torch
from torch import Tensor, nn


class ScoreLayer(nn.Linear):
    """A linear layer that computes in float32, under autocast too.

    bfloat16 holds eight binary digits: years near 2000 would come out in steps of 8, and scores of
    different labels as ties. The layer is so small that precision costs nothing.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (as nn.Linear names it)
        """[…, D] → float32 […, C]."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())
