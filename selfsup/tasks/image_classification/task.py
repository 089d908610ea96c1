"""What the user should know of labelled images before a model learns from them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from selfsup.encoder.huggingface.image_processor import ImagePreparation
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.tasks import image_encoder as image_family
from selfsup.tasks.base import Prediction, Reading
from selfsup.tasks.classification.encoding import IGNORE_INDEX
from selfsup.tasks.classification.metrics import (
    as_named,
    chance,
    decode,
    details,
    metrics,
    selection_metric,
    tally,
)
from selfsup.tasks.classification.task import fit
from selfsup.tasks.given_labels import in_order, places_of
from selfsup.tasks.image_classification.data import LabelledImages, given_images, read_images
from selfsup.tasks.image_classification.encoding import EncodedImages
from selfsup.tasks.image_classification.model import ImageClassifier, parameter_names
from selfsup.tasks.labels import Kind, Labels, unknown
from selfsup.tasks.notes import absence_notes, balance_notes


def reading_notes(train: LabelledImages, validation: LabelledImages, labels: Labels) -> list[str]:
    """Classes out of balance, and copies of a file in one of the folders or in both."""
    notes = balance_notes(train.source, Counter(train.labels), len(train))
    notes += absence_notes(validation.source, labels.names, validation.labels or [])
    learnt = set(train.digests)
    if repeated := len(train) - len(learnt):
        notes.append(f"{train.source}: {repeated:,} of {len(train):,} images are copies of others")
    if torn := _in_two_classes(train):
        notes.append(f"{train.source}: {torn:,} images are also in the folder of another class")
    both = [place for place, digest in enumerate(validation.digests) if digest in learnt]
    if both:
        notes.append(
            f"{validation.source}: {len(both):,} of {len(validation):,} images are also in "
            f"{train.source} (the first is {validation.files[both[0]]}): the metrics flatter the "
            "model; take them out of one"
        )
    return notes


def _in_two_classes(images: LabelledImages) -> int:
    """How many images occur with another class than they had where they occurred first."""
    first_label: dict[bytes, str] = {}
    pairs = zip(images.digests, images.labels or [], strict=True)
    return sum(first_label.setdefault(digest, label) != label for digest, label in pairs)


# Classification of images: a folder for each class, one class for each image (ViT, §3.1).


__all__ = [
    "ARCHITECTURE",
    "FAMILY",
    "LABEL_KINDS",
    "NAME",
    "PIPELINE",
    "POOLED",
    "ImageClassifier",
    "LabelledImages",
    "build_model",
    "chance",
    "decode",
    "details",
    "encode_examples",
    "examples_of",
    "fit",
    "learn_labels",
    "metrics",
    "parameter_names",
    "read_examples",
    "reading_notes",
    "records",
    "selection_metric",
    "tally",
]

NAME = "image-classification"
ARCHITECTURE = "ViTForImageClassification"
FAMILY = image_family
LABEL_KINDS: tuple[Kind, ...] = ("class",)
POOLED = False
PIPELINE = "image-classification"


def read_examples(file: str, reading: Reading, *, labelled: bool) -> LabelledImages:
    """Read the images of a folder, which holds a folder for each class if ``labelled``.

    Raises:
        UserError: as ``read_images``.
    """
    return read_images(file, labelled=labelled, max_bad_fraction=reading.max_bad_fraction)


def examples_of(texts: Sequence[str], text_pairs: Sequence[str] | None) -> LabelledImages:
    """Images without labels, given by their files.

    Raises:
        UserError: one of them is no image.
    """
    if text_pairs is not None:
        raise UserError(f"--text-pair: this model does {NAME}, of one image: leave the flag out")
    return given_images(texts)


def learn_labels(examples: LabelledImages, label_type: Kind | None) -> Labels:
    """The classes that have images, in the order of their numbers or of the alphabet.

    Raises:
        UserError: there is only one.
    """
    counts = Counter(examples.labels)
    if len(counts) < 2:
        raise UserError(
            f"{examples.source}: images of one class only ({next(iter(counts))}) can be read: it "
            "must hold a folder for each of two or more classes"
        )
    return Labels("class", in_order(counts))


def encode_examples(
    examples: LabelledImages, labels: Labels, preparation: ImagePreparation
) -> EncodedImages:
    """Images that are decoded when they are needed, labels as numbers.

    Raises:
        UserError: a label is none of ``labels``; the message names the image.
    """
    if examples.labels is None:
        numbers = np.full(len(examples), IGNORE_INDEX)
        return EncodedImages(examples, numbers, preparation)
    places = places_of(labels.names)
    for file, label in zip(examples.files, examples.labels, strict=True):
        if label not in places:
            mend = "take the folder away, or train with images of it"
            raise unknown(f"{file}: its class {label!r}", labels.names, mend)
    numbers = np.asarray([places[label] for label in examples.labels], np.int64)
    return EncodedImages(examples, numbers, preparation)


def build_model(encoder: VitEncoder, labels: Labels, dropout: float) -> ImageClassifier:
    """The encoder under a new head."""
    return ImageClassifier(encoder, labels, dropout)


def records(
    examples: LabelledImages, predictions: Sequence[Prediction]
) -> Iterator[dict[str, Any]]:
    """Lines of a predictions file: ``image``, its path, and the answer.

    Where the right class is known it is ``label``, and what was predicted is ``prediction``.
    """
    for place, prediction in enumerate(predictions):
        image = {"image": str(examples.files[place])}
        if examples.labels is None:
            yield {**image, **prediction}
            continue
        yield {
            **image,
            "label": as_named(examples.labels[place], prediction),
            "prediction": prediction["label"],
            "probabilities": prediction["probabilities"],
        }
