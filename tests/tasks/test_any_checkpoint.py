"""Whatever form `transformers` gave a BERT, it answers here as it does there, and goes back."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
)

from selfsup.corpus.tokenizer.folder import load_tokenizer, save_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.encoder.config import bert_config
from selfsup.encoder.huggingface.config import config_of
from selfsup.encoder.huggingface.folder import save_model
from selfsup.errors import UserError
from selfsup.inference.scoring import score
from selfsup.tasks.registry import load_task_model
from selfsup.training.compute import Compute

FLOAT32 = Compute(torch.device("cpu"), torch.float32)
WORDS = ("the", "film", "Film", "café", "Café", "cafe", "Cafe", "漢", "漢字", "字")
TOKENS = (*SPECIAL_TOKENS, *WORDS)
TEXTS = ["the film", "Film Café", "café THE film 漢字", "CAFE Cafe cafe", "the the film Film the"]
Weights = dict[str, torch.Tensor]


def write_tokenizer(folder: Path, *, lowercase: bool = True, strip: bool | None = None) -> None:
    places = {token: place for place, token in enumerate(TOKENS)}
    save_tokenizer(wordpiece_tokenizer(places, lowercase=lowercase, strip_accents=strip), folder)


def write_peer(folder: Path, labels: int = 2) -> Path:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(TOKENS),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=40,
        initializer_range=0.4,
        id2label={number: f"LABEL_{number}" for number in range(labels)},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def our_scores(folder: Path) -> np.ndarray:
    loaded = load_task_model(folder)
    examples = loaded.task.examples_of(TEXTS, None)
    encoded = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation)
    return score(loaded.model, encoded.windows, FLOAT32)


def their_scores(folder: Path) -> np.ndarray:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in TEXTS]
    return torch.stack(logits).numpy()


def assert_same_scores(folder: Path) -> None:
    ours, theirs = our_scores(folder), their_scores(folder)
    assert ours.std(axis=0).max() > 1e-3  # the texts are told apart
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def change_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(safetensors.torch.load_file(path)), path, {"format": "pt"})


def change_config(folder: Path, **changed: Any) -> None:
    """Set entries of config.json, or drop those that are None."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changed
    kept = {name: value for name, value in config.items() if value is not None}
    path.write_text(json.dumps(kept))


def old_names(weights: Weights) -> Weights:
    def old(name: str) -> str:
        return name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")

    return {old(name): tensor for name, tensor in weights.items()}


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_a_classifier_of_any_number_of_labels(tmp_path, labels):
    assert_same_scores(write_peer(tmp_path, labels))


def test_a_configuration_that_says_nothing_of_labels_is_of_two(tmp_path):
    write_peer(tmp_path, 2)
    change_config(tmp_path, id2label=None, label2id=None, problem_type=None)
    assert load_task_model(tmp_path).labels.names == ("LABEL_0", "LABEL_1")
    assert_same_scores(tmp_path)


def test_a_configuration_that_only_counts_its_labels(tmp_path):
    write_peer(tmp_path, 3)
    change_config(tmp_path, id2label=None, label2id=None, num_labels=3)
    assert load_task_model(tmp_path).labels.names == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert_same_scores(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(tmp_path, dtype):
    write_peer(tmp_path)
    change_weights(tmp_path, lambda weights: {n: t.to(dtype) for n, t in weights.items()})
    assert_same_scores(tmp_path)


def test_several_files_of_weights(tmp_path):
    model = BertForSequenceClassification.from_pretrained(write_peer(tmp_path / "whole"))
    model.save_pretrained(tmp_path / "shards", max_shard_size="15KB")
    write_tokenizer(tmp_path / "shards")
    assert (tmp_path / "shards" / "model.safetensors.index.json").exists()
    assert_same_scores(tmp_path / "shards")


def test_old_names_of_norms(tmp_path):
    folder = write_peer(tmp_path / "new")
    shutil.copytree(folder, tmp_path / "old")
    change_weights(tmp_path / "old", old_names)
    np.testing.assert_array_equal(our_scores(tmp_path / "old"), our_scores(folder))


def test_weights_of_other_heads_are_of_no_account(tmp_path):
    folder = write_peer(tmp_path)
    before = our_scores(folder)
    extra = {"cls.predictions.bias": torch.zeros(15), "qa_outputs.weight": torch.zeros(2, 24)}
    change_weights(folder, lambda weights: weights | extra)
    np.testing.assert_array_equal(our_scores(folder), before)


@pytest.mark.parametrize(
    ("files", "config"),
    [
        (["vocab.txt"], None),
        (["tokenizer.json"], None),
        (["vocab.txt"], {"do_lower_case": False}),
        (["vocab.txt"], {"do_lower_case": True, "strip_accents": False}),
        (["vocab.txt"], {"do_lower_case": False, "strip_accents": True}),
        (["vocab.txt", "tokenizer.json"], {"do_lower_case": False}),
        (["tokenizer.json"], {"do_lower_case": True, "strip_accents": False}),
        (["tokenizer.json"], {"do_lower_case": False, "strip_accents": True}),
        (["tokenizer.json"], {"do_lower_case": True, "tokenize_chinese_chars": False}),
    ],
)
def test_whichever_files_say_how_texts_are_cut(tmp_path, files, config):
    folder = write_peer(tmp_path)
    (folder / "tokenizer_config.json").unlink()
    for name in {"vocab.txt", "tokenizer.json"} - set(files):
        (folder / name).unlink()
    if config is not None:
        config = {"tokenizer_class": "BertTokenizer", **config}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert_same_scores(folder)


def test_a_cased_tokenizer_alone_is_written_so_that_transformers_keeps_the_case(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    write_tokenizer(source, lowercase=False)
    (source / "tokenizer_config.json").unlink()
    (source / "vocab.txt").unlink()
    save_model(
        out,
        {"x": torch.zeros(1)},
        config_of(bert_config("bert-tiny", 15), "BertModel"),
        source,
        "# Card\n",
    )
    ids = load_tokenizer(source).encode("Film Café").ids
    assert ids == load_tokenizer(out).encode("Film Café").ids == [2, 7, 9, 3]
    assert AutoTokenizer.from_pretrained(out)("Film Café").input_ids == ids


def test_a_tokenizer_of_no_model_goes_by_its_own_rules(tmp_path):
    write_tokenizer(tmp_path, lowercase=False)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": True}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    raw = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path).encode("Film").ids == raw.encode("Film").ids == [2, 7, 3]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("MPNetForSequenceClassification", "describes a model of type 'mpnet'; only models of"),
        ("BertForMultipleChoice", "its config.json names BertForMultipleChoice"),
        ("BertModel", "its config.json names BertModel"),
    ],
)
def test_models_of_another_kind_are_refused_in_one_line(tmp_path, model, said):
    kind = getattr(transformers, model)
    sizes = {"vocab_size": 15, "hidden_size": 8, "intermediate_size": 8, "dim": 8, "n_heads": 1}
    config = kind.config_class(num_hidden_layers=1, n_layers=1, num_attention_heads=1, **sizes)
    kind(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=said) as refusal:
        load_task_model(tmp_path)
    assert "\n" not in str(refusal.value)
