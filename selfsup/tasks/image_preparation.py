"""What makes images ready for a model: their size, and what stands for black and for white.

Shapes: B images, S side of an image, N patches of it, P numbers in a patch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from selfsup.encoder.patches import patchify
from selfsup.encoder.vit_folder import HALF


@dataclass(frozen=True)
class ImagePreparation:
    """How images become patches; all but ``mirror`` is saved with the model.

    Attributes:
        image_size: S, in pixels.
        patch_size: side of a patch, in pixels.
        mean, std: of red, green and blue from 0 to 1; what they are counted from and in.
        mirror: whether half of the images to learn from are mirrored.
    """

    image_size: int
    patch_size: int
    mean: tuple[float, ...] = HALF
    std: tuple[float, ...] = HALF
    mirror: bool = True

    @property
    def patch_count(self) -> int:
        """N."""
        return (self.image_size // self.patch_size) ** 2

    def settings(self) -> dict[str, Any]:
        """What of it are settings of fine-tuning, by their names."""
        return {"image_size": self.image_size, "patch_size": self.patch_size}

    def patches(self, pixels: np.ndarray, device: torch.device) -> Tensor:
        """Square images as the encoder takes them: uint8 [B, S, S, 3] → float32 [B, N, P]."""
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        patches = patchify(images, self.patch_size).float()
        # A patch is all of its red, then its green, then its blue.
        colours = patches.unflatten(-1, (3, -1))
        mean = 255 * torch.tensor(self.mean, device=device)[:, None]
        std = 255 * torch.tensor(self.std, device=device)[:, None]
        return ((colours - mean) / std).flatten(-2)
