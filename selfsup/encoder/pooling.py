"""A text's vector as the mean of its tokens, in an ordinary BERT model.

Sentence encoders hold what they know in the mean over the tokens, and often in a layer below the
highest. BERT's own classifier reads ``[CLS]`` of the highest layer, through its pooler. So that the
result is still such a model, the layers above the one that is averaged are dropped, and one layer
is added whose heads attend to all tokens equally: its query and key weights are 0, its value
weights the identity. Its ``[CLS]`` is then the mean, up to a layer norm::

    a = norm(x + 2^12 · mean(x))  ≈  norm(mean(x)),      y = norm(a + 0)  =  a

The pooler becomes ``tanh(z / 8)``, nearly linear in the range of z: x standardised over the
training examples (``standardize``). A head on it can be trained on with dropout. Dropout of values
that are not centred would shift the scores of all examples alike.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError

# How much more the mean counts than the state of ``[CLS]`` itself, and the scale of the pooler's
# output before its tanh.
_MEAN_WEIGHT, _SCALE = 2.0**12, 2.0**-3
_SMALLEST_STD = 1e-6
_LAYER = re.compile(r"bert\.encoder\.layer\.(\d+)\.")


@dataclass(frozen=True)
class Pooling:
    """How the states of a text's tokens become one vector.

    Attributes:
        is_mean: the mean over the tokens; otherwise the state of ``[CLS]``.
        layer: whose states; those above it are dropped. None for the highest.
    """

    is_mean: bool
    layer: int | None = None

    @classmethod
    def parse(cls, value: str, layers: int) -> "Pooling":
        """``cls``, ``mean``, or ``mean-N`` of layer N of ``layers``, counted from 1.

        Raises:
            UserError: it is none of these.
        """
        layer = value.removeprefix("mean-")
        if layer != value and layer.isdecimal() and 1 <= int(layer) <= layers:
            return cls(True, int(layer))
        if value not in ("mean", "cls"):
            raise UserError(
                f"--pooling takes pooler, cls, mean, or mean-N with a layer N from 1 to {layers}, "
                f"not {value!r}"
            )
        return cls(value == "mean")

    def pool(self, states: Tensor, packing: Packing) -> Tensor:
        """The vectors that such an encoder's pooler reads: the layer's states [T, D] → [B, D]."""
        if not self.is_mean:
            return states.index_select(0, packing.first_rows).float()
        lengths = packing.cu_seqlens.diff().long()
        means = torch.segment_reduce(states.float(), "mean", lengths=lengths, axis=0)
        return F.layer_norm(means, means.shape[-1:])

    def __str__(self) -> str:
        name = "mean" if self.is_mean else "cls"
        return name if self.layer is None else f"{name}-{self.layer}"


def mean_poolings(layers: int, most: int) -> list[Pooling]:
    """The means of the highest ``most`` of the layers, from the highest down."""
    lower = range(layers - 1, max(0, layers - most), -1)
    return [Pooling(True), *(Pooling(True, layer) for layer in lower)]


def with_pooling(
    config: EncoderConfig, weights: Mapping[str, Tensor], pooling: Pooling
) -> tuple[EncoderConfig, dict[str, Tensor]]:
    """An encoder whose ``pooler_output`` is the pooled vector x, as ``tanh(x / 8)``.

    Args:
        config: its sizes.
        weights: under Hugging Face's names.
        pooling: of one of its layers.

    Returns:
        the sizes and the weights of the new one; weights that stay are not copied.
    """
    kept = pooling.layer or config.num_hidden_layers
    chosen = {
        name: value
        for name, value in weights.items()
        if (found := _LAYER.match(name)) is None or int(found[1]) < kept
    }
    if pooling.is_mean:
        chosen |= _averaging_layer(config, kept)
    width = config.hidden_size
    chosen["bert.pooler.dense.weight"] = _SCALE * torch.eye(width)
    chosen["bert.pooler.dense.bias"] = torch.zeros(width)
    return replace(config, num_hidden_layers=kept + pooling.is_mean), chosen


def _averaging_layer(config: EncoderConfig, number: int) -> dict[str, Tensor]:
    """The weights of the layer that averages, as layer ``number``, counted from 0."""
    width, inner = config.hidden_size, config.intermediate_size
    identity, zeros = torch.eye(width), torch.zeros(width, width)
    matrices = {
        "attention.self.query": zeros,
        "attention.self.key": zeros,
        "attention.self.value": identity,
        "attention.output.dense": _MEAN_WEIGHT * identity,
        "intermediate.dense": torch.zeros(inner, width),
        "output.dense": torch.zeros(width, inner),
    }
    weights: dict[str, Tensor] = {}
    for name, matrix in matrices.items():
        weights[f"{name}.weight"], weights[f"{name}.bias"] = matrix, torch.zeros(len(matrix))
    for norm in ("attention.output.LayerNorm", "output.LayerNorm"):
        weights[f"{norm}.weight"], weights[f"{norm}.bias"] = torch.ones(width), torch.zeros(width)
    return {f"bert.encoder.layer.{number}.{name}": value for name, value in weights.items()}


def standardize(pooler: nn.Linear, vectors: Tensor) -> None:
    """Make a pooler standardise: to ``tanh(z / 8)``, z of mean 0 and deviation 1 over ``vectors``.

    Args:
        pooler: one that ``with_pooling`` has made; changed in place.
        vectors: float32 [N, D], of the training examples.
    """
    std = vectors.std(0, correction=0)
    # A value that never changes carries nothing.
    scale = torch.where(std > _SMALLEST_STD, _SCALE / std, 0.0).to(pooler.weight.device)
    with torch.no_grad():
        pooler.weight.copy_(torch.diag(scale))
        pooler.bias.copy_(-scale * vectors.mean(0).to(scale.device))


def pooled_parts(encoder: nn.Module) -> tuple[str, ...]:
    """The names of the parts of an encoder that only pool, and must not learn; empty if none do.

    They are recognised by their values, so a model that was saved keeps its pooling.
    """
    pooler = getattr(encoder, "pooler", None)
    if not isinstance(pooler, nn.Linear) or not _is_diagonal(pooler.weight):
        return ()
    layers: Any = encoder.layers
    averages = layers[-1].attention.output.weight
    if _is_diagonal(averages) and bool((averages.diagonal() == _MEAN_WEIGHT).all()):
        return "pooler", f"layers.{len(layers) - 1}"
    return ("pooler",)


def _is_diagonal(weight: Tensor) -> bool:
    return len(weight) > 1 and bool(torch.equal(weight, torch.diag(weight.diagonal())))
