"""Inpainting: mask most patches of an image, predict their pixels (MAE: He et al. 2021, §3).

The encoder reads the visible patches only. The decoder computes the missing patches only: each
attends to the visible ones.

Shapes: B images, S side of an image, p side of a patch, N patches of an image, of which n are
visible, m of the N - n missing ones to be predicted, P = 3p² numbers in a patch, D width of the
encoder, E of the decoder, H heads of the decoder.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.counter_random import hash64
from selfsup.encoder.attention import attend
from selfsup.encoder.config import VitConfig
from selfsup.encoder.layers import ACTIVATIONS
from selfsup.encoder.vit import VitEncoder, cut_windows, sine_positions, to_floats
from selfsup.pretraining.images.batches import Crop, ImageData, ImageObjective, Puzzle

_ORDER = 0x494E5041494E54
_VARIANCE_EPS = 1e-6  # as in MAE's released code
_DECODER_DEPTH, _LEAST_DECODER_WIDTH, _HEAD_WIDTH = 2, 128, 32


@dataclass(frozen=True)
class MaskedPatches(Puzzle):
    """Images taken apart into what the encoder reads and what is to be predicted.

    Attributes:
        visible: uint8 [B, n, P].
        visible_positions: int64 [B, n], positions in the grid, row by row from 0.
        missing: uint8 [B, m, P], those to be predicted.
        missing_positions: int64 [B, m].
    """

    visible: Tensor
    visible_positions: Tensor
    missing: Tensor
    missing_positions: Tensor

    @property
    def tokens_per_image(self) -> int:
        """n."""
        return self.visible_positions.shape[1]

    @property
    def predictions(self) -> int:
        """B · m."""
        return self.missing_positions.numel()

    def reconstruct(self, missing: Tensor) -> Tensor:
        """Whole images, as patches in their order: [B, N, P] of the type of ``missing``.

        ``missing`` [B, m, P] is filled in for the missing patches, with pixels from 0 to 1 if it
        is floats, from 0 to 255 if it is uint8. No patch may have been left out: m = N - n.
        """
        visible = self.visible
        if missing.is_floating_point():
            visible = visible.to(missing.dtype) / 255
        positions = torch.cat([self.visible_positions, self.missing_positions], 1)  # [B, N]
        patches = torch.cat([visible, missing], 1)
        return torch.empty_like(patches).scatter_(
            1, positions[..., None].expand_as(patches), patches
        )

    def mean_colour(self) -> Tensor:
        """A patch of the visible patches' mean colour, from 0 to 1, float32 [B, 1, P]."""
        images, visible, values = self.visible.shape
        by_channel = self.visible.view(images, visible, 3, values // 3).float() / 255
        colour = by_channel.mean((1, 3))  # [B, 3]
        return colour.repeat_interleave(values // 3, 1)[:, None]


def choose_visible(
    examples: np.ndarray, patch_count: int, mask_ratio: float, seed: int, epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose which patches stay visible and which are masked; all choices are equally likely.

    About N × ratio of the ``patch_count`` N are masked, at least 1 and at most N - 1.

    Returns:
        The visible positions, int64 [B, n], and the missing ones, int64 [B, m].
    """
    streams = hash64(seed, epoch, _ORDER, examples)[:, None]
    order = np.argsort(hash64(np.arange(patch_count), after=streams), axis=1, kind="stable")
    visible = max(1, patch_count - max(1, round(patch_count * mask_ratio)))
    return order[:, :visible], order[:, visible:]


def mask_patches(
    images: np.ndarray,
    examples: np.ndarray,
    patch_size: int,
    mask_ratio: float,
    seed: int,
    epoch: int,
    predicted_share: float = 1.0,
) -> MaskedPatches:
    """Take images apart: uint8 [B, S, S, 3], where S is a multiple of ``patch_size``.

    Of the missing patches a random choice is to be predicted, about ``predicted_share`` of them,
    at least one patch of each image.
    """
    patch_count = (images.shape[1] // patch_size) ** 2
    visible, missing = choose_visible(examples, patch_count, mask_ratio, seed, epoch)
    missing = missing[:, : max(1, round(missing.shape[1] * predicted_share))]
    return MaskedPatches(
        torch.from_numpy(cut_windows(images, visible, patch_size, patch_size)),
        torch.from_numpy(visible),
        torch.from_numpy(cut_windows(images, missing, patch_size, patch_size)),
        torch.from_numpy(missing),
    )


class Inpainting(ImageObjective):
    """Predicts each missing patch: its values normalised, its mean and its standard deviation.

    Every missing patch is predicted from the encoder's image token too, so that this token learns
    to sum up the image. The loss is over missing patches only.
    """

    name = "inpainting"
    positions: Tensor

    def __init__(
        self, config: VitConfig, width: int | None = None, depth: int = _DECODER_DEPTH
    ) -> None:
        """A head for an encoder of these sizes.

        Args:
            width: E, a multiple of 32; half of D but at least 128 if None.
            depth: the decoder's layers.
        """
        super().__init__()
        if width is None:
            width = max(_LEAST_DECODER_WIDTH, config.hidden_size // 64 * 32)
        self.visible = nn.Linear(config.hidden_size, width)
        self.image = nn.Linear(config.hidden_size, width)  # its bias is MAE's mask token
        self.register_buffer("positions", sine_positions(config.grid, width), persistent=False)
        self.decoder = InpaintingDecoder(width, depth, config.hidden_act, config.layer_norm_eps)
        self.values = nn.Linear(width, config.patch_values)
        self.level = nn.Linear(width, 2)

    @staticmethod
    def puzzle(
        crop: Crop, examples: np.ndarray, data: ImageData, share: float, seed: int, epoch: int
    ) -> MaskedPatches:
        images, patch_size = crop(data.config.image_size), data.config.patch_size
        return mask_patches(images, examples, patch_size, data.mask_ratio, seed, epoch, share)

    def forward(
        self, states: Tensor, visible_positions: Tensor, missing_positions: Tensor
    ) -> "PredictedPatches":
        """Predict missing patches.

        Args:
            states: [B, 1 + n, D], of the image token and the visible patches.
            visible_positions: int64 [B, n].
            missing_positions: int64 [B, m].
        """
        image = self.image(states[:, :1])  # [B, 1, E]
        positions = self.positions.to(image.dtype)
        visible = self.visible(states[:, 1:]) + F.embedding(visible_positions, positions)
        missing = image + F.embedding(missing_positions, positions)
        decoded = self.decoder(missing, visible)
        return PredictedPatches(self.values(decoded).float(), self.level(decoded).float())

    def predict(self, encoder: VitEncoder, masked: MaskedPatches) -> "PredictedPatches":
        """Predict missing patches from the visible ones; the missing ones are not read."""
        states = encoder(to_floats(masked.visible), masked.visible_positions)
        return self(states, masked.visible_positions, masked.missing_positions)

    def loss(self, encoder: VitEncoder, puzzle: MaskedPatches) -> tuple[Tensor, Tensor, int]:
        """Mean loss, 0 (int64 scalar: nothing is right or wrong), number of missing patches."""
        loss = self.predict(encoder, puzzle).loss(puzzle.missing)
        none_right = torch.zeros((), dtype=torch.int64, device=loss.device)
        return loss, none_right, puzzle.predictions

    def measure(self, encoder: VitEncoder, puzzle: MaskedPatches) -> dict[str, float | Tensor]:
        """The loss; the squared error of the pixels, from 0 to 1, and that of the mean colour."""
        predicted = self.predict(encoder, puzzle)
        truth = puzzle.missing.float() / 255
        return {
            "inpainting_loss": predicted.loss(puzzle.missing),
            "inpainting_pixel_error": (predicted.pixels() - truth).square().mean(),
            "mean_colour_error": (puzzle.mean_colour() - truth).square().mean(),
        }

    def forward_flops(self, puzzle: MaskedPatches) -> float:
        """Floating-point operations of the matrix products on one image."""
        visible, missing = puzzle.tokens_per_image, puzzle.missing_positions.shape[1]
        width, encoder_width = self.visible.weight.shape
        embedding = (1 + visible) * encoder_width * width
        output = missing * width * (len(self.values.weight) + 2)
        layer = (1 + 1 + 8) * missing * width**2 + 2 * visible * width**2
        layer += 2 * missing * visible * width
        return 2.0 * (embedding + output + len(self.decoder.layers) * layer)


class PredictedPatches(NamedTuple):
    """What the head predicts for missing patches, with pixels from -1 to 1.

    Attributes:
        values: float32 [B, m, P], normalised.
        level: float32 [B, m, 2], mean and standard deviation.
    """

    values: Tensor
    level: Tensor

    def loss(self, missing: Tensor) -> Tensor:
        """The squared error of the normalised values, of the means, and of the deviations.

        The sum of three means over patches (MAE §3, "reconstruction target", has the first).

        Args:
            missing: the true patches, uint8 [B, m, P].
        """
        values, level = normalised(to_floats(missing))
        return F.mse_loss(self.values, values) + 2 * F.mse_loss(self.level, level)

    def pixels(self) -> Tensor:
        """The patches' pixels, from 0 to 1, float32 [B, m, P]."""
        mean, deviation = self.level.split(1, -1)
        return ((mean + deviation.clamp(min=0) * self.values + 1) / 2).clamp(0, 1)


def normalised(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Patches [B, m, P] minus their means and divided by their deviations, and both [B, m, 2]."""
    # A layer norm is one pass over the patches, var_mean and a division are several. A layer norm
    # divides by P where a sample's variance divides by P - 1; the factors correct for that.
    count = patches.shape[-1]
    ratio = (count - 1) / count
    weight = patches.new_full((count,), math.sqrt(ratio))
    values, mean, inverse = torch.native_layer_norm(
        patches, [count], weight, None, _VARIANCE_EPS * ratio
    )
    return values, torch.cat([mean, (inverse * math.sqrt(ratio)).reciprocal()], -1)


class InpaintingDecoder(nn.Module):
    """A stack of pre-norm layers, for missing patches only.

    Missing patches attend to the visible ones and not to each other: each is predicted on its own
    (Fu et al. 2024, "Rethinking Patch Dependence for Masked Autoencoders", §3). MAE's decoder
    computes every layer for all patches.
    """

    def __init__(self, width: int, depth: int, activation: str, layer_norm_eps: float) -> None:
        """``width`` is a multiple of 32, the width of a head."""
        super().__init__()
        self.visible_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.layers = nn.ModuleList(
            DecoderLayer(width, activation, layer_norm_eps) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=layer_norm_eps)

    def forward(self, missing: Tensor, visible: Tensor) -> Tensor:
        """missing [B, m, E], visible [B, n, E] → [B, m, E]."""
        visible = self.visible_norm(visible)
        for layer in self.layers:
            missing = layer(missing, visible)
        return self.norm(missing)


class DecoderLayer(nn.Module):
    """Attention to the visible patches, then a feed-forward network, on the missing ones."""

    def __init__(self, width: int, activation: str, layer_norm_eps: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.attention_output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=layer_norm_eps)
        self.intermediate = nn.Linear(width, 4 * width)
        self.activation = ACTIVATIONS[activation]
        self.output = nn.Linear(4 * width, width)

    def forward(self, missing: Tensor, visible: Tensor) -> Tensor:
        """missing [B, m, E], visible (normalised) [B, n, E] → [B, m, E]."""
        batch, _, width = missing.shape
        heads = width // _HEAD_WIDTH
        query = self.query(self.attention_norm(missing))
        q = query.view(batch, -1, heads, _HEAD_WIDTH).transpose(1, 2)  # [B, H, m, 32]
        key_value = self.key_value(visible).view(batch, -1, 2, heads, _HEAD_WIDTH)
        k, v = key_value.permute(2, 0, 3, 1, 4)  # [B, H, n, 32] each
        attended = attend(q, k, v).transpose(1, 2).flatten(2)
        missing = missing + self.attention_output(attended)
        inner = self.activation(self.intermediate(self.feed_forward_norm(missing)))
        return missing + self.output(inner)
