"""Shards whose arrays, counts or checksums contradict each other are refused in one line."""

import hashlib
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from selfsup.errors import UserError
from selfsup.shards.images import ImageShards
from selfsup.shards.tokens import open_shards
from tests.shards.test_image_shards import write as write_images
from tests.shards.test_shards import write_shards

SHARD = "shard-00000.safetensors"
Arrays = dict[str, np.ndarray]


def seal(folder: Path, **changes: int) -> None:
    """Let the manifest fit the shard's file, as whoever forges one would do."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    data = (folder / SHARD).read_bytes()
    sealed = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["shards"][0] |= sealed | {
        name: value for name, value in changes.items() if name in manifest["shards"][0]
    }
    manifest |= changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def forge(folder: Path, change: Callable[[Arrays], object], **changes: int) -> None:
    """Change the arrays of a shard; ``changes`` are those of the manifest."""
    arrays = {name: array.copy() for name, array in load_file(folder / SHARD).items()}
    change(arrays)
    save_file(arrays, folder / SHARD)
    seal(folder, **changes)


def put(name: str, index: int, value: int) -> Callable[[Arrays], object]:
    return lambda arrays: arrays[name].__setitem__(index, value)


def of_type(name: str, dtype: type) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.__setitem__(name, arrays[name].astype(dtype))


def without_end(name: str, count: int = 1) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.__setitem__(name, arrays[name][:-count].copy())


def nothing(_: Arrays) -> None:
    pass


FORGED_TOKENS = {
    "an id beyond the vocabulary": (put("tokens", 3, 500), {}, "token id 500, of 100 ids"),
    "offsets that descend": (put("sentence_offsets", 1, 5), {}, "sentence_offsets do not ascend"),
    "an empty sentence": (put("sentence_offsets", 1, 0), {}, "sentence_offsets do not ascend"),
    "offsets beyond the tokens": (put("sentence_offsets", -1, 99), {}, "not reach from 0 to 6"),
    "offsets that begin late": (put("sentence_offsets", 0, 1), {}, "not reach from 0 to 6"),
    "documents beyond the sentences": (put("document_offsets", -1, 9), {}, "not reach from 0 to 3"),
    "a document of no sentences": (put("document_offsets", 1, 0), {}, "offsets do not ascend"),
    "no offsets": (without_end("sentence_offsets", 4), {}, "sentence_offsets do not reach"),
    "lost tokens": (without_end("tokens"), {}, "not reach from 0 to 5"),
    "tokens of 32 bits": (of_type("tokens", np.uint32), {}, "tokens of uint32 for 100 ids"),
    "tokens of 64 bits": (of_type("tokens", np.int64), {}, "tokens holds int64"),
    "short offsets": (of_type("sentence_offsets", np.uint16), {}, "sentence_offsets holds uint16"),
    "a wrong count of tokens": (nothing, {"tokens": 7}, "6 tokens where the manifest says 7"),
    "a wrong count of documents": (nothing, {"documents": 1}, "2 documents where the manifest"),
    "a smaller vocabulary": (nothing, {"vocab_size": 6}, "token id 6, of 6 ids"),
    "a larger vocabulary": (nothing, {"vocab_size": 70_000}, "tokens of uint16 for 70000 ids"),
}


@pytest.mark.parametrize("name", FORGED_TOKENS)
def test_forged_token_shards_are_refused(name, tmp_path):
    change, counts, message = FORGED_TOKENS[name]
    write_shards(tmp_path, [[[1, 2, 3], [4]], [[5, 6]]], vocab_size=100)
    open_shards(tmp_path, verify=True)
    forge(tmp_path, change, **counts)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        open_shards(tmp_path, verify=True)
    line = str(caught.value)
    assert SHARD in line
    assert line.endswith(f"delete {tmp_path} and run prepare again")
    assert "\n" not in line


@pytest.mark.parametrize("unit", ["tokens", "sentences", "documents"])
def test_totals_that_are_not_those_of_the_shards_are_refused(unit, tmp_path):
    write_shards(tmp_path, [[[1, 2, 3], [4]], [[5, 6]]])
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {unit: 2**50}))
    with pytest.raises(UserError, match=rf"manifest\.json: {unit} is \d+, but its shards have"):
        open_shards(tmp_path)


def test_a_shard_that_is_listed_twice_is_refused(tmp_path):
    write_shards(tmp_path, [[[1, 2, 3], [4]], [[5, 6]]])
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    manifest["shards"] *= 2
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"manifest\.json: names a shard twice: delete"):
        open_shards(tmp_path)


FORGED_IMAGES = {
    "a larger image": (put("sizes", 0, 3), {}, "sizes and offsets of images"),
    "sides that overflow": (put("sizes", 0, 2**62), {}, "sides from 1 to 4611686018427387904"),
    "an image of no height": (put("sizes", 0, 0), {}, "sides from 0 to 2"),
    "a negative side": (put("sizes", 0, -2), {}, "sides from -2 to 2"),
    "a lost size": (without_end("sizes"), {}, "3 offsets and 3 sizes"),
    "offsets that descend": (put("offsets", 1, 99), {}, "offsets do not ascend"),
    "offsets beyond the pixels": (put("offsets", -1, 99), {}, "not reach from 0 to 12"),
    "lost pixels": (without_end("pixels"), {}, "not reach from 0 to 11"),
    "pixels of 16 bits": (of_type("pixels", np.uint16), {}, "pixels holds uint16"),
    "a wrong count": (nothing, {"images": 3}, "2 images where the manifest says 3"),
}


@pytest.mark.parametrize("name", FORGED_IMAGES)
def test_forged_image_shards_are_refused(name, tmp_path):
    change, counts, message = FORGED_IMAGES[name]
    write_images(tmp_path, [(2, 1), (1, 2)])
    ImageShards.read(tmp_path, verify=True)
    forge(tmp_path, change, **counts)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        ImageShards.read(tmp_path)
    line = str(caught.value)
    assert SHARD in line
    assert line.endswith(f"delete {tmp_path} and read the images again")


HEADERS = {
    "a huge header": struct.pack("<Q", 2**60),
    "a header beyond the file": struct.pack("<Q", 10_000),
    "an array beyond the file": {"dtype": "U16", "shape": [500], "data_offsets": [0, 1000]},
    "an array that ends before it begins": {"dtype": "U16", "shape": [2], "data_offsets": [8, 4]},
    "a shape of another size": {"dtype": "U16", "shape": [2**50], "data_offsets": [0, 12]},
    "a negative shape": {"dtype": "U16", "shape": [-6], "data_offsets": [0, 12]},
    "a matrix": {"dtype": "U16", "shape": [2, 3], "data_offsets": [0, 12]},
    "floats": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie_are_refused(name, tmp_path):
    write_shards(tmp_path, [[[1, 2, 3], [4]], [[5, 6]]])
    path, lie = tmp_path / SHARD, HEADERS[name]
    data = path.read_bytes()
    if isinstance(lie, bytes):
        data = lie + data[8:]
    else:
        header = json.dumps({"tokens": lie}).encode()
        data = struct.pack("<Q", len(header)) + header + data[-12:]
    path.write_bytes(data)
    seal(tmp_path)
    with pytest.raises(UserError, match=rf"{SHARD}: damaged .*: run prepare again") as caught:
        open_shards(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_shards, write_images])
def test_an_altered_shard_is_refused_where_it_is_verified(write, tmp_path):
    is_text = write is write_shards
    write(tmp_path, [[[1, 2]], [[3]]] if is_text else [(8, 9)])
    path = tmp_path / SHARD
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    read = open_shards if is_text else ImageShards.read
    read(tmp_path)
    with pytest.raises(UserError, match=rf"{SHARD}: its checksum is not .*: (run|delete)"):
        read(tmp_path, verify=True)


def test_a_shard_that_is_cut_short_while_it_is_in_use_ends_in_one_line(tmp_path):
    write_shards(tmp_path / "text", [[[1, 2, 3], [4]], [[5, 6]]])
    write_images(tmp_path / "images", [(8, 9)])
    (shard,), images = (
        open_shards(tmp_path / "text").shards, ImageShards.read(tmp_path / "images"),
    )  # fmt: skip
    for folder in ("text", "images"):
        path = tmp_path / folder / SHARD
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 1)
    with pytest.raises(UserError, match=rf"{SHARD}: was cut short while it was in use: run"):
        shard.tokens[4:6]
    with pytest.raises(UserError, match=rf"{SHARD}: was cut short while it was in use: delete"):
        images[0]
