"""Sound JSON and YAML files of small runs, each with the command that reads it."""

import contextlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from selfsup.corpus import prepare as prepare_module
from selfsup.corpus.prepare import prepare
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.doctor import doctor
from selfsup.encoder.huggingface.weights import read_tensors
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.images import prepare as images_module
from selfsup.images.files import find_images
from selfsup.images.pixels import ResizeShorterSide
from selfsup.images.prepare import prepare_images
from selfsup.inference.evaluate import score_answers
from selfsup.inference.predict import check_writable
from selfsup.inference.predictor import Predictor
from selfsup.pretraining import run as run_module
from selfsup.pretraining.images.model import load_image_pretraining
from selfsup.pretraining.run import pretrain, resume
from selfsup.pretraining.text.data import read_extension_report
from selfsup.pretraining.text.model import load_pretraining
from selfsup.report.page import write_report
from selfsup.runs.folder import begin_run, write_summary
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.settings.showing import DemoSettings, DoctorSettings
from selfsup.tasks.question_answering.files import read_squad
from tests.toy_corpus import toy_documents, write_toy_corpus
from tests.toy_tasks import (
    ON_CPU,
    VOCABULARY,
    toy_examples,
    toy_settings,
    write_toy_conll,
    write_toy_file,
    write_toy_images,
    write_toy_model,
    write_toy_questions,
    write_toy_vit,
)

_RUNS = ("classes", "numbers", "tags", "questions", "labelled-images")
TARGETS = (
    "config", "config of tags", "config of questions", "config of images", "config of an encoder",
    "config of a ViT", "preprocessor", "tokenizer config", "tokenizer", "vocabulary's config",
    "added tokens", "index", "manifest", "manifest of images", "progress", "progress of images",
    "state", "metrics to resume", "settings to resume", "questions", "rows", "answers", "extension",
    "pictures", "summary.json of demo", "run.yaml of demo",
    *(f"{file} of {run}" for run in (*_RUNS, "pretrained", "seen")
      for file in ("run.yaml", "metrics.jsonl", "summary.json")),
    *(f"validation_predictions.jsonl of {run}" for run in _RUNS),
)  # fmt: skip


class Target(NamedTuple):
    """A file of a folder, and what reads it.

    Attributes:
        folder: is copied before it is damaged.
        file: a path in it.
        read: takes the copy.
        lines: each line is a JSON value.
        cost: of reading it, in the time of a small file.
    """

    folder: Path
    file: str
    read: Callable[[Path], Any]
    lines: bool = False
    cost: int = 1


def report(run: Path, *others: Path) -> None:
    """What people see of a run: its page, a comparison, and the doctor's findings."""
    for look in (
        lambda: write_report([run], run / "page.html"),
        lambda: write_report([run, run, *others], run / "comparison.html"),
        lambda: doctor(DoctorSettings(path=str(run))),
    ):
        with contextlib.suppress(UserError):
            look()


def predict(model: Path, text: str | Path, pair: str | None = None) -> None:
    Predictor.load(model, device="cpu", threads=1).predict([str(text)], pair and [pair])


def pretraining(data: Path, out: Path, **changed: Any) -> PretrainSettings:
    values = {
        "data": (str(data),), "out": str(out), "encoder": "bert-tiny", "steps": 2,
        "batch_size": 4, "max_length": 32, "workers": 1, "start": "random", **ON_CPU,
    }  # fmt: skip
    return PretrainSettings(**(values | changed))


def pretrain_and_diagnose(shards: Path, **changed: Any) -> None:
    with contextlib.suppress(UserError):
        doctor(DoctorSettings(path=str(shards)))
    with contextlib.suppress(KeyboardInterrupt):  # not trained to its end: see below
        pretrain(pretraining(shards, shards.with_name("pretrained"), **changed))


def prepare_again(texts: Path, tokenizer: Path, out: Path) -> None:
    prepare([str(texts)], tokenizer, out, workers=1, shard_tokens=2000, show_progress=False)


def decode_again(images: Path, out: Path) -> None:
    resize = ResizeShorterSide(16)
    prepare_images(
        find_images(str(images)), images, out, resize, workers=1, shard_bytes=20_000,
        show_progress=False,
    )  # fmt: skip


def resume_run(run: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt):  # not trained to its end: see below
        resume(ResumeSettings(run=str(run)))


def read_questions(file: Path) -> None:
    for labelled in (True, False):
        with contextlib.suppress(UserError):
            read_squad(str(file), labelled=labelled)
    doctor(DoctorSettings(path=str(file)))


def read_table(file: Path) -> None:
    with contextlib.suppress(UserError):
        check_writable(file)
    doctor(DoctorSettings(path=str(file)))


def interrupted(work: Callable[[], Any], module: Any, name: str) -> None:
    """Do some work, interrupted where it calls a function of a module."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        patch.setattr(module, name, stop)
        work()


def finetuned(base: Path, name: str, **changed: Any) -> Path:
    out = base / name
    finetune(toy_settings(base, out, epochs=1, warmup=0.0, **changed))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    return out


def without_weights(run: Path, name: str) -> Path:
    """A copy that is quick to copy again."""
    return shutil.copytree(run, run.with_name(name), ignore=shutil.ignore_patterns("*.safetensors"))


def report_with(other: Path, run: Path) -> None:
    report(run, other)


def write_demo(folder: Path, ways: dict[str, Any], pretrained: Path) -> None:
    begin_run(folder, "demo", DemoSettings(out=str(folder)))
    shutil.copytree(pretrained, folder / "pretraining")
    task = {"labels": ["a", "b"], "train_examples": 9, "test_examples": 5}
    candidates = [{"token": "fine", "probability": 0.5}]
    masks = [{"text": "a [MASK] film", "candidates": candidates}]
    write_summary(folder, {**ways, "task": task, "fill_mask": masks, "seconds": 9.0})


def make_targets(base: Path) -> dict[str, Target]:
    """Sound files of small runs in a folder, by the names in ``TARGETS``."""
    write_toy_model(base / "encoder")
    for name, seed in (("train", 1), ("dev", 2)):
        write_toy_file(base / f"{name}.tsv", 24, seed)
        write_toy_conll(base / f"{name}.conll", 24, seed)
        write_toy_questions(base / f"{name}.json", 24, seed, unanswerable=True)
        write_toy_images(base / name, 3, seed)
        rows = [{"text": text, "score": len(text) / 9} for _, text in toy_examples(24, seed)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (base / f"{name}.jsonl").write_text(lines)
    write_toy_vit(base / "vit")

    def files_of(ending: str) -> dict[str, str]:
        names = {"train": "train", "validation": "dev"}
        return {flag: str(base / f"{name}{ending}") for flag, name in names.items()}

    texts = write_toy_corpus(base / "texts.txt")
    tokenizer = base / "tokenizer"
    save_tokenizer(train_tokenizer(toy_documents(40), vocab_size=150, allow_fewer=True), tokenizer)
    prepare_again(texts, tokenizer, base / "shards")
    interrupted(lambda: prepare_again(texts, tokenizer, base / "half"), prepare_module, "finish")
    decode_again(base / "train", base / "images")
    interrupted(lambda: decode_again(base / "train", base / "half-images"), images_module, "finish")
    stopped = base / "stopped"
    settings = pretraining(base / "shards", stopped, steps=4, checkpoint_every=1)
    interrupted(lambda: pretrain(settings), run_module, "write_summary")
    shutil.rmtree(stopped / "model")
    pretrained = base / "pretrained"
    pretrain(pretraining(base / "shards", pretrained, steps=4, evaluate_every=2))
    seen = base / "seen"
    of_images = {"encoder": "vit-mini", "start": None, "max_length": PretrainSettings.max_length}
    pretrain(pretraining(base / "images", seen, image_size=16, patch_size=4, **of_images))
    runs = {
        "classes": finetuned(base, "classes", seeds=2),
        "numbers": finetuned(base, "numbers", **files_of(".jsonl")),
        "tags": finetuned(base, "tags", task="token-classification"),
        "questions": finetuned(base, "questions", task="question-answering", **files_of(".json")),
        "labelled-images": finetuned(
            base, "labelled-images", task="image-classification", encoder=str(base / "vit"),
            max_length=None, **files_of(""),
        ),
        "pretrained": pretrained,
        "seen": seen,
    }  # fmt: skip
    models = {name: run / "model" for name, run in runs.items()}
    demo = base / "demo"
    accuracy = {"accuracy": {"mean": 0.7, "std": 0.1, "values": [0.6, 0.8]}}
    write_demo(demo, dict.fromkeys(("pretrained", "frozen", "scratch"), accuracy), pretrained)
    runs["demo"] = demo
    vocabulary = shutil.copytree(models["classes"], base / "vocabulary")
    (vocabulary / "tokenizer.json").unlink()
    (vocabulary / "added_tokens.json").write_text(json.dumps({"zzz": len(VOCABULARY)}))
    indexed = shutil.copytree(models["classes"], base / "indexed")
    (indexed / "model.safetensors").rename(indexed / "some.safetensors")
    index = {
        "weight_map": dict.fromkeys(read_tensors(indexed / "some.safetensors"), "some.safetensors")
    }
    (indexed / "model.safetensors.index.json").write_text(json.dumps(index))
    small = base / "files"
    small.mkdir()
    shutil.copy(base / "train.json", small)
    shutil.copy(base / "train.jsonl", small)
    (small / "answers.json").write_text(json.dumps({f"q{n}": "Fine" for n in range(24)}))
    (small / "vocabulary_extension.json").write_text('{"added": 3, "unknown_words": 0.5}')

    image = next((base / "train").rglob("*.png"))
    of_text = partial(predict, text="a fine film")
    found = {
        "config": Target(models["classes"], "config.json", of_text),
        "config of tags": Target(models["tags"], "config.json", of_text),
        "config of questions": Target(
            models["questions"], "config.json", partial(predict, text="what", pair="a fine film")
        ),
        "config of images": Target(
            models["labelled-images"], "config.json", partial(predict, text=image)
        ),
        "config of an encoder": Target(
            base / "encoder", "config.json", partial(load_pretraining, objectives=["mlm"])
        ),
        "config of a ViT": Target(
            base / "vit", "config.json", partial(load_image_pretraining, objectives=["jigsaw"])
        ),
        "preprocessor": Target(
            models["labelled-images"], "preprocessor_config.json", partial(predict, text=image)
        ),
        "tokenizer config": Target(models["classes"], "tokenizer_config.json", of_text),
        "tokenizer": Target(models["classes"], "tokenizer.json", of_text),
        "vocabulary's config": Target(vocabulary, "tokenizer_config.json", of_text),
        "added tokens": Target(vocabulary, "added_tokens.json", of_text),
        "index": Target(indexed, "model.safetensors.index.json", of_text),
        "manifest": Target(base / "shards", "manifest.json", pretrain_and_diagnose, cost=4),
        "manifest of images": Target(
            base / "images", "manifest.json",
            partial(pretrain_and_diagnose, image_size=16, patch_size=4, **of_images), cost=4,
        ),
        "progress": Target(
            base / "half", "progress.json", partial(prepare_again, texts, tokenizer)
        ),
        "progress of images": Target(
            base / "half-images", "progress.json", partial(decode_again, base / "train")
        ),
        "state": Target(stopped, "checkpoints/step-000000004/state.json", resume_run, cost=4),
        "metrics to resume": Target(stopped, "metrics.jsonl", resume_run, True, 4),
        "settings to resume": Target(stopped, "run.yaml", resume_run, cost=4),
        "questions": Target(small, "train.json", lambda at: read_questions(at / "train.json")),
        "rows": Target(small, "train.jsonl", lambda at: read_table(at / "train.jsonl"), True),
        "answers": Target(
            small, "answers.json",
            lambda folder: score_answers(
                str(folder / "answers.json"), str(base / "train.json"), lambda note: None
            ),
        ),
        "extension": Target(small, "vocabulary_extension.json", read_extension_report),
    }  # fmt: skip
    for name, run in runs.items():
        light = without_weights(run, f"light-{name}")
        read = partial(report_with, base / "light-classes")
        for file in ("run.yaml", "metrics.jsonl", "summary.json", "validation_predictions.jsonl"):
            if (light / file).exists():
                found[f"{file} of {name}"] = Target(light, file, read, file.endswith(".jsonl"), 4)
    found["pictures"] = Target(base / "light-seen", "pictures/pictures.json", report, cost=4)
    return found
