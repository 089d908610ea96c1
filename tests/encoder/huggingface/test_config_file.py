"""`config.json` is read with Hugging Face's names and meanings, or refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig

from selfsup.encoder.config import EncoderConfig, bert_config
from selfsup.encoder.huggingface.config import config_of, read_config
from selfsup.errors import UserError

SIZES: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": 99,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def folder_with(folder: Path, config: Any) -> Path:
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text)
    return folder


def test_what_transformers_writes_is_read(tmp_path):
    theirs = BertConfig(
        **{**SIZES, "hidden_act": "relu", "layer_norm_eps": 1e-5, "type_vocab_size": 3}
    )
    theirs.save_pretrained(tmp_path)
    ours, raw = read_config(tmp_path)
    assert ours == EncoderConfig(
        vocab_size=99,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        hidden_act="relu",
        layer_norm_eps=1e-5,
        type_vocab_size=3,
    )
    assert raw["transformers_version"]


def test_what_is_written_is_read_by_transformers_and_by_us(tmp_path):
    config = bert_config("bert-mini", vocab_size=8192, dropout=0.05)
    folder_with(tmp_path, config_of(config, "BertForPreTraining"))
    theirs = BertConfig.from_pretrained(tmp_path)
    assert theirs.architectures == ["BertForPreTraining"]
    assert {name: getattr(theirs, name) for name in vars(config)} == vars(config)
    assert read_config(tmp_path)[0] == config


def test_settings_that_a_checkpoint_leaves_out_are_as_in_the_paper(tmp_path):
    ours, _ = read_config(folder_with(tmp_path, {**SIZES, "pad_token_id": None}))
    theirs = BertConfig(**SIZES)
    assert {name: getattr(theirs, name) for name in vars(ours)} == vars(ours)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (
            {**SIZES, "model_type": "mpnet"},
            "describes a model of type 'mpnet'; only models of 'bert'",
        ),
        ({"hidden_size": 8}, "names no model_type; only models of 'bert'"),
        ({**SIZES, "position_embedding_type": "relative_key"}, "position_embedding_type is 'rel"),
        ({**SIZES, "is_decoder": True}, "is_decoder is True; only False"),
        ({**SIZES, "hidden_act": "swish"}, "hidden_act is 'swish'; known are gelu, "),
        ({**SIZES, "hidden_size": "8"}, "hidden_size must be a whole number, not '8'"),
        ({**SIZES, "hidden_size": True}, "hidden_size must be a whole number, not True"),
        ({**SIZES, "layer_norm_eps": "small"}, "layer_norm_eps must be a number, not 'small'"),
        ({**SIZES, "vocab_size": None}, "vocab_size is missing"),
        ({**SIZES, "num_attention_heads": 3}, "hidden_size 8 is not a multiple"),
        ({**SIZES, "intermediate_size": 0}, "intermediate_size must be at least 1, not 0"),
        ("{", "cannot be read as JSON"),
        ("[]", r"must be a JSON object, not \[\]"),
    ],
)
def test_a_model_that_is_not_ours_is_refused_with_file_and_field(tmp_path, config, complaint):
    with pytest.raises(UserError, match=complaint) as refusal:
        read_config(folder_with(tmp_path, config))
    assert str(refusal.value).startswith(str(tmp_path / "config.json"))
    assert "\n" not in str(refusal.value)


def test_a_folder_without_a_configuration_is_no_model_folder(tmp_path):
    with pytest.raises(UserError, match=r"no model folder \(it holds no config.json\)"):
        read_config(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_config(tmp_path / "nowhere")
