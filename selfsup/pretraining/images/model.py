"""The model of pre-training on images, an encoder with a head for each objective, and its folder.

``transformers`` has no names for the heads. A folder holds them beside the encoder under names of
our own, ``inpainting.…`` and ``jigsaw.…``, which ``ViTModel`` ignores.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from selfsup.encoder.huggingface.config import config_of, read_vit_config
from selfsup.encoder.huggingface.folder import check_sizes, load_weights
from selfsup.encoder.huggingface.names import (
    NameTable,
    hugging_face_names,
    to_hugging_face,
    vit_names,
)
from selfsup.encoder.huggingface.vit_folder import read_vit_weights, save_vit, with_image_size
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.pretraining.images.batches import ImageBatch, ImageObjective, Puzzle
from selfsup.pretraining.images.inpainting import Inpainting
from selfsup.pretraining.images.jigsaw import Jigsaw

# In the order in which a model holds its heads, and in which losses are computed.
_OBJECTIVES: tuple[type[ImageObjective], ...] = (Inpainting, Jigsaw)
_ARCHITECTURE = "ViTModel"


def image_objectives(names: Sequence[str]) -> tuple[type[ImageObjective], ...]:
    """The objectives with these names."""
    return tuple(objective for objective in _OBJECTIVES if objective.name in names)


class ImagePretrainingModel(nn.Module):
    """An image encoder with a head for each objective."""

    def __init__(self, encoder: VitEncoder, objectives: Sequence[str]) -> None:
        """``objectives`` are names, some of ``IMAGE_OBJECTIVES``.

        Raises:
            UserError: an image is a single patch.
        """
        super().__init__()
        if encoder.config.patch_count < 2:
            size = encoder.config.image_size
            raise UserError(
                f"images of {size} pixels a side are one patch of {size}, of which nothing can be "
                f"hidden: take a --patch-size of at most {max(1, size // 2)}"
            )
        self.encoder = encoder
        self.heads = nn.ModuleDict(
            {each.name: each(encoder.config) for each in image_objectives(objectives)}
        )

    def forward(self, batch: ImageBatch) -> dict[str, tuple[Tensor, Tensor, int]]:
        """For each objective: mean loss, right predictions, number of predictions."""
        return {name: head.loss(self.encoder, puzzle) for name, head, puzzle in self._parts(batch)}

    def measure(self, batch: ImageBatch) -> dict[str, float | Tensor]:
        """The measurements of all objectives, each the mean over a batch."""
        return {
            key: mean
            for _, head, puzzle in self._parts(batch)
            for key, mean in head.measure(self.encoder, puzzle).items()
        }

    def training_flops(self, batch: ImageBatch) -> float:
        """Floating-point operations of the matrix products of one batch, forward and backward.

        Two for each weight and token forward, and twice that backward.
        """
        flops = 0.0
        for _, head, puzzle in self._parts(batch):
            flops += self._encoder_flops(puzzle.tokens_per_image) + head.forward_flops(puzzle)
        return 3 * flops * batch.image_count

    def _parts(self, batch: ImageBatch) -> list[tuple[str, ImageObjective, Puzzle]]:
        """Each head and what it works on, for the objectives that both model and batch have."""
        return [
            (name, head, batch.puzzles[name])  # type: ignore[misc]
            for name, head in self.heads.items()
            if name in batch.puzzles
        ]

    def _encoder_flops(self, patches: int) -> float:
        """Of one image, forward."""
        config, tokens = self.encoder.config, 1 + patches
        width = config.hidden_size
        in_layer = 4 * width * width + 2 * width * config.intermediate_size
        layer = in_layer * tokens + 2 * width * tokens**2
        return 2.0 * (config.patch_values * width * patches + config.num_hidden_layers * layer)


def load_image_pretraining(
    folder: str | Path,
    objectives: Sequence[str],
    seed: int = 0,
    image_size: int | None = None,
    dropout: float | None = None,
) -> tuple[ImagePretrainingModel, tuple[str, ...]]:
    """Load an encoder with the heads of some objectives, in evaluation mode; and what it lacks.

    Args:
        folder: a ViT model folder; it need not hold any of the heads. A head that does not fit,
            such as that of a jigsaw of fewer tiles, gets new weights.
        objectives: some of ``IMAGE_OBJECTIVES``.
        seed: for weights of heads that the folder lacks.
        image_size: side of the images that it will read, in pixels; the folder's if None.
        dropout: in the encoder; the folder's if None.

    Raises:
        UserError: the folder is damaged, holds a model of another kind, or its patches do not
            divide ``image_size``.
    """
    config, _ = read_vit_config(folder)
    config, weights = with_image_size(config, read_vit_weights(folder), image_size)
    if dropout is not None:
        config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    check_sizes(lambda: VitEncoder(config), weights, vit_names(), folder)
    model = ImagePretrainingModel(VitEncoder(config), objectives)
    weights = _drop_mismatched_heads(model, weights)
    missing = load_weights(model, weights, _names(model), config.initializer_range, seed, folder)
    return model.eval(), missing


def save_image_pretraining(
    folder: str | Path, model: ImagePretrainingModel, model_card: str
) -> None:
    """Write a model folder that ``transformers`` loads as a ``ViTModel``.

    Raises:
        UserError: the disk is full or cannot be written to.
    """
    state = to_hugging_face(model.named_parameters(), _names(model))
    save_vit(folder, state, config_of(model.encoder.config, _ARCHITECTURE), model_card)


def _names(model: ImagePretrainingModel) -> NameTable:
    heads: dict[str, tuple[str, ...]] = {}
    for name, _ in model.heads.named_parameters():
        module = re.sub(r"\.\d+\.", ".*.", name.rpartition(".")[0], count=1)
        heads["heads." + module] = (module,)
    return {**vit_names("encoder."), **heads}


def _drop_mismatched_heads(
    model: ImagePretrainingModel, weights: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Drop each head that has a weight of another shape than the model's."""
    table, mismatched = _names(model), set()
    for ours, parameter in model.heads.named_parameters():
        (theirs,) = hugging_face_names(f"heads.{ours}", table)
        if theirs in weights and weights[theirs].shape != parameter.shape:
            mismatched.add(ours.split(".")[0] + ".")
    return {
        name: tensor for name, tensor in weights.items() if not name.startswith(tuple(mismatched))
    }
