"""ELECTRA computes what `transformers` computes, and does all that a BERT does."""

import pytest

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.families.electra import ElectraConfig
from tests.encoder.families.commands import check_commands, check_pretraining, write_model
from tests.encoder.families.equal_to_transformers import check_family
from tests.toy_tasks import VOCABULARY, toy_tokenizer


@pytest.mark.parametrize("seed", range(6))
def test_electra_computes_what_transformers_computes(tmp_path, seed):
    check_family(
        ElectraConfig,
        tmp_path,
        seed,
        lambda draw: {
            "embedding_size": draw.choice([4, 8, 16]),
            "type_vocab_size": draw.randint(1, 2),
            "hidden_act": draw.choice(["gelu", "relu"]),
        },
    )


def test_electra_does_all_that_a_bert_does(tmp_path):
    save_tokenizer(toy_tokenizer(), tmp_path / "tokenizer")
    model = write_model(
        tmp_path / "model", ElectraConfig, tmp_path / "tokenizer", len(VOCABULARY),
        embedding_size=16,
    )  # fmt: skip
    check_commands(model, tmp_path)
    check_pretraining(model, tmp_path)
