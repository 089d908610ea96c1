"""Image classification: a folder for each class, one class for each image (ViT, §3.1).

Shapes: N images in all, B of them in a batch, D width, C labels.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.names import NameTable, vit_names
from selfsup.encoder.huggingface.vit_folder import ImagePreparation
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.tasks.base import CardExample, Prediction, Reading
from selfsup.tasks.classification.label_names import in_order, label_number
from selfsup.tasks.classification.label_notes import alike_notes
from selfsup.tasks.classification.metrics import LabellingTask, as_named
from selfsup.tasks.encoders import IMAGE_ENCODERS
from selfsup.tasks.image_classification.data import (
    LabelledImages,
    images_from_paths,
    read_images,
)
from selfsup.tasks.image_classification.encoding import (
    EncodedImages,
    LabelledImageBatch,
    small_squares,
)
from selfsup.tasks.labels import LabelKind, Labels, unknown_label
from selfsup.tasks.models import (
    HeadOnFeatures,
    LinearTargets,
    Losses,
    ScoreLayer,
    TaskModule,
    cross_entropy_loss,
)
from selfsup.tasks.notes import absence_notes, balance_notes, counted
from selfsup.tasks.plain_inputs import PlainInputs
from selfsup.tasks.text_windows import IGNORE_INDEX

# The smallest standard deviation, so that features that hardly vary are not amplified.
_MIN_STD = 1e-6
# The side in pixels of what a model without an encoder sees of an image.
_PLAIN_SIDE = 16


class ImageClassification(LabellingTask[LabelledImages, EncodedImages]):
    """Classification of images."""

    name = "image-classification"
    architecture = "ForImageClassification"
    family = IMAGE_ENCODERS
    label_kinds: tuple[LabelKind, ...] = ("class",)
    pipeline = "image-classification"

    def read_examples(self, file: str, reading: Reading, *, labelled: bool) -> LabelledImages:
        return read_images(file, labelled=labelled, max_bad_fraction=reading.max_bad_fraction)

    def read_blocks(
        self, file: str, reading: Reading, tell: Callable[[str], None], size: int
    ) -> Iterator[LabelledImages]:
        """Only the paths are read at once; the pixels are read when the model needs them."""
        images = self.read_examples(file, reading, labelled=False)
        for note in images.notes:
            tell(note)
        for first in range(0, len(images), size):
            part = slice(first, first + size)
            yield replace(images, files=images.files[part], digests=images.digests[part], notes=())

    def examples_of(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None, first: int = 1
    ) -> LabelledImages:
        self.refuse_pairs(text_pairs, "image")
        return images_from_paths(texts)

    def learn_labels(self, examples: LabelledImages, label_type: LabelKind | None) -> Labels:
        counts = Counter(examples.labels)
        if len(counts) < 2:
            raise UserError(
                f"{examples.source}: images of one class only ({next(iter(counts))}) can be read: "
                "it must hold a folder for each of two or more classes"
            )
        return Labels("class", in_order(counts))

    def names_of(self, examples: LabelledImages, labels: Labels) -> list[tuple[str, ...]]:
        return [(label,) for label in examples.labels or []]

    def reading_notes(
        self, train: LabelledImages, validation: LabelledImages, labels: Labels
    ) -> list[str]:
        counts = Counter(train.labels)
        notes = alike_notes(train.source, counts)
        notes += balance_notes(train.source, counts, len(train))
        notes += absence_notes(validation.source, labels.names, validation.labels or [])
        known = set(train.digests)
        if copies := len(train) - len(known):
            notes.append(
                f"{train.source}: {copies:,} of {len(train):,} images are copies of others"
            )
        if contradictory := _in_two_classes(train):
            notes.append(
                f"{train.source}: {counted(contradictory, 'image is', 'images are')} also in the "
                "folder of another class"
            )
        in_both = [index for index, digest in enumerate(validation.digests) if digest in known]
        if in_both:
            notes.append(
                f"{validation.source}: {len(in_both):,} of {len(validation):,} images are also in "
                f"{train.source} (the first is {validation.files[in_both[0]]}): the metrics "
                "flatter the model; take them out of one"
            )
        return notes

    def encode_examples(
        self, examples: LabelledImages, labels: Labels, preparation: ImagePreparation
    ) -> EncodedImages:
        numbers = np.full(len(examples), IGNORE_INDEX)
        for index, label in enumerate(examples.labels or []):
            number = label_number(label, labels.names)
            if number is None:
                what = f"{examples.files[index]}: its class {label!r}"
                fix = "take the folder away, or train with images of it"
                raise unknown_label(what, labels.names, fix)
            numbers[index] = number
        return EncodedImages(examples, numbers, preparation)

    def plain_inputs(self, encoded: EncodedImages, examples: LabelledImages) -> PlainInputs:
        pixels = small_squares(encoded, _PLAIN_SIDE)
        return PlainInputs("pixels", pixels, encoded.labels, np.ones(len(pixels), np.int64))

    def build_model(self, encoder: VitEncoder, labels: Labels, dropout: float) -> "ImageClassifier":
        return ImageClassifier(encoder, labels, dropout)

    def parameter_names(self, config: VitConfig) -> NameTable:
        return {**vit_names("encoder."), "classifier.linear": ("classifier",)}

    def records(
        self, examples: LabelledImages, predictions: Iterable[Prediction]
    ) -> Iterator[dict[str, Any]]:
        """Lines of a predictions file: ``image``, its path, and the answer.

        With a known class, the line has it as ``label``, and the prediction as ``prediction``.
        """
        for index, prediction in enumerate(predictions):
            image = {"image": str(examples.files[index])}
            if examples.labels is None:
                yield {**image, **prediction}
                continue
            yield {
                **image,
                "label": as_named(examples.labels[index], prediction),
                "prediction": prediction["label"],
                "probabilities": prediction["probabilities"],
            }

    def card_example(self, labels: Labels) -> CardExample:
        return CardExample("image.jpg", '"image.jpg"')


def _in_two_classes(images: LabelledImages) -> int:
    """How many images have another class than an earlier copy of them."""
    first_label: dict[bytes, str] = {}
    pairs = zip(images.digests, images.labels or [], strict=True)
    return sum(first_label.setdefault(digest, label) != label for digest, label in pairs)


class StandardizedLinear(nn.Module):
    """A linear layer over standardized features.

    The mean and standard deviation are 0 and 1, which changes nothing, until they are set.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = ScoreLayer(width, outputs)
        self.register_buffer("mean", torch.zeros(width), persistent=False)
        self.register_buffer("std", torch.ones(width), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D] → [B, C]."""
        return self.linear(self.dropout((features - self.mean) / self.std))

    def standardize_by(self, features: Tensor) -> None:
        """Set the mean and standard deviation to those of features, float32 [N, D]."""
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0).clamp(min=_MIN_STD))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [C, D] and bias [C] of a linear layer that computes the same on raw features."""
        weight = self.linear.weight / self.std
        return weight, self.linear.bias - weight @ self.mean


class ImageClassifier(TaskModule):
    """An encoder and a linear layer over its image token.

    Over a frozen encoder the layer is trained on features that are standardized over the training
    images, as in the linear probing of MAE (He et al. 2021, §A.1: a batch norm without parameters).
    """

    def __init__(self, encoder: VitEncoder, labels: Labels, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = StandardizedLinear(encoder.config.hidden_size, len(labels), dropout)

    def features(self, batch: LabelledImageBatch) -> Tensor:
        """The encoder's output for each image: the last state of its image token, [B, D]."""
        return self.encoder.first_states(batch.patches(), self.encoder.all_positions())

    def linear_targets(self, encoded: EncodedImages) -> LinearTargets:
        """A row for each image."""
        images, labels = np.arange(len(encoded)), self.classifier.linear.out_features
        return LinearTargets(encoded.labels, np.ones_like(images), images, labels)

    @property
    def head(self) -> nn.Module:
        return self.classifier

    def loss(self, output: Tensor, batch: LabelledImageBatch) -> Losses:
        """The mean cross-entropy of the images."""
        return cross_entropy_loss("classification", output, batch.labels, self.class_weights)

    def on_features(self, features: Tensor | None = None) -> HeadOnFeatures:
        """The linear layer alone; features are standardized by those of the training images."""
        if features is not None:
            self.classifier.standardize_by(features)
        return HeadOnFeatures(self)

    def saved_head(self) -> dict[str, Tensor]:
        """Weights that take features as they are."""
        weight, bias = self.classifier.folded()
        return {"classifier.linear.weight": weight, "classifier.linear.bias": bias}
