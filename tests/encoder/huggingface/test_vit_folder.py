"""Folders of image models go to Hugging Face and back, and damaged ones are refused in one line."""

import dataclasses
import errno
import os
from pathlib import Path

import numpy
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    AutoImageProcessor,
    AutoModel,
    ViTForImageClassification,
    ViTForMaskedImageModeling,
    ViTModel,
)

from selfsup.encoder.config import VitConfig
from selfsup.encoder.huggingface.config import config_of
from selfsup.encoder.huggingface.vit_folder import save_vit
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from tests.encoder.huggingface.vit_peers import (
    SMALL,
    encode,
    new_vit,
    peer_config,
    peer_of,
    random_images,
    unlike_its_start,
)
from tests.encoder_folders import load_vit, vit_state

SIZES = [
    SMALL,
    dataclasses.replace(SMALL, image_size=32, patch_size=16, num_hidden_layers=2),
    dataclasses.replace(SMALL, image_size=5, patch_size=1, hidden_act="relu", layer_norm_eps=1e-5),
]
by_patch = pytest.mark.parametrize("config", SIZES, ids=lambda config: f"patch{config.patch_size}")


def save(
    folder: Path,
    encoder: VitEncoder,
    architecture: str = "ViTModel",
    heads: dict[str, Tensor] | None = None,
) -> Path:
    config = config_of(encoder.config, architecture)
    save_vit(folder, vit_state(encoder) | (heads or {}), config, "# A model\n")
    return folder


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
    return all(p == q and torch.equal(x, y) for (p, x), (q, y) in pairs)


def rewrite_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path)


def test_a_saved_encoder_comes_back_bit_for_bit(tmp_path):
    encoder = new_vit()
    loaded, missing = load_vit(save(tmp_path / "model", encoder))
    assert same_weights(loaded, encoder)
    assert loaded.config == encoder.config
    assert not loaded.training
    assert missing == ()


@by_patch
def test_transformers_loads_what_is_saved_and_agrees(tmp_path, config: VitConfig):
    encoder = new_vit(config)
    folder = save(tmp_path / "model", encoder, heads={"inpainting.mask_token": torch.zeros(1)})
    peer, info = ViTModel.from_pretrained(  # type: ignore[misc]
        folder, add_pooling_layer=False, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]
    assert set(info["unexpected_keys"]) == {"inpainting.mask_token"}
    images = random_images(config, 3)
    with torch.no_grad():
        theirs = peer.eval()(images).last_hidden_state
    torch.testing.assert_close(encode(encoder, images), theirs, atol=1e-5, rtol=0)


def test_transformers_finds_the_class_of_a_saved_encoder_and_lacks_but_a_pooler(tmp_path):
    folder = save(tmp_path / "model", new_vit())
    peer, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert type(peer) is ViTModel
    assert set(info["missing_keys"]) == {"pooler.dense.weight", "pooler.dense.bias"}
    assert not info["unexpected_keys"]


def test_transformers_loads_a_classifier_that_is_saved_and_agrees(tmp_path):
    encoder = new_vit()
    weight, bias = torch.randn(2, SMALL.hidden_size), torch.randn(2)
    heads = {"classifier.weight": weight, "classifier.bias": bias}
    folder = save(tmp_path / "model", encoder, "ViTForImageClassification", heads)
    peer, info = ViTForImageClassification.from_pretrained(  # type: ignore[misc]
        folder, output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    images = random_images(SMALL, 3)
    with torch.no_grad():
        theirs = peer.eval()(images).logits
    ours = torch.nn.functional.linear(encode(encoder, images)[:, 0], weight, bias)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@by_patch
@pytest.mark.parametrize("names_of_the_file", [True, False], ids=["as files", "as in memory"])
def test_what_transformers_saves_is_loaded_and_agrees(tmp_path, config, names_of_the_file):
    peer = peer_of(config, 1)
    peer.save_pretrained(tmp_path, save_original_format=names_of_the_file)
    encoder, missing = load_vit(tmp_path)
    assert encoder.config == config
    assert missing == ()
    images = random_images(config, 3)
    with torch.no_grad():
        theirs = peer(images).last_hidden_state
    torch.testing.assert_close(encode(encoder, images), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "model_class", [ViTForImageClassification, ViTForMaskedImageModeling, ViTModel]
)
def test_heads_that_transformers_saves_are_left_out(tmp_path, model_class):
    torch.manual_seed(0)
    peer = unlike_its_start(model_class(peer_config(SMALL)).eval(), 0)
    peer.save_pretrained(tmp_path)
    encoder, missing = load_vit(tmp_path)
    assert missing == ()
    images = random_images(SMALL, 2)
    with torch.no_grad():
        theirs = peer.base_model(images).last_hidden_state
    torch.testing.assert_close(encode(encoder, images), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [6, 9, 15, 24])
def test_for_another_image_size_positions_are_interpolated_as_by_transformers(tmp_path, side):
    peer = peer_of(SMALL, 2)
    peer.save_pretrained(tmp_path)
    encoder, missing = load_vit(tmp_path, image_size=side)
    assert encoder.config == dataclasses.replace(SMALL, image_size=side)
    assert missing == ()
    images = random_images(SMALL, 2, side=side)
    with torch.no_grad():
        theirs = peer(images, interpolate_pos_encoding=True).last_hidden_state
    torch.testing.assert_close(encode(encoder, images), theirs, atol=1e-5, rtol=0)


def test_with_the_image_size_it_has_a_model_is_loaded_as_it_is(tmp_path):
    folder = save(tmp_path / "model", new_vit())
    assert same_weights(load_vit(folder, SMALL.image_size)[0], load_vit(folder)[0])


def test_an_image_size_that_patches_do_not_divide_is_refused(tmp_path):
    folder = save(tmp_path / "model", new_vit())
    with pytest.raises(UserError, match="16 is not a multiple of the patch size 3: take 15"):
        load_vit(folder, image_size=16)


def test_transformers_makes_pixel_values_from_minus_one_to_one(tmp_path):
    folder = save(tmp_path / "model", new_vit())
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    assert type(processor).__name__.startswith("ViTImageProcessor")
    pixels = numpy.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=numpy.uint8)
    image = Image.fromarray(pixels)
    ours = numpy.asarray(image.resize((12, 12), Image.Resampling.BILINEAR), numpy.float32)
    theirs = numpy.asarray(processor(image)["pixel_values"][0])
    numpy.testing.assert_allclose(theirs.transpose(1, 2, 0), ours / 127.5 - 1, atol=1e-6)


def test_the_folder_holds_what_it_should_and_nothing_else(tmp_path):
    folder = save(tmp_path / "model", new_vit())
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]


def test_a_full_disk_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    folder = save(tmp_path / "model", new_vit(seed=1))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match="model: the disk is full"):
        save(folder, new_vit(seed=2))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        (".layer.10.", r"vit\.encoder\.layer\.10\.\S+ and 15 more"),
        ("cls_token", r"vit\.embeddings\.cls_token"),
        ("vit.layernorm", r"vit\.layernorm\.bias and 1 more"),
    ],
)
def test_half_an_encoder_is_refused(tmp_path, lost, named):
    folder = save(tmp_path / "model", new_vit())
    rewrite_weights(folder, lambda weights: {n: t for n, t in weights.items() if lost not in n})
    with pytest.raises(UserError, match=rf"model: lacks {named}: not a whole ViT$"):
        load_vit(folder)


@pytest.mark.parametrize("image_size", [None, 24])
def test_weights_of_another_size_than_the_configuration_are_refused(tmp_path, image_size):
    folder = save(tmp_path / "model", new_vit())
    config = config_of(dataclasses.replace(SMALL, image_size=15), "ViTModel")
    save_vit(folder, vit_state(new_vit()), config, "# A model\n")
    said = r"position_embeddings has sizes \(1, 17, 24\), but by config.json .*\(1, \d+, 24\)"
    with pytest.raises(UserError, match=said) as refusal:
        load_vit(folder, image_size)
    assert "\n" not in str(refusal.value)


def test_a_file_cut_short_and_one_that_is_missing_are_refused(tmp_path):
    path = save(tmp_path / "model", new_vit()) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"model\.safetensors: cut short"):
        load_vit(path.parent)
    path.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: no such file"):
        load_vit(path.parent)


def test_a_pickle_is_refused_in_one_line(tmp_path):
    folder = save(tmp_path / "model", new_vit())
    (folder / "model.safetensors").unlink()
    torch.save(vit_state(new_vit()), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: pickles can run code") as refusal:
        load_vit(folder)
    assert "\n" not in str(refusal.value)


def test_half_precision_is_widened(tmp_path):
    encoder = new_vit().half()
    folder = save(tmp_path / "model", encoder.float())
    rewrite_weights(folder, lambda weights: {n: t.half() for n, t in weights.items()})
    assert same_weights(load_vit(folder)[0], encoder)
    assert load_vit(folder, image_size=24)[0].embeddings.cls_token.dtype == torch.float32
