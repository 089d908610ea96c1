"""Gradual unfreezing: what still waits is as frozen as anything can be, and then learns."""

from typing import Any

import pytest
import torch

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.layers import initialize
from selfsup.finetuning.layer_rules import (
    EMBEDDINGS,
    WORD_EMBEDDINGS,
    encoder_rules,
    first_epoch,
    learning_rates,
    rules_in_epoch,
)
from selfsup.finetuning.setup import prepare_finetuning
from selfsup.settings.finetune import ResolvedFinetuneSettings
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.labels import Labels
from tests.toy_tasks import CONFIG

task = Classification(paired=False)

LAYERS = CONFIG.num_hidden_layers
ORDER = ["encoder.layers.1.", "encoder.layers.0.", "encoder.embeddings."]


def new_model() -> Any:
    model = task.build_model(BertEncoder(CONFIG), Labels("class", ("a", "b")), 0.1)
    initialize(model, 0.1, seed=0)
    return model


def settings(**changed: Any) -> ResolvedFinetuneSettings:
    values = {
        "task": "sequence-classification",
        "encoder": "x",
        "train": "x",
        "validation": "x",
        "out": "x",
        "learning_rate": 0.01,
        "head_learning_rate": 0.02,
        "layer_decay": 0.5,
        "weight_decay": 0.1,
        "epochs": 4,
        "dropout": 0.1,
    }
    return ResolvedFinetuneSettings(**(values | changed))


@pytest.mark.parametrize("every", [1, 2])
def test_the_head_learns_first_then_one_more_layer_from_the_top_then_the_embeddings(every):
    names = [name for name, _ in new_model().named_parameters()]
    rules = encoder_rules(LAYERS, 0.01, 0.02, 0.5, None)
    everything = learning_rates(names, rules)
    for epoch in range(1, 10):
        learning = ORDER[: (epoch - 1) // every]
        rates = learning_rates(names, rules_in_epoch(rules, LAYERS, every, epoch))
        for name, rate in rates.items():
            waits = name.startswith(tuple(ORDER)) and not name.startswith(tuple(learning))
            assert rate == (None if waits else everything[name]), (name, epoch)
    for place, part in enumerate(ORDER, 1):
        assert first_epoch(f"{part}*", LAYERS, every) == 1 + place * every


def test_what_the_rules_freeze_never_thaws():
    names = [name for name, _ in new_model().named_parameters()]
    rules = encoder_rules(LAYERS, 0.01, 0.02, 1.0, "1")
    rates = learning_rates(names, rules_in_epoch(rules, LAYERS, 1, 99))
    for name, rate in rates.items():
        assert (rate is None) == name.startswith(("encoder.embeddings.", "encoder.layers.0."))


def test_word_embeddings_with_a_rate_of_their_own_thaw_with_the_other_embeddings():
    names = [name for name, _ in new_model().named_parameters()]
    rules = encoder_rules(LAYERS, 0.01, 0.02, 1.0, None, embedding_learning_rate=0.3)
    thaws = LAYERS + 2
    assert first_epoch(WORD_EMBEDDINGS, LAYERS, 1) == first_epoch(EMBEDDINGS, LAYERS, 1) == thaws
    for epoch, rate in ((thaws - 1, None), (thaws, 0.3)):
        rates = learning_rates(names, rules_in_epoch(rules, LAYERS, 1, epoch))
        assert rates["encoder.embeddings.word.weight"] == rate


def test_without_it_all_learns_from_the_start():
    rules = encoder_rules(LAYERS, 0.01, 0.02, 1.0, None)
    assert rules_in_epoch(rules, LAYERS, None, 1) == rules


def test_what_waits_does_not_move_by_a_bit_and_has_no_state_gradient_or_dropout():
    model = new_model()
    setup = prepare_finetuning(settings(unfreeze_every=1), model)
    parameters = dict(model.named_parameters())
    setup.model.train()
    for epoch in range(1, 6):
        if epoch > 1:
            setup.begin_epoch(epoch)
        learning = ("encoder.pooler.", "classifier.", *ORDER[: epoch - 1])
        before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        hidden = torch.randn(2, CONFIG.hidden_size)
        loss = sum(p.float().pow(2).sum() for p in parameters.values() if p.requires_grad)
        (loss + hidden.sum()).backward()
        for name, parameter in parameters.items():
            assert (parameter.grad is not None) == name.startswith(learning), (epoch, name)
        setup.optimizer.step()
        setup.optimizer.zero_grad()
        for name, parameter in parameters.items():
            learns = name.startswith(learning)
            assert (parameter in setup.optimizer.state) == learns, (epoch, name)
            if not learns or before[name].any():  # a bias of 0 has no gradient here
                assert torch.equal(parameter, before[name]) != learns, (epoch, name)
        for part, module in (("encoder.layers.0.", model.encoder.layers[0]),
                             ("encoder.embeddings.", model.encoder.embeddings)):  # fmt: skip
            assert module.dropout.training == part.startswith(learning)
    grouped = [p for group in setup.optimizer.param_groups for p in group["params"]]
    assert len(grouped) == len(set(grouped)) == len(parameters)
    rates = learning_rates(parameters, encoder_rules(LAYERS, 0.01, 0.02, 0.5, None))
    rate_of = {p: group["lr"] for group in setup.optimizer.param_groups for p in group["params"]}
    assert all(rate_of[parameter] == rates[name] for name, parameter in parameters.items())
