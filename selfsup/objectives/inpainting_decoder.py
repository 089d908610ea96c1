"""The decoder of inpainting: missing patches look at the visible ones.

Shapes: B images, n visible patches, m missing patches, E width of the decoder, H heads.
"""

from torch import Tensor, nn

from selfsup.encoder.activations import ACTIVATIONS
from selfsup.encoder.attention import attend

_HEAD_WIDTH = 32


class InpaintingDecoder(nn.Module):
    """A stack of pre-norm layers that are computed for missing patches only.

    Missing patches attend to the visible ones and not to each other, as each is predicted by itself
    (Fu et al. 2024, "Rethinking Patch Dependence for Masked Autoencoders", §3). MAE's decoder
    computes every layer for all patches.
    """

    def __init__(self, width: int, depth: int, activation: str, layer_norm_eps: float) -> None:
        """``width`` is a multiple of 32; a head has 32."""
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

    @staticmethod
    def forward_flops(width: int, missing: int, visible: int) -> float:
        """Floating-point operations of the matrix products on one image."""
        in_layer = missing * (1 + 1 + 8) * width**2 + visible * 2 * width**2
        return 2.0 * (in_layer + 2 * missing * visible * width)
