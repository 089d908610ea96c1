"""Damaged folders of shards, models and runs: each is read, or refused in one line.

A file of a sound folder is damaged: its bytes, or, where it is a safetensors file, its header and
its arrays. Manifests and progress files are then sealed again, so that not the checksum alone
refuses them.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.corpus.tokenizer.folder import load_tokenizer
from selfsup.corpus.tokenizer.wordpiece import WordPieceEncoder
from selfsup.doctor import doctor
from selfsup.errors import UserError
from selfsup.finetuning import run as finetuning_module
from selfsup.finetuning.run import finetune, resume
from selfsup.images import prepare as images_module
from selfsup.inference.predictor import Predictor
from selfsup.pretraining import run as run_module
from selfsup.pretraining.run import pretrain
from selfsup.pretraining.run import resume as resume_pretraining
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.settings.showing import DoctorSettings
from selfsup.shards.images import ImageResumeState, ImageShards
from selfsup.shards.tokens import TokenResumeState, open_shards
from tests.fuzz.mutations import mutated, mutated_json, mutated_text
from tests.fuzz.sound_files import (
    decode_again,
    interrupted,
    prepare_again,
    prepare_module,
    pretraining,
    save_tokenizer,
    toy_documents,
    train_tokenizer,
)
from tests.fuzz.target import FUZZED, few, refusal_of
from tests.toy_corpus import write_toy_corpus
from tests.toy_tasks import toy_settings, write_toy_file, write_toy_images, write_toy_model

SHARD = "shard-00000.safetensors"
Folders = Callable[[str], Path]


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Folders:
    """Makes a sound folder at its first use."""
    base = tmp_path_factory.mktemp("sound")

    def text() -> Path:
        texts = write_toy_corpus(base / "texts.txt", 40)
        tokenizer = train_tokenizer(toy_documents(40), vocab_size=150, allow_fewer=True)
        save_tokenizer(tokenizer, base / "tokenizer")
        prepare_again(texts, base / "tokenizer", base / "shards")
        return base / "shards"

    def half() -> Path:
        folder("shards")
        out = base / "half"
        interrupted(
            lambda: prepare_again(base / "texts.txt", base / "tokenizer", out),
            prepare_module,
            "finish",
        )
        return out

    def images() -> Path:
        write_toy_images(base / "pictures", 3)
        decode_again(base / "pictures", base / "images")
        return base / "images"

    def half_images() -> Path:
        folder("images")
        out = base / "half-images"
        interrupted(lambda: decode_again(base / "pictures", out), images_module, "finish")
        return out

    def stopped_pretraining() -> Path:
        out = base / "stopped"
        settings = pretraining(folder("shards"), out, steps=3, checkpoint_every=1, optimizer="muon")
        interrupted(lambda: pretrain(settings), run_module, "write_summary")
        shutil.rmtree(out / "model")
        return out

    def labelled() -> Path:
        write_toy_file(base / "train.tsv", 16, seed=1)
        write_toy_file(base / "dev.tsv", 8, seed=2)
        write_toy_model(base / "encoder")
        return base

    def stopped_finetuning() -> Path:
        out = base / "stopped-task"
        settings = toy_settings(folder("labelled"), out, epochs=2, seeds=2, checkpoint_every=1,
                                batch_size=8)  # fmt: skip
        interrupted(lambda: finetune(settings), finetuning_module, "summarize")
        return out

    def model() -> Path:
        out = base / "task"
        finetune(toy_settings(folder("labelled"), out, epochs=1))
        return out / "model"

    makers = {
        "shards": text, "half": half, "images": images, "half images": half_images,
        "stopped": stopped_pretraining, "labelled": labelled, "model": model,
        "stopped task": stopped_finetuning,
    }  # fmt: skip

    @cache
    def folder(name: str) -> Path:
        return makers[name]()

    return folder


Tensors = tuple[dict[str, Any], bytes]
_DTYPES = ("U8", "U16", "U32", "U64", "I8", "I32", "I64", "F16", "BF16", "F32", "F64", "BOOL",
           "F8_E4M3", "F4", "C64", "?", 7, None)  # fmt: skip
_NUMBERS = (-1, 0, 1, 2, 3, 2**16, 2**31, 2**40, 2**53, 2**63 - 1, 2**64, 10**30)
_ELEMENTS = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**31, 2**40, 2**62, -1, -(2**62))
_changes = st.lists(
    st.tuples(
        st.sampled_from(("dtype", "shape", "start", "end", "rename", "drop", "same", "value",
                         "value", "value", "bytes")),
        st.integers(0, 1 << 16), st.integers(0, 1 << 16), st.sampled_from(_DTYPES),
        st.sampled_from(_NUMBERS), st.sampled_from(_ELEMENTS), st.binary(min_size=1, max_size=8),
    ),
    max_size=3,
)  # fmt: skip
_Changes = list[tuple[str, int, int, Any, int, int, bytes]]
_SIZES = {"U16": 2, "U32": 4, "F32": 4}


def altered(data: bytes, changes: _Changes) -> bytes:
    """A safetensors file with other entries in its header, or other elements."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    for kind, one, other, dtype, number, element, raw in changes:
        names = sorted(name for name in header if name != "__metadata__")
        if not names:
            break
        name = names[one % len(names)]
        entry = header[name]
        start, end = entry["data_offsets"] if len(entry["data_offsets"]) == 2 else (0, 0)
        if kind == "dtype":
            entry["dtype"] = dtype
        elif kind == "shape":
            entry["shape"] = [number] if other % 2 else [*entry["shape"], number]
        elif kind in ("start", "end"):
            entry["data_offsets"] = [number, end] if kind == "start" else [start, number]
        elif kind == "rename":
            header[names[other % len(names)] if other % 2 else "another"] = header.pop(name)
        elif kind == "drop":
            header.pop(name)
        elif kind == "same":
            header[name] = header[names[other % len(names)]]
        elif kind == "value" and 0 <= start < end <= len(body):
            width = _SIZES.get(entry["dtype"], 8)
            at = start + (end - start) * other // (1 << 16) // width * width
            body[at : at + width] = np.int64(element).tobytes()[:width]
        elif body:
            body[other % len(body) : other % len(body) + len(raw)] = raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


@st.composite
def damaged_tensors(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """How a safetensors file is damaged."""
    changes = draw(_changes)
    seed = draw(st.integers(0, 1 << 30))
    cut = draw(st.none() | st.none() | st.floats(0, 1))

    def damage(data: bytes) -> bytes:
        if not changes:
            at = seed % max(len(data), 1)
            data = data[:at] + bytes([data[at] ^ 1 << seed % 8]) + data[at + 1 :]
        else:
            data = altered(data, changes)
        return data if cut is None else data[: int(len(data) * cut)]

    return damage


def sealed(folder: Path) -> None:
    """Let the manifest hold the size and the checksum of its shard."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    data = (folder / SHARD).read_bytes()
    manifest["shards"][0] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def copied(source: Path, folder: Path) -> Path:
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    return shutil.copytree(source, copy)


def diagnosed(path: Path) -> None:
    with contextlib.suppress(UserError):
        doctor(DoctorSettings(path=str(path)))


def learned(shards: Path, **changed: Any) -> None:
    """Pre-train for a step on shards that may be damaged."""
    out = shards.with_name("learned")
    shutil.rmtree(out, ignore_errors=True)
    pretrain(pretraining(shards, out, steps=1, **changed))


@few(2)
@given(damage=damaged_tensors())
def test_token_shards(sound, folder, damage):
    copy = copied(sound("shards"), folder)
    (copy / SHARD).write_bytes(damage((copy / SHARD).read_bytes()))
    sealed(copy)
    with refusal_of("copy"):
        shards = open_shards(copy, verify=True)
        for shard in shards.shards:
            assert int(shard.tokens[:].max()) < shards.vocab_size
        learned(copy)
    diagnosed(copy)


@few(5)
@given(data=st.data())
def test_a_manifest_of_tokens(sound, folder, data):
    copy = copied(sound("shards"), folder)
    manifest = (copy / "manifest.json").read_bytes()
    (copy / "manifest.json").write_bytes(data.draw(mutated_json([manifest])))
    with refusal_of("copy", "shard", "DATA", "--"):
        learned(copy)
    diagnosed(copy)


_OF_IMAGES: dict[str, Any] = {
    "encoder": "vit-mini", "start": None, "max_length": PretrainSettings.max_length,
    "image_size": 16, "patch_size": 4,
}  # fmt: skip


@few(2)
@given(damage=damaged_tensors())
def test_image_shards(sound, folder, damage):
    copy = copied(sound("images"), folder)
    (copy / SHARD).write_bytes(damage((copy / SHARD).read_bytes()))
    sealed(copy)
    with refusal_of("copy"):
        images = ImageShards.read(copy, verify=True)
        assert sum(images[number].size for number in range(len(images))) > 0
        learned(copy, **_OF_IMAGES)
    diagnosed(copy)


@few(5)
@given(data=st.data())
def test_a_manifest_of_images(sound, folder, data):
    copy = copied(sound("images"), folder)
    manifest = (copy / "manifest.json").read_bytes()
    (copy / "manifest.json").write_bytes(data.draw(mutated_json([manifest])))
    with refusal_of("copy", "shard", "DATA", "--"):
        learned(copy, **_OF_IMAGES)
    diagnosed(copy)


def seal_progress(path: Path, kind: type[TokenResumeState] | type[ImageResumeState]) -> None:
    """Give a progress file that still has its form the checksum of what it holds."""
    with contextlib.suppress(Exception):
        values = json.loads(path.read_bytes())
        state = kind(**values)
        values["sha256"] = state._sha256()
        path.write_text(json.dumps(values))


@few(3)
@given(data=st.data())
def test_progress_of_prepare(sound, folder, data):
    copy = copied(sound("half"), folder)
    name = data.draw(st.sampled_from(("progress.json", "hashes-00000.u64", SHARD)))
    before = (copy / name).read_bytes()
    is_json = name.endswith("json")
    (copy / name).write_bytes(data.draw(mutated_text([before]) if is_json else mutated([before])))
    base = sound("half").parent
    with refusal_of("copy"):
        prepare_again(base / "texts.txt", base / "tokenizer", copy)
        for path in sound("shards").glob("*.safetensors"):
            assert (copy / path.name).read_bytes() == path.read_bytes()


@FUZZED
@given(data=st.data())
def test_sealed_progress_of_prepare(sound, folder, data):
    copy = copied(sound("half"), folder)
    progress = copy / "progress.json"
    progress.write_bytes(data.draw(mutated_json([progress.read_bytes()])))
    seal_progress(progress, TokenResumeState)
    base = sound("half").parent
    with refusal_of("copy", "texts.txt"):
        prepare_again(base / "texts.txt", base / "tokenizer", copy)


@FUZZED
@given(data=st.data())
def test_progress_of_decoding(sound, folder, data):
    copy = copied(sound("half images"), folder)
    name = data.draw(st.sampled_from(("progress.json", SHARD)))
    before = (copy / name).read_bytes()
    change = mutated_json([before]) if name.endswith("json") else mutated([before])
    (copy / name).write_bytes(data.draw(change))
    seal_progress(copy / "progress.json", ImageResumeState)
    with refusal_of("copy", "images", "pictures"):
        decode_again(sound("images").with_name("pictures"), copy)


def predicted(model: Path) -> None:
    Predictor.load(model, device="cpu", threads=1).predict(["a fine film"])


@FUZZED
@given(damage=damaged_tensors())
def test_weights(sound, folder, damage):
    copy = copied(sound("model"), folder)
    weights = copy / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with refusal_of("copy"):
        predicted(copy)


@FUZZED
@given(data=st.data())
def test_a_config(sound, folder, data):
    copy = copied(sound("model"), folder)
    config = (copy / "config.json").read_bytes()
    (copy / "config.json").write_bytes(data.draw(mutated_json([config]) | mutated_text([config])))
    with refusal_of("copy", "prediction"):
        predicted(copy)


_SIZES_OF_CONFIG = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "max_position_embeddings", "type_vocab_size", "pad_token_id", "layer_norm_eps",
    "initializer_range", "hidden_dropout_prob",
)  # fmt: skip


@FUZZED
@given(
    st.dictionaries(
        st.sampled_from(_SIZES_OF_CONFIG),
        st.sampled_from((0, 1, 2, 3, 7, 1000, 2**15, 2**20, 2**31, 2**53, 2**63, 1e300, -1)),
        min_size=1,
    )
)
def test_absurd_sizes_in_a_config(sound, folder, sizes):
    copy = copied(sound("model"), folder)
    config = json.loads((copy / "config.json").read_bytes())
    (copy / "config.json").write_text(json.dumps(config | sizes))
    with refusal_of("copy", "prediction"):
        predicted(copy)


@FUZZED
@given(data=st.data())
def test_a_tokenizer(sound, folder, data):
    copy = copied(sound("model"), folder)
    tokenizer, vocabulary = copy / "tokenizer.json", copy / "vocab.txt"
    if data.draw(st.booleans()):
        kept = tokenizer.read_bytes()
        tokenizer.write_bytes(data.draw(mutated_json([kept]) | mutated_text([kept])))
    else:
        tokenizer.unlink()
        vocabulary.write_bytes(data.draw(mutated_text([vocabulary.read_bytes()])))
    with refusal_of("copy", "tokenizer"):
        WordPieceEncoder(load_tokenizer(copy)).encode_batch(["a fine film", "ééé 한국 zzz"])
        predicted(copy)


def damaged_checkpoint(run: Path, data: st.DataObject) -> None:
    """Damage a file of a run's checkpoint."""
    (checkpoint,) = (run / "checkpoints").iterdir()
    names = sorted(path.name for path in checkpoint.iterdir())
    path = checkpoint / data.draw(st.sampled_from([*names, "state.json", "../../metrics.jsonl"]))
    before = path.read_bytes()
    if path.suffix == ".jsonl":
        path.write_bytes(data.draw(mutated_text([before])))
    elif path.suffix == ".json":
        path.write_bytes(data.draw(mutated_json([before]) | mutated_text([before])))
    else:
        path.write_bytes(data.draw(damaged_tensors())(before))


@few(2)
@given(data=st.data())
def test_a_checkpoint_of_pretraining(sound, folder, data):
    copy = copied(sound("stopped"), folder)
    damaged_checkpoint(copy, data)
    with refusal_of("copy"):
        resume_pretraining(ResumeSettings(run=str(copy)))
    diagnosed(copy)


@few(2)
@given(data=st.data())
def test_a_checkpoint_of_finetuning(sound, folder, data):
    copy = copied(sound("stopped task"), folder)
    damaged_checkpoint(copy, data)
    with refusal_of("copy", "learning-rate"):
        resume(ResumeSettings(run=str(copy)))
    diagnosed(copy)
