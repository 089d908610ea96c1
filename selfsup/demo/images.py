"""The digits of scikit-learn as folders of images: most without labels, a small labelled task.

They are 1,797 images of 8 × 8 pixels in 17 shades of grey (Alpaydin & Kaynak 1998, "Optical
Recognition of Handwritten Digits", UCI).
"""

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from selfsup.atomic_files import write_bytes
from selfsup.counter_random import hash64
from selfsup.demo.runs import (
    DATA,
    DIGIT,
    IMAGE_PRETRAININGS,
    REPORT,
    Trial,
    accuracies_in_test,
    demo_folder,
    image_pretraining,
    machine_flags,
    say,
    seeds_of,
    with_defaults,
)
from selfsup.demo.task import TEST, TRAIN, VALIDATION
from selfsup.pretraining.run import pretrain
from selfsup.progress import format_seconds
from selfsup.report.page import write_report
from selfsup.report.sections.demo import IMAGE_WAYS
from selfsup.runs.folder import write_summary
from selfsup.settings import DemoSettings, EvaluateSettings, FinetuneSettings, PretrainSettings
from selfsup.training.compute import choose_compute

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


# ``selfsup demo images``: what pre-training on images is worth, on scikit-learn's digits.
#
# How long it takes on two cores: see docs/images.md.
#
#     selfsup demo images --out runs/demo-images --minutes 3


ENCODER, PATCH = "vit-mini", 8
EPOCHS = 80
# Random weights want a higher rate than the default for so small an encoder, and a head alone a
# higher one still: at the default the one would lose to pre-training for no good reason, the other
# would not come to its end.
LEARNING_RATE, FROZEN_LEARNING_RATE = 1e-3, 5e-3
_TASK = "image-classification"
_HELD_OUT = 0.05
_ABOUT = {
    "inpainting": "three quarters of each image are hidden, and it learns to fill them in",
    "jigsaw": "each image is cut into tiles and shuffled, and it learns where they belong",
    "both": "both at once",
}


def demo_images(settings: DemoSettings) -> dict[str, Any]:
    """Write the digits as image files, pre-train on most of them, learn the rest in several ways.

    Returns:
        the summary: for each of ``IMAGE_WAYS`` the ``accuracy`` on test images (mean, standard
        deviation and values over the seeds), ``pretraining`` (from ``inpainting``, ``jigsaw`` and
        ``both`` to its summary), ``task`` (its sizes), ``seconds``, ``out`` and ``report``.

    Raises:
        UserError: the folder holds something else, or cannot be written.
    """
    settings = with_defaults(settings)
    choose_compute(settings.device, settings.precision, settings.threads)  # what is wrong, now
    with demo_folder(settings) as run:
        return _demo(settings, run)


def _demo(settings: DemoSettings, run: Path) -> dict[str, Any]:
    started = time.perf_counter()
    assert settings.minutes is not None
    task = write_digits(run / DATA, settings.seed)
    say(
        f"1/4 Handwritten digits, in {run / DATA}: {task['pretraining_images']:,} images without "
        f"labels to pre-train on, {task['train_examples']} with labels to learn from, "
        f"{task['test_examples']} to test with"
    )
    seconds = 60 * settings.minutes / len(IMAGE_PRETRAININGS)
    say(f"2/4 Pre-training {ENCODER} three times, for {format_seconds(seconds)} each")
    pretraining = {}
    for name in IMAGE_PRETRAININGS:
        say(f"    {name}: {_ABOUT[name]}")
        pretraining[name] = pretrain(_pretraining(name, seconds, settings, run))

    say(
        f"3/4 Learning which digit it is, {settings.seeds} times each: from the pre-trained "
        "encoders, from these kept as they are (frozen), and from random weights"
    )
    trials = {
        way: [_trial(way, name, seed, settings, run) for seed in seeds_of(settings)]
        for way, name, _ in IMAGE_WAYS
    }
    scores = accuracies_in_test(trials, settings)

    say("4/4 Writing the report")
    summary = {
        **scores,
        "pretraining": pretraining,
        "task": task,
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_summary(run, summary)
    write_report([run], run / REPORT)
    return {**summary, "out": str(run), "report": str(run / REPORT)}


def _pretraining(name: str, seconds: float, settings: DemoSettings, run: Path) -> PretrainSettings:
    return PretrainSettings(
        data=(str(run / DATA / UNLABELLED),),
        out=str(image_pretraining(run, name)),
        encoder=ENCODER,
        objectives=IMAGE_PRETRAININGS[name],
        image_size=SIDE,
        patch_size=PATCH,
        held_out_fraction=_HELD_OUT,
        mirror=False,
        budget=f"{seconds:.3f}s",
        seed=settings.seed,
        workers=settings.workers,
        **machine_flags(settings),
    )


def _trial(way: str, name: str, seed: int, settings: DemoSettings, run: Path) -> Trial:
    finetuning = _finetuning(way, seed, settings, run)
    return Trial(f"{name}, seed {seed}", finetuning, _evaluation(finetuning.out, settings, run))


def _finetuning(way: str, seed: int, settings: DemoSettings, run: Path) -> FinetuneSettings:
    start: dict[str, Any] = {"encoder": ENCODER, "image_size": SIDE, "patch_size": PATCH}
    if way != "scratch":
        start = {"encoder": str(image_pretraining(run, way.removesuffix("_frozen")))}
    if way.endswith("_frozen"):
        start |= {"freeze": "encoder", "head_learning_rate": FROZEN_LEARNING_RATE}
    return FinetuneSettings(
        task=_TASK,
        train=str(run / DATA / TRAIN),
        validation=str(run / DATA / VALIDATION),
        out=str(run / way / f"seed-{seed}"),
        epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        mirror=False,
        seed=seed,
        **machine_flags(settings),
        **start,
    )


def _evaluation(model: str, settings: DemoSettings, run: Path) -> EvaluateSettings:
    return EvaluateSettings(model=model, data=str(run / DATA / TEST), **machine_flags(settings))
