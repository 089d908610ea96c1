"""The digits of scikit-learn as folders of images: most without labels, a small labelled task.

They are 1,797 images of 8 × 8 pixels in 17 shades of grey (Alpaydin & Kaynak 1998, "Optical
Recognition of Handwritten Digits", UCI).
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfsup.atomic_files import write_bytes
from selfsup.counter_random import hash64
from selfsup.recipes.demo_folder import DIGIT
from selfsup.recipes.demo_task import TEST, TRAIN, VALIDATION

UNLABELLED = "unlabelled"
# Images of each digit. Labels are what there is little of.
EXAMPLES = {TEST: 50, VALIDATION: 5, TRAIN: 5}
SIDE = 32

_MOST_INK = 16


def write_digits(folder: Path, seed: int) -> dict[str, Any]:
    """Write the parts: of each label so many to test, to validate and to train, and all the rest.

    Which image goes where is by a hash of its number.

    Args:
        folder: gets ``train``, ``validation`` and ``test``, with a folder for each digit in them,
            and ``unlabelled``.
        seed: of the division.

    Returns:
        what the task is: its ``labels``, how many images each part has.
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
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers.tolist():
        grey = np.rint(255 * (1 - images[number] / _MOST_INK)).astype(np.uint8)
        image = Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        data = io.BytesIO()
        image.save(data, "PNG")
        write_bytes(folder / DIGIT.format(number), data.getvalue())
