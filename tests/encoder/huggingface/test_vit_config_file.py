"""`config.json` of a ViT is read with Hugging Face's names and meanings, or refused by name."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import ViTConfig

from selfsup.encoder.config import VitConfig, bert_config, vit_config
from selfsup.encoder.huggingface.config import (
    config_of,
    read_config,
    read_model_type,
    read_vit_config,
)
from selfsup.errors import UserError
from tests.encoder.huggingface.vit_peers import SMALL, peer_config

RAW = config_of(SMALL, "ViTModel")


def folder_with(folder: Path, config: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_transformers_writes_is_read(tmp_path):
    config = dataclasses.replace(SMALL, hidden_act="relu", layer_norm_eps=1e-5, patch_size=4)
    peer_config(config).save_pretrained(tmp_path)
    ours, raw = read_vit_config(tmp_path)
    assert ours == config
    assert raw["transformers_version"]


def test_what_transformers_writes_of_its_usual_sizes_is_read(tmp_path):
    ViTConfig().save_pretrained(tmp_path)
    assert read_vit_config(tmp_path)[0] == vit_config("vit-base", image_size=224, patch_size=16)


def test_what_is_written_is_read_by_transformers_and_by_us(tmp_path):
    config = vit_config("vit-mini", image_size=40, patch_size=8, dropout=0.05)
    folder_with(tmp_path, config_of(config, "ViTModel"))
    theirs = ViTConfig.from_pretrained(tmp_path)
    assert theirs.architectures == ["ViTModel"]
    assert theirs.encoder_stride == 8
    assert {name: getattr(theirs, name) for name in vars(config)} == vars(config)
    assert read_vit_config(tmp_path)[0] == config


def test_constants_that_a_checkpoint_leaves_out_are_hugging_faces(tmp_path):
    fields = dataclasses.fields(VitConfig)
    constants = [field.name for field in fields if field.default is not dataclasses.MISSING]
    folder_with(tmp_path, {name: RAW[name] for name in RAW.keys() - set(constants)})
    ours, theirs = read_vit_config(tmp_path)[0], ViTConfig()
    for name in constants:
        assert getattr(ours, name) == getattr(theirs, name), name


def test_a_folder_tells_what_its_model_is_of(tmp_path):
    assert read_model_type(folder_with(tmp_path, RAW)) == "vit"
    assert read_model_type(folder_with(tmp_path, {"model_type": "bert"})) == "bert"
    assert read_model_type(folder_with(tmp_path, {})) == ""


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"model_type": "deit"}, "describes a model of type 'deit'; only models of 'vit'"),
        ({"model_type": None}, "names no model_type; only models of 'vit'"),
        ({"model_type": ["vit"]}, r"describes a model of type \['vit'\]; only models of 'vit'"),
        ({"qkv_bias": False}, "qkv_bias is False; only True can be loaded"),
        ({"num_channels": 1}, "num_channels is 1; only 3 can be loaded"),
        ({"hidden_act": "selu"}, "hidden_act is 'selu'; known are gelu, "),
        ({"image_size": [12, 9]}, r"image_size must be a whole number, not \[12, 9\]"),
        ({"image_size": 10}, "an image size of 10 is not a multiple of the patch size 3: take 9"),
        ({"patch_size": None}, "patch_size is missing"),
        ({"num_attention_heads": 5}, "hidden_size 24 is not a multiple"),
    ],
)
def test_a_model_that_is_not_ours_is_refused_with_file_and_field(tmp_path, changes, complaint):
    with pytest.raises(UserError, match=complaint) as refusal:
        read_vit_config(folder_with(tmp_path, {**RAW, **changes}))
    assert str(refusal.value).startswith(str(tmp_path / "config.json"))
    assert "\n" not in str(refusal.value)


def test_a_model_of_texts_is_refused_where_one_of_images_is_wanted(tmp_path):
    folder_with(tmp_path, config_of(bert_config("bert-tiny", 99), "BertModel"))
    said = r"describes a model of texts \('bert'\), but one of images \('vit'\) is needed here$"
    with pytest.raises(UserError, match=said):
        read_vit_config(tmp_path)


def test_a_model_of_images_is_refused_where_one_of_texts_is_wanted(tmp_path):
    said = r"describes a model of images \('vit'\), but one of texts \('bert'.*\) is needed here$"
    with pytest.raises(UserError, match=said):
        read_config(folder_with(tmp_path, RAW))
