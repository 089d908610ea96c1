"""``selfsup demo images``: the effect of pre-training on images, on scikit-learn's digits.

The digits are 1,797 images of 8 × 8 pixels in 17 shades of grey (Alpaydin & Kaynak 1998, "Optical
Recognition of Handwritten Digits", UCI). Most are written without labels, to pre-train on; the rest
is a small labelled task. How long it takes on two cores: see docs/images.md.

    selfsup demo images --out runs/demo-images --minutes 3
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfsup.atomic_files import write_bytes
from selfsup.counter_random import hash64
from selfsup.demo.run import (
    DATA,
    DIGIT,
    IMAGE_PRETRAININGS,
    TEST,
    TRAIN,
    VALIDATION,
    Recipe,
    image_pretraining,
)
from selfsup.pretraining.run import pretrain
from selfsup.progress import format_seconds
from selfsup.report.demo import IMAGE_WAYS
from selfsup.settings.pretrain import PretrainSettings
from selfsup.terminal import say

UNLABELLED = "unlabelled"
# Labelled images of each digit in each part: few, because labels are what is scarce in practice.
EXAMPLES = {TEST: 50, VALIDATION: 5, TRAIN: 5}
SIDE = 32
ENCODER, PATCH = "vit-mini", 8
EPOCHS = 80
# At the default rate, random weights in so small an encoder would lose to pre-training only because
# they learn too slowly, and a head alone would not converge.
LEARNING_RATE, FROZEN_LEARNING_RATE = 1e-3, 5e-3

_MOST_INK = 16
_HELD_OUT = 0.05
_ABOUT = {
    "inpainting": "three quarters of each image are hidden, and it learns to fill them in",
    "jigsaw": "each image is cut into tiles and shuffled, and it learns where they belong",
    "both": "both at once",
}


class ImageDemo(Recipe):
    """Handwritten digits: three pre-trainings, each fine-tuned, frozen, and compared to none.

    The summary's ``pretraining`` maps ``inpainting``, ``jigsaw`` and ``both`` to their summaries.
    """

    usual_out, usual_minutes = "runs/demo-images", 3.0
    task_name = "image-classification"
    ways = IMAGE_WAYS
    learning_stage = (
        "3/4 Learning which digit it is, {seeds} times each: from the pre-trained encoders, from "
        "these kept as they are (frozen), and from random weights"
    )
    last_stage = "4/4 Writing the report"

    def write_data(self) -> dict[str, Any]:
        data = self.folder / DATA
        task = write_digits(data, self.settings.seed)
        say(
            f"1/4 Handwritten digits, in {data}: {task['pretraining_images']:,} images without "
            f"labels to pre-train on, {task['train_examples']} with labels to learn from, "
            f"{task['test_examples']} to test with"
        )
        return task

    def pretrain(self, task: dict[str, Any]) -> dict[str, Any]:
        seconds = 60 * self.minutes / len(IMAGE_PRETRAININGS)
        say(f"2/4 Pre-training {ENCODER} three times, for {format_seconds(seconds)} each")
        summaries = {}
        for name, objectives in IMAGE_PRETRAININGS.items():
            say(f"    {name}: {_ABOUT[name]}")
            summaries[name] = pretrain(
                PretrainSettings(
                    data=(str(self.folder / DATA / UNLABELLED),),
                    out=str(image_pretraining(self.folder, name)),
                    encoder=ENCODER,
                    objectives=objectives,
                    image_size=SIDE,
                    patch_size=PATCH,
                    held_out_fraction=_HELD_OUT,
                    mirror=False,
                    budget=f"{seconds:.3f}s",
                    seed=self.settings.seed,
                    workers=self.settings.workers,
                    **self.machine_flags(),
                )
            )
        return summaries

    def start(self, way: str) -> dict[str, Any]:
        flags: dict[str, Any] = {"encoder": ENCODER, "image_size": SIDE, "patch_size": PATCH}
        if way != "scratch":
            pretrained = image_pretraining(self.folder, way.removesuffix("_frozen"))
            flags = {"encoder": str(pretrained)}
        if way.endswith("_frozen"):
            flags |= {"freeze": "encoder", "head_learning_rate": FROZEN_LEARNING_RATE}
        return flags | {"epochs": EPOCHS, "learning_rate": LEARNING_RATE, "mirror": False}


def write_digits(folder: Path, seed: int) -> dict[str, Any]:
    """Write the digits as PNG files: ``EXAMPLES`` of each digit into labelled parts, then the rest.

    Which image goes into which part is decided by a hash of its number.

    Args:
        folder: gets ``train``, ``validation`` and ``test``, each with a folder for each digit,
            and ``unlabelled``.
        seed: of the division.

    Returns:
        the task's ``labels``, and how many images each part has.
    """
    images, labels = _digits()
    counts = dict.fromkeys((*EXAMPLES, UNLABELLED), 0)
    for label in np.unique(labels):
        numbers = np.flatnonzero(labels == label)
        numbers = numbers[np.argsort(hash64(seed, numbers), kind="stable")]
        start = 0
        for part, wanted in EXAMPLES.items():
            _write(folder / part / str(label), images, numbers[start : start + wanted])
            start += wanted
            counts[part] += wanted
        _write(folder / UNLABELLED, images, numbers[start:])
        counts[UNLABELLED] += len(numbers) - start
    return {
        "labels": [str(label) for label in np.unique(labels)],
        **{f"{part}_examples": counts[part] for part in (TRAIN, VALIDATION, TEST)},
        "pretraining_images": counts[UNLABELLED],
    }


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Ink from 0 to 16, float64 [images, 8, 8], and which digit each is, int64 [images]."""
    from sklearn.datasets import load_digits

    pixels, labels = map(np.asarray, load_digits(return_X_y=True))
    return pixels.reshape(-1, 8, 8), labels


def _write(folder: Path, images: np.ndarray, numbers: np.ndarray) -> None:
    """Write the images with these numbers as grey ``SIDE`` × ``SIDE`` pixels, ink in black."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers.tolist():
        grey = np.rint(255 * (1 - images[number] / _MOST_INK)).astype(np.uint8)
        image = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        data = io.BytesIO()
        image.save(data, "PNG")
        write_bytes(folder / DIGIT.format(number), data.getvalue())
