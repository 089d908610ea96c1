"""BERT is described so that `transformers` computes the same."""

import pytest

from selfsup.encoder.config import EncoderConfig
from tests.encoder.families.equal_to_transformers import check_family


@pytest.mark.parametrize("seed", range(6))
def test_bert_computes_what_transformers_computes(tmp_path, seed):
    check_family(
        EncoderConfig,
        tmp_path,
        seed,
        lambda draw: {
            "type_vocab_size": draw.randint(1, 3),
            "hidden_act": draw.choice(["gelu", "gelu_new", "relu"]),
        },
    )
