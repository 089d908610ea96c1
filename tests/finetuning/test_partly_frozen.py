"""Frozen parameters do not move by a bit, have no optimizer state, and see no dropout."""

import numpy as np
import pytest
import torch

from selfsup.encoder.attention import SelfAttention
from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.finetuning.layer_rules import encoder_rules, learning_rates
from selfsup.finetuning.setup import PartlyFrozen
from selfsup.tasks.classification.encoding import encode_texts
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.encoders import Limits
from selfsup.tasks.labels import Labels
from selfsup.training.optimizers import adamw, parameter_groups
from tests.toy_tasks import CONFIG, toy_examples, toy_tokenizer

task = Classification(paired=False)

BATCH = encode_texts(
    toy_tokenizer(),
    [text for _, text in toy_examples(8, seed=1)],
    Limits(32, 0),
    np.arange(8) % 2,
).units.batch(np.arange(8))
LABELS = Labels("class", ("down", "up"))


def new_model(freeze: str | None):
    model = task.build_model(BertEncoder(CONFIG), LABELS, 0.1)
    initialize(model, 0.1, seed=0)
    rates = learning_rates(
        dict(model.named_parameters()),
        encoder_rules(CONFIG.num_hidden_layers, 0.01, 0.01, 1.0, freeze),
    )
    return model, rates, PartlyFrozen(model, rates)


@pytest.mark.parametrize("freeze", ["embeddings", "1", "encoder"])
def test_frozen_parameters_stay_as_they_are_and_all_others_move(freeze: str):
    model, rates, partly_frozen = new_model(freeze)
    optimizer = adamw(
        parameter_groups(model.named_parameters(), rates, weight_decay=0.1), (0.9, 0.999), 1e-8
    )
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    partly_frozen.train()
    for _ in range(3):
        partly_frozen(BATCH)["classification"][0].backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (rates[name] is None), name
        assert (parameter in optimizer.state) == (rates[name] is not None), name


def test_frozen_parameters_get_no_gradient():
    model, rates, partly_frozen = new_model("1")
    partly_frozen(BATCH)["classification"][0].backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (rates[name] is None), name


def test_dropout_is_off_in_frozen_parts_and_on_elsewhere():
    model, _, partly_frozen = new_model("1")
    partly_frozen.train()
    assert not any(is_on(part) for part in (model.encoder.embeddings, model.encoder.layers[0]))
    assert all(is_on(part) for part in (model.encoder.layers[1], model.dropout))


def is_on(part: torch.nn.Module) -> bool:
    """Whether dropout is on, which must be the same in all of the part."""
    modes = {m.training for m in part.modules() if isinstance(m, (torch.nn.Dropout, SelfAttention))}
    assert len(modes) == 1
    return modes.pop()


def test_what_the_frozen_parts_compute_is_the_same_in_training_and_evaluation():
    model, _, partly_frozen = new_model("encoder")
    partly_frozen.train()
    in_training = model.features(BATCH)
    partly_frozen.eval()
    assert torch.equal(in_training, model.features(BATCH))


def test_nothing_is_frozen_where_every_parameter_has_a_rate():
    _, _, partly_frozen = new_model(None)
    partly_frozen.train()
    assert all(module.training for module in partly_frozen.modules())


def test_parameters_that_learn_alike_share_a_group_and_vectors_are_not_decayed():
    model = task.build_model(BertEncoder(CONFIG), LABELS, 0.1)
    rules = encoder_rules(CONFIG.num_hidden_layers, 0.01, 0.02, 0.5, "embeddings")
    parameters = dict(model.named_parameters())
    rates = learning_rates(parameters, rules)
    groups = parameter_groups(parameters.items(), rates, weight_decay=0.1)
    grouped = {
        parameter: (group["lr"], group["weight_decay"])
        for group in groups
        for parameter in group["params"]
    }
    assert len(grouped) == sum(rate is not None for rate in rates.values())
    assert len({(group["lr"], group["weight_decay"]) for group in groups}) == len(groups)
    for name, parameter in parameters.items():
        if rates[name] is not None:
            decay = 0.1 if name.endswith("weight") and "norm" not in name else 0.0
            assert grouped[parameter] == (rates[name], decay), name


def test_the_first_step_is_as_long_as_the_rate_because_its_bias_is_corrected():
    parameter = torch.nn.Parameter(torch.zeros(3))
    optimizer = adamw(
        [{"params": [parameter], "lr": 0.25, "weight_decay": 0.0}], (0.9, 0.999), 1e-8
    )
    parameter.grad = torch.tensor([1e-2, -3.0, 7.0])
    optimizer.step()
    torch.testing.assert_close(
        parameter.detach(), torch.tensor([-0.25, 0.25, -0.25]), rtol=1e-3, atol=0
    )
