"""Pre-training on images: batches with something hidden, and the model that predicts it.

Adding an objective is one new file with what it hides and its head, a part of ``ImageBatch``, and a
line in each of ``build_image_batch``, ``ImagePreTraining.forward`` and ``build_image_heads``.
"""

import os
import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from selfsup.counter_random import permutation
from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.config import read_vit_config, vit_config_of
from selfsup.encoder.huggingface.folder import LoadReport, load_weights
from selfsup.encoder.huggingface.names import (
    NameTable,
    hugging_face_names,
    to_hugging_face,
    vit_names,
)
from selfsup.encoder.huggingface.vit_folder import read_vit_weights, save_vit, with_image_size
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.images.crops import StoredImages, random_crops
from selfsup.pretraining.images.batch import ImageBatch, build_image_batch
from selfsup.pretraining.images.inpainting import DECODER_DEPTH, PREDICTED_SHARE, InpaintingHead
from selfsup.pretraining.images.jigsaw import JigsawHead

IMAGE_OBJECTIVES = ("inpainting", "jigsaw")
SMALLEST_AREA = 0.2  # of an image that a crop shows; MAE, appendix A.1
_ORDER = 0x494D4F52444552


class ImageBatches:
    """The batches of a run, each a function of (seed, step).

    Every epoch has as many whole batches as there are images for, in an order of its own; the
    images that are left over are left out, others in each epoch. The batch after the last one
    asked for is made in a thread.

    Attributes:
        epoch: the epoch of the step last asked for, -1 before the first.
        end_step: the first step after that epoch.
    """

    def __init__(
        self,
        images: StoredImages,
        numbers: np.ndarray,
        objectives: Sequence[str],
        config: VitConfig,
        mask_ratio: float,
        batch_size: int,
        seed: int,
        *,
        predicted_share: float = PREDICTED_SHARE,
        mirror: bool = True,
        threads: int | None = None,
    ) -> None:
        """Batches of some images.

        Args:
            images: by their number, uint8 [H, W, 3] of any size.
            numbers: int64, those to train on; with fewer than ``batch_size`` all are one batch.
            objectives: some of ``IMAGE_OBJECTIVES``.
            config: sizes of the encoder's images and patches.
            mask_ratio: the share of patches that inpainting hides.
            predicted_share: how much of what is hidden inpainting predicts in a step.
            mirror: whether half of the crops are mirrored.
            threads: in which images are scaled; without it half as many as there are cores.
        """
        self._images, self._numbers, self._objectives = images, numbers, tuple(objectives)
        self._config, self._mask_ratio = config, mask_ratio
        self._batch_size, self._seed = batch_size, seed
        self._predicted_share, self._mirror = predicted_share, mirror
        self._steps_of_epoch = max(1, len(numbers) // batch_size)
        self._order = (-1, numbers)  # an epoch, and the images' numbers in its order
        threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._scalers = ThreadPoolExecutor(threads, "scaling") if threads > 1 else None
        self._builder = ThreadPoolExecutor(1, "batches")
        self._ahead: tuple[int, Future[ImageBatch]] | None = None
        self.epoch = -1
        self.end_step = 0

    def __getitem__(self, step: int) -> ImageBatch:
        """The batch of a step, counted from 0."""
        if self._ahead is not None and self._ahead[0] == step:
            batch = self._ahead[1].result()
        else:
            batch = self._build(step)
        self._ahead = (step + 1, self._builder.submit(self._build, step + 1))
        self.epoch = step // self._steps_of_epoch
        self.end_step = (self.epoch + 1) * self._steps_of_epoch
        return batch

    def _build(self, step: int) -> ImageBatch:
        epoch, place = divmod(step, self._steps_of_epoch)
        first = place * self._batch_size
        examples = self._order_of(epoch)[first : first + self._batch_size]
        return build_image_batch(
            lambda side: random_crops(
                self._images,
                examples,
                self._seed,
                epoch,
                side=side,
                smallest_area=SMALLEST_AREA,
                mirror=self._mirror,
                threads=self._scalers,
            ),
            examples,
            self._objectives,
            self._config,
            self._mask_ratio,
            self._seed,
            epoch,
            self._predicted_share,
        )

    def _order_of(self, epoch: int) -> np.ndarray:
        # Read and replaced as one value: two threads may come here.
        known, order = self._order
        if known != epoch:
            order = self._numbers[permutation(len(self._numbers), self._seed, epoch, _ORDER)]
            self._order = (epoch, order)
        return order


class ImagePreTraining(nn.Module):
    """An image encoder with a head for each objective."""

    def __init__(
        self,
        encoder: VitEncoder,
        objectives: Sequence[str],
        *,
        decoder_width: int | None = None,
        decoder_depth: int = DECODER_DEPTH,
    ) -> None:
        """Heads for some of ``IMAGE_OBJECTIVES``; see ``InpaintingHead`` and ``JigsawHead``.

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
        self.heads = build_image_heads(encoder.config, objectives, decoder_width, decoder_depth)

    @property
    def inpainting(self) -> InpaintingHead | None:
        """The head that predicts missing patches, if that is learnt."""
        return dict(self.heads.items()).get("inpainting")  # type: ignore[return-value]

    @property
    def jigsaw(self) -> JigsawHead | None:
        """The head that tells tiles' places, if that is learnt."""
        return dict(self.heads.items()).get("jigsaw")  # type: ignore[return-value]

    def forward(self, batch: ImageBatch) -> dict[str, tuple[Tensor, Tensor, int]]:
        """For each objective: mean loss, right predictions, number of predictions."""
        losses = {}
        if self.inpainting is not None and batch.hidden is not None:
            losses["inpainting"] = self.inpainting.loss(self.encoder, batch.hidden)
        if self.jigsaw is not None and batch.shuffled is not None:
            losses["jigsaw"] = self.jigsaw.loss(self.encoder, batch.shuffled)
        return losses

    def training_flops(self, batch: ImageBatch) -> float:
        """Floating-point operations of the matrix products of one batch, forward and backward.

        Two for each weight and token forward, twice that backward.
        """
        flops = 0.0
        if self.inpainting is not None and batch.hidden is not None:
            visible = batch.hidden.visible_places.shape[1]
            missing = batch.hidden.missing_places.shape[1]
            flops += self._encoder_flops(visible) + self.inpainting.forward_flops(visible, missing)
        if self.jigsaw is not None and batch.shuffled is not None:
            tiles = batch.shuffled.places.shape[1]
            flops += self._encoder_flops(tiles) + self.jigsaw.forward_flops(tiles)
        return 3 * flops * batch.image_count

    def _encoder_flops(self, patches: int) -> float:
        """Of one image, forward."""
        config, tokens = self.encoder.config, 1 + patches
        width = config.hidden_size
        in_layer = 4 * width * width + 2 * width * config.intermediate_size
        layer = in_layer * tokens + 2 * width * tokens**2
        return 2.0 * (config.patch_values * width * patches + config.num_hidden_layers * layer)


def build_image_heads(
    config: VitConfig,
    objectives: Sequence[str],
    decoder_width: int | None,
    decoder_depth: int,
) -> nn.ModuleDict:
    """The heads of the objectives, by name."""
    heads: dict[str, nn.Module] = {}
    if "inpainting" in objectives:
        heads["inpainting"] = InpaintingHead(config, decoder_width, decoder_depth)
    if "jigsaw" in objectives:
        heads["jigsaw"] = JigsawHead(config)
    return nn.ModuleDict(heads)


# Image models before any task, encoder and heads, in Hugging Face's model folders.
#
# ``transformers`` has no names for the heads. They lie beside the encoder under names of our own,
# ``inpainting.…`` and ``jigsaw.…``, which ``ViTModel`` leaves out.


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
