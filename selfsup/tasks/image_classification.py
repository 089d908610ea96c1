"""Classification of images: a folder for each class, one class for each image (ViT, §3.1)."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.tasks import image_family
from selfsup.tasks.classification import fit
from selfsup.tasks.classification_answers import as_named, decode, tally
from selfsup.tasks.classification_metrics import chance, details, metrics, selection_metric
from selfsup.tasks.encoded_images import EncodedImages
from selfsup.tasks.encoded_texts import IGNORE_INDEX
from selfsup.tasks.given_labels import in_order, places_of
from selfsup.tasks.image_classifier import ImageClassifier, parameter_names
from selfsup.tasks.image_notes import reading_notes
from selfsup.tasks.image_preparation import ImagePreparation
from selfsup.tasks.labelled_images import LabelledImages, given_images, read_images
from selfsup.tasks.labels import Kind, Labels, unknown
from selfsup.tasks.reading import Reading
from selfsup.tasks.task import Prediction

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
