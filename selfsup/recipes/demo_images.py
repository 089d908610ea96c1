"""``selfsup demo images``: what pre-training on images is worth, on scikit-learn's digits.

How long it takes on two cores: see docs/images.md.

    selfsup demo images --out runs/demo-images --minutes 3
"""

import time
from pathlib import Path
from typing import Any

from selfsup.recipes.demo_digits import SIDE, UNLABELLED, write_digits
from selfsup.recipes.demo_folder import (
    DATA,
    IMAGE_PRETRAININGS,
    REPORT,
    demo_folder,
    image_pretraining,
    with_defaults,
)
from selfsup.recipes.demo_runs import Trial, accuracies_in_test, machine_flags, say, seeds_of
from selfsup.recipes.demo_task import TEST, TRAIN, VALIDATION
from selfsup.recipes.pretrain import pretrain
from selfsup.recipes.run_folder import write_summary
from selfsup.report.demo_ways import IMAGE_WAYS
from selfsup.report.page import write_report
from selfsup.settings import DemoSettings, EvaluateSettings, FinetuneSettings, PretrainSettings
from selfsup.training.compute import choose_compute
from selfsup.training.progress import format_seconds

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
