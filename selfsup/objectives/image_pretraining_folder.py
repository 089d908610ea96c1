"""Image models before any task, encoder and heads, in Hugging Face's model folders.

``transformers`` has no names for the heads. They lie beside the encoder under names of our own,
``inpainting.…`` and ``jigsaw.…``, which ``ViTModel`` leaves out.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from selfsup.encoder.hugging_face_names import NameTable, hugging_face_names, to_hugging_face
from selfsup.encoder.model_folder import LoadReport, load_weights
from selfsup.encoder.vit import VitEncoder
from selfsup.encoder.vit_config_file import read_vit_config, vit_config_of
from selfsup.encoder.vit_folder import read_vit_weights, save_vit, with_image_size
from selfsup.encoder.vit_names import vit_names
from selfsup.objectives.image_objective import ImagePreTraining

_ARCHITECTURE = "ViTModel"


def load_image_pretraining(
    folder: str | Path,
    objectives: Sequence[str],
    seed: int = 0,
    image_size: int | None = None,
    dropout: float | None = None,
) -> tuple[ImagePreTraining, LoadReport]:
    """Load an encoder with the heads of some objectives, in evaluation mode.

    Args:
        folder: a ViT model folder; it need not hold any of the heads. One that does not fit, such
            as that of a jigsaw of fewer tiles, is drawn anew.
        objectives: some of ``IMAGE_OBJECTIVES``.
        seed: for weights of heads that the folder lacks.
        image_size: side of the images it is to see, in pixels; None: as the folder has it.
        dropout: in the encoder; None: as the folder has it.

    Raises:
        UserError: the folder is damaged, its model is none that we have, or its patches do not
            divide ``image_size``.
    """
    config, _ = read_vit_config(folder)
    config, weights = with_image_size(config, read_vit_weights(folder), image_size)
    if dropout is not None:
        config = replace(config, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    model = ImagePreTraining(VitEncoder(config), objectives)
    weights = _without_unfit_heads(model, weights)
    report = load_weights(model, weights, _names(model), config.initializer_range, seed, folder)
    return model.eval(), report


def save_image_pretraining(folder: str | Path, model: ImagePreTraining, model_card: str) -> None:
    """Write a model folder that ``transformers`` loads as a ``ViTModel``.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    state = to_hugging_face(model.named_parameters(), _names(model))
    save_vit(folder, state, vit_config_of(model.encoder.config, _ARCHITECTURE), model_card)


def _names(model: ImagePreTraining) -> NameTable:
    heads: dict[str, tuple[str, ...]] = {}
    for name, _ in model.heads.named_parameters():
        module = re.sub(r"\.\d+\.", ".*.", name.rpartition(".")[0], count=1)
        heads["heads." + module] = (module,)
    return {**vit_names("encoder."), **heads}


def _without_unfit_heads(model: ImagePreTraining, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out all of a head of which a weight has another shape than the model's."""
    table = _names(model)
    unfit = tuple(
        f"{name}." for name, head in model.heads.items() if not _fits(name, head, weights, table)
    )
    return {name: tensor for name, tensor in weights.items() if not name.startswith(unfit)}


def _fits(name: str, head: nn.Module, weights: dict[str, Tensor], table: NameTable) -> bool:
    for ours, parameter in head.named_parameters():
        (theirs,) = hugging_face_names(f"heads.{name}.{ours}", table)
        if theirs in weights and weights[theirs].shape != parameter.shape:
            return False
    return True
