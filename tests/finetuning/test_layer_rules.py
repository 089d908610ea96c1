"""Ordered rules say how every parameter learns; no rate means frozen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.encoder.bert import BertEncoder
from selfsup.finetuning.layer_rules import encoder_rules, learning_rates
from selfsup.tasks.classification.task import SequenceClassifier
from selfsup.tasks.labels import Labels
from tests.toy_tasks import CONFIG

LABELS = Labels("class", ("down", "up"))
MODEL = SequenceClassifier(BertEncoder(CONFIG), LABELS, 0.1)
NAMES = [name for name, _ in MODEL.named_parameters()]
LAYERS = CONFIG.num_hidden_layers


def rates_of(freeze: str | None = None, decay: float = 1.0) -> dict[str, float | None]:
    return learning_rates(NAMES, encoder_rules(LAYERS, 1e-4, 1e-3, decay, freeze))


def test_the_first_rule_that_matches_counts():
    rules = [("encoder.layers.0.*", 1.0), ("encoder.*", None), ("*", 3.0)]
    names = ["encoder.layers.0.output.weight", "encoder.layers.01", "classifier.bias"]
    assert list(learning_rates(names, rules).values()) == [1.0, None, 3.0]


def test_a_parameter_without_a_rule_is_a_mistake():
    with pytest.raises(ValueError, match=r"head\.bias"):
        learning_rates(["encoder.x", "head.bias"], [("encoder.*", 1.0)])


def test_a_model_of_which_nothing_learns_is_a_mistake():
    with pytest.raises(ValueError, match="every parameter is frozen"):
        learning_rates(["encoder.x"], [("*", None)])


@given(st.none() | st.sampled_from(["encoder", "embeddings", "1", "2"]), st.floats(0.1, 1.0))
def test_the_rules_cover_every_parameter_of_a_model(freeze, decay):
    assert set(rates_of(freeze, decay)) == set(NAMES)


def test_each_layer_learns_at_its_share_of_the_rate_above_it():
    rates = rates_of(decay=0.5)
    assert rates["classifier.weight"] == 1e-3
    assert rates["encoder.pooler.weight"] == 1e-4
    assert rates["encoder.layers.1.output.bias"] == 1e-4
    assert rates["encoder.layers.0.attention.query_key_value.weight"] == 0.5e-4
    assert rates["encoder.embeddings.word.weight"] == 0.25e-4


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        (None, []),
        ("embeddings", ["encoder.embeddings."]),
        ("1", ["encoder.embeddings.", "encoder.layers.0."]),
        ("2", ["encoder.embeddings.", "encoder.layers."]),
        ("encoder", ["encoder.embeddings.", "encoder.layers."]),
    ],
)
def test_what_is_frozen_has_no_rate_and_nothing_else(freeze, frozen):
    for name, rate in rates_of(freeze).items():
        assert (rate is None) == name.startswith(tuple(frozen)), name


@pytest.mark.parametrize("freeze", [None, "embeddings", "1", "encoder"])
def test_word_embeddings_may_learn_at_a_rate_of_their_own_unless_they_are_frozen(freeze):
    usual = rates_of(freeze, 0.5)
    rules = encoder_rules(LAYERS, 1e-4, 1e-3, 0.5, freeze, embedding_learning_rate=7e-3)
    changed = {
        name: rate for name, rate in learning_rates(NAMES, rules).items() if rate != usual[name]
    }
    assert changed == ({} if freeze else {"encoder.embeddings.word.weight": 7e-3})


def test_the_pooler_over_a_frozen_encoder_learns_with_the_head():
    assert rates_of("encoder")["encoder.pooler.weight"] == 1e-3


def test_a_last_norm_over_frozen_layers_is_frozen_with_them_and_else_learns_like_the_highest():
    names = ["encoder.layers.1.output.weight", "encoder.norm.weight", "classifier.linear.weight"]
    frozen = learning_rates(names, encoder_rules(2, 1e-4, 1e-3, 0.5, "encoder"))
    assert list(frozen.values()) == [None, None, 1e-3]
    learning = learning_rates(names, encoder_rules(2, 1e-4, 1e-3, 0.5, None))
    assert list(learning.values()) == [1e-4, 1e-4, 1e-3]
