"""Weights in one file, in several, and in pickles, which are refused with their conversion."""

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
import safetensors.torch
import torch
from transformers import BertConfig, BertModel

from selfsup.encoder.huggingface.weights import read_tensors, read_weight_files, write_tensors
from selfsup.errors import UserError
from tests.encoder_folders import load_encoder

CONFIG = BertConfig(
    vocab_size=40,
    hidden_size=24,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=16,
)


def peer() -> BertModel:
    torch.manual_seed(0)
    return BertModel(CONFIG)


def assert_same(weights: dict[str, torch.Tensor], model: torch.nn.Module) -> None:
    expected = model.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def save_in_shards(folder: Path) -> BertModel:
    model = peer()
    model.save_pretrained(folder, max_shard_size="15KB")
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 2
    assert not (folder / "model.safetensors").exists()
    return model


def test_weights_that_transformers_saved_in_several_files_are_read_whole(tmp_path):
    model = save_in_shards(tmp_path)
    assert_same(read_weight_files(tmp_path), model)
    assert load_encoder(tmp_path)[1] == ()


def test_a_missing_shard_is_named(tmp_path):
    save_in_shards(tmp_path)
    lost = sorted(tmp_path.glob("model-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(UserError, match=f"{lost.name}: no such file"):
        read_weight_files(tmp_path)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "must be a JSON object"),
        ({"weight_map": {"x": "../other.safetensors"}}, "which is no file of this folder"),
        ({"weight_map": {"x": "some.safetensors"}}, "x is not in some.safetensors"),
    ],
)
def test_a_damaged_index_is_refused_in_one_line(tmp_path, index, said):
    safetensors.torch.save_file({"y": torch.zeros(1)}, tmp_path / "some.safetensors")
    text = index if isinstance(index, str) else json.dumps(index)
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=said) as refusal:
        read_weight_files(tmp_path)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("shards", [1, 2])
def test_pickles_are_refused_with_a_command_that_converts_them(tmp_path, shards):
    model = peer()
    folder = tmp_path / "it's a model"
    folder.mkdir()
    weights = model.state_dict()
    weights["tied"] = weights["pooler.dense.weight"]
    weights["turned"] = torch.arange(6).view(2, 3).T  # not laid out as safetensors wants it
    names = list(weights)
    for shard in range(shards):
        part = {name: weights[name] for name in names[shard::shards]}
        ending = "" if shards == 1 else f"-0000{shard + 1}-of-0000{shards}"
        torch.save(part, folder / f"pytorch_model{ending}.bin")
    with pytest.raises(UserError, match=r"not read.*convert it: ") as refusal:
        read_weight_files(folder)
    assert "\n" not in str(refusal.value)
    subprocess.run(str(refusal.value).split("convert it: ")[1], shell=True, check=True)
    converted = read_weight_files(folder)
    assert torch.equal(converted.pop("turned"), weights["turned"])
    assert torch.equal(converted.pop("tied"), weights["tied"])
    assert_same(converted, model)


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_weights_may_be_read_by_whom_other_files_may(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_tensors(tmp_path / "model.safetensors", {"a": torch.ones(2)})
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_weights_that_may_not_be_read_are_there_all_the_same(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    write_tensors(tmp_path / "model.safetensors", {"a": torch.ones(2)})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match="cannot be read: check who may read it"):
        read_tensors(tmp_path / "model.safetensors")


LYING_HEADERS = {
    "another type": {"dtype": "F64", "shape": [3], "data_offsets": [0, 12]},
    "an unknown type": {"dtype": "F128", "shape": [3], "data_offsets": [0, 12]},
    "a huge shape": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 12]},
    "beyond the end": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]},
    "before the beginning": {"dtype": "F32", "shape": [3], "data_offsets": [12, 0]},
}


@pytest.mark.parametrize("name", LYING_HEADERS)
def test_a_header_that_lies_is_refused(name, tmp_path):
    header = json.dumps({"weight": LYING_HEADERS[name]}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    with pytest.raises(UserError, match=r"model\.safetensors: cut short, damaged, or no") as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)


def test_tensors_that_overlap_are_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}
    header = json.dumps({"one": entry, "other": entry}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    with pytest.raises(UserError, match=r"model\.safetensors: cut short, damaged, or no"):
        read_tensors(path)


def test_a_header_of_a_million_tensors_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    path.write_bytes((3 << 20).to_bytes(8, "little"))
    with path.open("r+b") as file:
        file.truncate(4 << 20)
    monkeypatch.setattr(safetensors.torch, "load_file", None)
    with pytest.raises(UserError, match="its header has 3,145,728 bytes"):
        read_tensors(path)
