"""The Vision Transformer (Dosovitskiy et al. 2020, §3.1), over any of an image's patches.

Shapes: B images, n patches given of each, N patches of a whole image, P numbers in a patch, D
width, T = B × (1 + n) tokens in all, F width of the feed-forward layer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.activations import ACTIVATIONS
from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.dropout import Dropout
from selfsup.encoder.packing import Packing, Queries
from selfsup.encoder.precision import compute_dtype
from selfsup.encoder.sine_positions import sine_positions
from selfsup.encoder.vit_config import VitConfig


class VitEncoder(nn.Module):
    """Patch embeddings, a stack of pre-norm Transformer layers, and a norm.

    It sees only the patches that it is given. An image token stands before them; its last state is
    the image's vector.
    """

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = VitEmbeddings(config)
        self.layers = nn.ModuleList(VitLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, patches: Tensor, places: Tensor | None) -> Tensor:
        """Encode patches: [B, 1 + n, D], the image token first, then a row for each patch.

        Args:
            patches: floats [B, n, P], as ``patchify`` makes them.
            places: int64 [B, n], where in the grid each patch stands, 0…N−1 row by row; [n] where
                all images have the same. None: patches get no position embedding, and permuting
                them permutes their states.
        """
        x, packing = self._embed(patches, places)
        for layer in self.layers:
            x = layer(x, packing)
        return self.norm(x).view(len(patches), -1, x.shape[1])

    def first_states(self, patches: Tensor, places: Tensor | None) -> Tensor:
        """The image token alone, [B, D]: row 0 of ``forward``, whose arguments these are.

        The last layer is not computed for the patches, but for their keys and values.
        """
        x, packing = self._embed(patches, places)
        *lower, highest = self.layers
        for layer in lower:
            x = layer(x, packing)
        return self.norm(highest(x, packing, Queries.first_tokens(packing)))

    def all_places(self) -> Tensor:
        """The places of a whole image's patches in their order, int64 [N]."""
        return torch.arange(self.config.patch_count, device=self.norm.weight.device)

    def _embed(self, patches: Tensor, places: Tensor | None) -> tuple[Tensor, Packing]:
        """The first layer's input [T, D], and where each image begins in it."""
        x = self.embeddings(patches, places)
        packing = Packing.of_equal_lengths(x.shape[0], x.shape[1], x.device)
        return x.flatten(0, 1), packing


class VitEmbeddings(nn.Module):
    """Patches projected to the width and given positions, an image token before them."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width, patch_size = config.hidden_size, config.patch_size
        # Only holds the weights, in Hugging Face's shape: patches are cut out before.
        self.projection = nn.Conv2d(config.num_channels, width, patch_size, patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        # Learned, from a start that already tells places apart (the image token's is 0, as in MAE).
        positions = torch.cat([torch.zeros(1, width), sine_positions(config.grid, width)])
        self.position_embeddings = nn.Parameter(positions[None])
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, patches: Tensor, places: Tensor | None) -> Tensor:
        """[B, n, P] → [B, 1 + n, D], in the precision that the layers compute in."""
        positions = self.position_embeddings[0]  # [1 + N, D]
        x = F.linear(patches, self.projection.weight.flatten(1), self.projection.bias)
        if places is not None:
            x = x + F.embedding(places, positions[1:])
        first = (self.cls_token + positions[0]).expand(len(x), -1, -1)
        dtype = compute_dtype(x)
        return self.dropout(torch.cat([first.to(dtype), x.to(dtype)], 1))

    @torch.no_grad()
    def take_pixels_from_minus_one(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Make of pixels from −1 to 1 what is made of those counted from ``mean`` in ``std``.

        That is a linear change of each colour, which the projection's weights take in.

        Args:
            mean, std: of red, green and blue from 0 to 1.
        """
        weight, bias = self.projection.weight, self.projection.bias
        assert bias is not None
        means, stds = (weight.new_tensor(values).view(1, -1, 1, 1) for values in (mean, std))
        bias += (weight * (0.5 - means) / stds).sum((1, 2, 3))
        weight *= 0.5 / stds


class VitLayer(nn.Module):
    """Attention, then a feed-forward network; a norm before each and a residual sum after."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.attention = SelfAttention(
            width, config.num_attention_heads, config.attention_probs_dropout_prob
        )
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.activation = ACTIVATIONS[config.hidden_act]
        self.output = nn.Linear(config.intermediate_size, width)
        self.dropout = Dropout(config.hidden_dropout_prob)

    def forward(self, x: Tensor, packing: Packing, queries: Queries | None = None) -> Tensor:
        """x [T, D] → [T, D], or [Q, D] of the Q tokens asked for alone."""
        attended = self.attention(self.attention_norm(x), packing, queries)
        if queries is not None:
            x = x.index_select(0, queries.rows)
        x = x + self.dropout(attended)
        inner = self.activation(self.intermediate(self.feed_forward_norm(x)))  # [T, F]
        return x + self.dropout(self.output(inner))
