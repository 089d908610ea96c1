"""Damaged and hostile JSON and YAML: every reader returns or refuses in one line.

Real files of small runs are mutated, as bytes and as values, and read by the commands that read
them. ``SELFSUP_FUZZ_INPUTS`` is the number of inputs of each kind of file.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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

INPUTS = int(os.environ.get("SELFSUP_FUZZ_INPUTS", 25))
MOST_SECONDS, MOST_MEMORY = 20, 2 << 30

HOSTILE = (
    -1, 0, 1, 2**31, 2**53, -(2**63), 10**18, 10**400, 1.5, 1e300, 1e-300, float("nan"),
    float("inf"), "", "1", "x" * 3000, "\ud800", "../../x", True, None, [], {}, [[]], [None],
    {"": None}, [1, "a"], {"a": {"b": [1]}},
)  # fmt: skip
HOSTILE_TEXTS = (
    b"", b" ", b"null", b"[]", b"{}", b"NaN", b"\xff\xfe", b"\xef\xbb\xbf{}", b'"\\ud800"', b"{" * 9,
    b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"-", b'{"a": 1, "a": 2}', b"\0" * 100,
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: *c\n", b"? [a]\n: b\n", b"a: !!set {b}\n",
    b"a: !!binary eA==\n", b"a: 0x" + b"f" * 5000, b"a: !!int ''", b"a: 1:99:99\n", b"&a [*a]",
    b"a: " + b"[" * 2000, b"- " * 3000,
)  # fmt: skip
NAMES = ("", "a", "step", "loss", "labels", "mean", "__class__")


class Target(NamedTuple):
    """A file of a folder, and what reads it.

    Attributes:
        folder: is copied before it is damaged.
        file: a path in it.
        read: takes the copy.
        lines: each line is a JSON value.
    """

    folder: Path
    file: str
    read: Callable[[Path], Any]
    lines: bool = False


def places(value: Any, at: tuple = ()) -> list[tuple]:
    """The paths of all values in a value."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list
    ) else ()  # fmt: skip
    return [at, *(place for key, child in children for place in places(child, (*at, key)))]


def put(value: Any, place: tuple, change: Callable[[Any, Any], None]) -> Any:
    """A copy of a value; ``change`` takes what holds the place, and the last key."""
    whole = {"": deepcopy(value)}
    holder, path = whole, ("", *place)
    for key in path[:-1]:
        holder = holder[key]
    change(holder, path[-1])
    return whole.get("")


@st.composite
def mutated_values(draw: st.DrawFn, value: Any) -> Any:
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(places(value)))
        kind = draw(
            st.sampled_from(("replace", "replace", "drop", "nest", "double", "add", "swap"))
        )

        def change(holder: Any, key: Any, kind: str = kind) -> None:
            old = holder[key]
            if kind == "drop":
                del holder[key]
            elif kind == "nest":
                for _ in range(draw(st.sampled_from((1, 90, 600)))):
                    old = [old] if draw(st.booleans()) else {"a": old}
                    holder[key] = old
            elif kind == "double" and isinstance(old, list):
                holder[key] = old * 2
            elif kind == "add" and isinstance(old, dict):
                old[draw(st.sampled_from(NAMES))] = draw(st.sampled_from(HOSTILE))
            elif kind == "swap" and isinstance(holder, dict):
                other = draw(st.sampled_from(list(holder)))
                holder[key], holder[other] = holder[other], holder[key]
            else:
                holder[key] = draw(st.sampled_from(HOSTILE))

        value = put(value, place, change)
    return value


@st.composite
def mutated_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    kind = draw(st.sampled_from(("cut", "overwrite", "insert", "whole", "repeat")))
    if kind == "whole":
        return draw(st.sampled_from(HOSTILE_TEXTS))
    start = draw(st.integers(0, len(data)))
    if kind == "cut":
        return data[:start]
    if kind == "repeat":
        return data[:start] + data[start : start + 40] * draw(st.integers(2, 50)) + data[start:]
    part = draw(st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(HOSTILE_TEXTS)))
    return data[:start] + part + data[start + (len(part) if kind == "overwrite" else 0) :]


@st.composite
def mutations(draw: st.DrawFn, data: bytes, file: str, lines: bool) -> bytes | None:
    """The bytes of a damaged file; None: a folder stands in its place."""
    if draw(st.integers(0, 30)) == 0:
        return None
    if draw(st.integers(0, 2)) == 0:
        return draw(mutated_bytes(data))
    if file.endswith(".yaml"):
        value = draw(mutated_values(yaml.safe_load(data)))
        try:
            return yaml.safe_dump(value).encode("utf-8", "surrogatepass")
        except (yaml.YAMLError, RecursionError):
            return b"[" * 600
    if not lines:
        return json.dumps(draw(mutated_values(json.loads(data)))).encode()
    entries = data.splitlines()
    number = draw(st.integers(0, len(entries) - 1))
    entries[number] = json.dumps(draw(mutated_values(json.loads(entries[number])))).encode()
    return b"\n".join(entries) + b"\n"


@contextlib.contextmanager
def bounded():
    """Limit the time and the memory of what runs inside."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"after {MOST_SECONDS} seconds")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    previous = signal.signal(signal.SIGALRM, ring)
    resource.setrlimit(
        resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST_MEMORY, before[1])
    )
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_AS, before)


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


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    base = tmp_path_factory.mktemp("sound")
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
    (vocabulary / "added_tokens.json").write_text('{"zzz": %d}' % len(VOCABULARY))
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
        "manifest": Target(base / "shards", "manifest.json", pretrain_and_diagnose),
        "manifest of images": Target(
            base / "images", "manifest.json",
            partial(pretrain_and_diagnose, image_size=16, patch_size=4, **of_images),
        ),
        "progress": Target(
            base / "half", "progress.json", partial(prepare_again, texts, tokenizer)
        ),
        "progress of images": Target(
            base / "half-images", "progress.json", partial(decode_again, base / "train")
        ),
        "state": Target(stopped, "checkpoints/step-000000004/state.json", resume_run),
        "metrics to resume": Target(stopped, "metrics.jsonl", resume_run, lines=True),
        "settings to resume": Target(stopped, "run.yaml", resume_run),
        "questions": Target(small, "train.json", lambda folder: read_questions(folder / "train.json")),
        "rows": Target(small, "train.jsonl", lambda folder: read_table(folder / "train.jsonl"), True),
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
                found[f"{file} of {name}"] = Target(light, file, read, file.endswith(".jsonl"))
    found["pictures"] = Target(base / "light-seen", "pictures/pictures.json", report)
    return found


def report_with(other: Path, run: Path) -> None:
    report(run, other)


def write_demo(folder: Path, ways: dict[str, Any], pretrained: Path) -> None:
    begin_run(folder, "demo", DemoSettings(out=str(folder)))
    shutil.copytree(pretrained, folder / "pretraining")
    task = {"labels": ["a", "b"], "train_examples": 9, "test_examples": 5}
    candidates = [{"token": "fine", "probability": 0.5}]
    masks = [{"text": "a [MASK] film", "candidates": candidates}]
    write_summary(folder, {**ways, "task": task, "fill_mask": masks, "seconds": 9.0})


RUNS = ("classes", "numbers", "tags", "questions", "labelled-images")
NAMES_OF_TARGETS = (
    "config", "config of tags", "config of questions", "config of images", "config of an encoder",
    "config of a ViT", "preprocessor", "tokenizer config", "tokenizer", "vocabulary's config",
    "added tokens", "index", "manifest", "manifest of images", "progress", "progress of images",
    "state", "metrics to resume", "settings to resume", "questions", "rows", "answers", "extension",
    "pictures", "summary.json of demo", "run.yaml of demo",
    *(f"{file} of {run}" for run in (*RUNS, "pretrained", "seen")
      for file in ("run.yaml", "metrics.jsonl", "summary.json")),
    *(f"validation_predictions.jsonl of {run}" for run in RUNS),
)  # fmt: skip


def is_tried(target: Target, folder: Path, data: bytes | None) -> None:
    """Read a copy of the target's folder with a damaged file."""
    shutil.copytree(target.folder, folder)
    file = folder / target.file
    file.unlink()
    if data is None:
        file.mkdir()
    else:
        file.write_bytes(data)
    try:
        with bounded():
            target.read(folder)
    except UserError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000


@pytest.mark.parametrize("name", NAMES_OF_TARGETS)
def test_a_damaged_file_is_read_or_refused_in_one_line(name, targets, tmp_path):
    target = targets[name]
    sound = (target.folder / target.file).read_bytes()
    is_tried(target, tmp_path / "sound", sound)

    @given(mutations(sound, target.file, target.lines))
    @settings(
        max_examples=INPUTS,
        deadline=None,
        database=None,
        derandomize="SELFSUP_FUZZ_INPUTS" not in os.environ,
        suppress_health_check=list(HealthCheck),
    )
    def try_many(data: bytes | None) -> None:
        with tempfile.TemporaryDirectory(dir=tmp_path) as folder:
            is_tried(target, Path(folder) / "copy", data)

    with pytest.MonkeyPatch.context() as patch:
        # Valid settings may ask for a very long run.
        patch.setattr(run_module, "train", lambda *_: None)
        try_many()
