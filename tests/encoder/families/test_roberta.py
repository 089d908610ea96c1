"""RoBERTa, XLM-RoBERTa and CamemBERT compute what `transformers` computes."""

import pytest

from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.encoder.families.roberta import CamembertConfig, RobertaConfig, XlmRobertaConfig
from tests.encoder.families.commands import check_commands, check_pretraining, write_model
from tests.encoder.families.equal_to_transformers import check_family
from tests.encoder.families.tokenizers_of_peers import byte_level_bpe, unigram
from tests.toy_tasks import VOCABULARY, toy_tokenizer


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", [RobertaConfig, XlmRobertaConfig, CamembertConfig])
def test_they_compute_what_transformers_computes(tmp_path, kind, seed):
    check_family(
        kind,
        tmp_path,
        seed,
        lambda draw: {
            "type_vocab_size": draw.randint(1, 2),
            "pad_token_id": draw.randint(0, 1),
            "layer_norm_eps": draw.choice([1e-12, 1e-5]),
        },
    )


def test_a_roberta_with_a_wordpiece_tokenizer_does_all_that_a_bert_does(tmp_path):
    save_tokenizer(toy_tokenizer(), tmp_path / "tokenizer")
    model = write_model(
        tmp_path / "model", RobertaConfig, tmp_path / "tokenizer", len(VOCABULARY),
        type_vocab_size=1, pad_token_id=0,
    )  # fmt: skip
    check_commands(model, tmp_path)
    check_pretraining(model, tmp_path)


@pytest.mark.parametrize(
    ("kind", "write_tokenizer"),
    [(RobertaConfig, byte_level_bpe), (XlmRobertaConfig, unigram)],
)
def test_with_a_tokenizer_of_their_own_they_do_so_too(tmp_path, kind, write_tokenizer):
    size = write_tokenizer(tmp_path / "tokenizer")
    model = write_model(tmp_path / "model", kind, tmp_path / "tokenizer", size, type_vocab_size=1)
    check_commands(model, tmp_path)
    check_pretraining(model, tmp_path)
