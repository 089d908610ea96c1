"""ModernBERT computes what `transformers` computes, and does all that a BERT does."""

import json
from typing import Any

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from selfsup.encoder.attention import attend
from selfsup.encoder.families.modernbert import ModernBertConfig
from selfsup.encoder.huggingface.config import read_config
from selfsup.encoder.rotary import attend_in_blocks, bias_of_blocks
from selfsup.errors import UserError
from tests.encoder.families.commands import check_commands, write_model
from tests.encoder.families.equal_to_transformers import check_family
from tests.encoder.families.tokenizers_of_peers import byte_level_bpe


@pytest.mark.parametrize("seed", range(10))
def test_modernbert_computes_what_transformers_computes(tmp_path, seed):
    check_family(
        ModernBertConfig,
        tmp_path,
        seed,
        lambda draw: {
            "pad_token_id": 0,
            "local_attention": draw.choice([2, 4, 7, 16, 128]),
            "global_attn_every_n_layers": draw.randint(1, 3),
            "global_rope_theta": draw.choice([100.0, 160_000.0]),
            "local_rope_theta": draw.choice([10.0, 10_000.0]),
            "classifier_pooling": draw.choice(["cls", "mean"]),
            "classifier_activation": draw.choice(["gelu", "relu"]),
            "hidden_act": draw.choice(["gelu", "relu"]),
        },
    )


def test_what_transformers_writes_is_read(tmp_path):
    old: Any = {
        "global_attn_every_n_layers": 2, "global_rope_theta": 1000.0, "local_rope_theta": 50.0
    }  # fmt: skip
    peer = transformers.ModernBertConfig(num_hidden_layers=4, pad_token_id=3, **old)
    peer.save_pretrained(tmp_path)
    config, _ = read_config(tmp_path)
    assert isinstance(config, ModernBertConfig)
    assert [config.is_local(layer) for layer in range(4)] == [False, True, False, True]
    assert (config.theta(False), config.theta(True)) == (1000.0, 50.0)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"layer_types": ["full_attention"]}, "layer_types names 1 layers"),
        ({"layer_types": ["other"] * 4}, "layer_types"),
        ({"rope_parameters": {"full_attention": {"rope_type": "yarn"}}}, "rope_type"),
        ({"rope_parameters": {"full_attention": {"rope_theta": -1.0}}}, "rope_theta must be above"),
        ({"attention_bias": True}, "attention_bias is True; only False can be loaded"),
        ({"local_attention": 1}, "local_attention must be at least 2"),
        ({"classifier_pooling": "max"}, "classifier_pooling"),
    ],
)
def test_what_cannot_be_computed_is_refused(tmp_path, changes, said):
    peer = transformers.ModernBertConfig(num_hidden_layers=4)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**peer.to_dict(), **changes}))
    with pytest.raises(UserError, match=said) as refusal:
        read_config(tmp_path)
    assert "\n" not in str(refusal.value)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 9), st.integers(0, 99))
def test_attention_in_blocks_is_attention_with_a_mask(lengths, reach, seed):
    generator = torch.Generator().manual_seed(seed)
    length = max(lengths)
    q, k, v = torch.randn(3, len(lengths), 2, length, 4, generator=generator)
    places = torch.arange(length)
    is_seen = (places[:, None] - places).abs() <= reach
    is_seen = is_seen & (places < torch.tensor(lengths)[:, None, None])
    bias = torch.zeros(is_seen.shape).masked_fill(~is_seen, -1e9)[:, None]
    theirs = attend(q, k, v, bias)
    blocks = bias_of_blocks(torch.tensor(lengths), length, reach, q.dtype)
    ours = attend_in_blocks(q, k, v, blocks, reach, 0.0)
    for row, size in enumerate(lengths):
        torch.testing.assert_close(ours[row, :, :size], theirs[row, :, :size])


def test_modernbert_does_all_that_a_bert_does(tmp_path):
    size = byte_level_bpe(tmp_path / "tokenizer")
    model = write_model(
        tmp_path / "model", ModernBertConfig, tmp_path / "tokenizer", size, pad_token_id=1,
        local_attention=8, max_position_embeddings=70,
    )  # fmt: skip
    check_commands(model, tmp_path)
