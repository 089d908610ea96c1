"""What cannot be opened ends in one line, whatever the family."""

import json
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.families import TEXT_FAMILIES
from selfsup.encoder.huggingface.config import config_of, read_config
from selfsup.encoder.huggingface.folder import tokenizer_of_model
from selfsup.errors import UserError
from selfsup.pretraining.run import pretrain
from selfsup.settings.pretrain import PretrainSettings
from tests.encoder.families.commands import write_model
from tests.toy_tasks import VOCABULARY, toy_tokenizer

OTHERS = sorted(set(TEXT_FAMILIES) - {"bert"})
SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
}


def write_config(folder, family, **changed):
    config = TEXT_FAMILIES[family].config(**SIZES, pad_token_id=0)
    entries = config_of(config, "X") | changed
    (folder / "config.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.parametrize("model_type", TEXT_FAMILIES)
@pytest.mark.parametrize("size", ["num_hidden_layers", "vocab_size", "num_attention_heads"])
@pytest.mark.parametrize("value", [2**53, 0, -1, "many", 10**30])
def test_forged_sizes_end_in_one_line(tmp_path, model_type, size, value):
    name = TEXT_FAMILIES[model_type].config_names.get(size, size)
    changed: dict[str, Any] = {name or "": value}
    folder = write_config(tmp_path, model_type, **changed)
    with pytest.raises(UserError, match=rf"config\.json: .*{name}") as refusal:
        read_config(folder)
    assert "\n" not in str(refusal.value)


def test_an_unknown_type_is_refused_with_the_known_ones(tmp_path):
    folder = write_config(tmp_path, "bert", model_type="mpnet")
    known = ", ".join(f"'{name}'" for name in TEXT_FAMILIES)
    with pytest.raises(UserError, match=f"of type 'mpnet'; only models of {known} can be loaded"):
        read_config(folder)


def test_a_tokenizer_of_another_kind_is_refused(tmp_path):
    folder = write_config(tmp_path, "roberta")
    Tokenizer(models.WordLevel({"a": 0}, "a")).save(str(folder / "tokenizer.json"))
    config, _ = read_config(folder)
    with pytest.raises(
        UserError, match="of the kind WordLevel; only WordPiece, byte-level BPE and Unigram"
    ):
        tokenizer_of_model(folder, config)


@pytest.mark.parametrize("model_type", OTHERS)
def test_next_sentences_are_for_bert(tmp_path, model_type):
    save_tokenizer(toy_tokenizer(), tmp_path / "tokenizer")
    kind = TEXT_FAMILIES[model_type].config
    words = len(VOCABULARY)
    model = write_model(tmp_path / "m", kind, tmp_path / "tokenizer", words, pad_token_id=0)
    (tmp_path / "text.txt").write_text("a film\n\na plot\n")
    settings = PretrainSettings(
        data=(str(tmp_path / "text.txt"),), init=str(model), objectives=("mlm", "nsp"), steps=1,
        max_length=16, out=str(tmp_path / "run"),
    )  # fmt: skip
    with pytest.raises(UserError, match=r"which has no head for nsp: add --objectives mlm$"):
        pretrain(settings)
