"""RoBERTa, XLM-RoBERTa and CamemBERT compute what `transformers` computes."""

import pytest

from selfsup.encoder.families.roberta import CamembertConfig, RobertaConfig, XlmRobertaConfig
from tests.encoder.families.equal_to_transformers import check_family


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
