"""The optimizers of pre-training: what each parameter learns by, how fast, and what decays."""

import pytest
import torch

from selfsup.encoder.bert import BertEncoder
from selfsup.encoder.config import EncoderConfig
from selfsup.encoder.vit import VitEncoder
from selfsup.pretraining.images.model import ImagePretrainingModel
from selfsup.pretraining.run import resolve
from selfsup.pretraining.text.model import TextPretrainingModel
from selfsup.settings.objectives import IMAGE_OBJECTIVES, TEXT_OBJECTIVES
from selfsup.settings.pretrain import PretrainSettings, ResolvedPretrainSettings
from selfsup.training.optimizers import build_optimizer, set_learning_rate
from tests.pretraining.images.toy_images import small_config

CONFIG = EncoderConfig(
    vocab_size=30,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=16,
)


def settings(optimizer: str, weight_decay: float = 0.03) -> ResolvedPretrainSettings:
    return resolve(
        PretrainSettings(
            data=("texts",), out="run", encoder="bert-tiny", optimizer=optimizer,
            learning_rate=1e-3, weight_decay=weight_decay,
        )
    )  # fmt: skip


def text_model() -> TextPretrainingModel:
    return TextPretrainingModel(BertEncoder(CONFIG), TEXT_OBJECTIVES)


def test_adamw_decays_matrices_and_no_vectors():
    model = text_model()
    optimizer = build_optimizer(model, settings("adamw"), torch.float32)
    assert isinstance(optimizer, torch.optim.AdamW)
    matrices, vectors = optimizer.param_groups
    assert {p.ndim for p in matrices["params"]} == {2}
    assert {p.ndim for p in vectors["params"]} == {1}
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.03, 0.0)
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.9, 0.98), 1e-6)


def learning_by_muon(model: torch.nn.Module) -> set[str]:
    optimizer = build_optimizer(model, settings("muon"), torch.float32)
    group = optimizer.param_groups[0]
    assert group["lr"] == 2e-3
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for parameter in group["params"]}


@pytest.mark.parametrize("objectives", [IMAGE_OBJECTIVES, ("inpainting",), ("jigsaw",)])
def test_of_images_muon_takes_the_encoders_layers_and_not_the_decoders(objectives):
    model = ImagePretrainingModel(VitEncoder(small_config()), objectives)
    names = learning_by_muon(model)
    assert len(names) == 2 * 4
    assert all(name.startswith("encoder.layers.") for name in names)


def test_muon_takes_the_matrices_of_the_layers_and_no_others():
    names = learning_by_muon(text_model())
    assert names == {
        f"encoder.layers.{layer}.{part}.weight"
        for layer in (0, 1)
        for part in ("attention.query_key_value", "attention.output", "intermediate", "output")
    }


def test_muon_steps_as_torchs_on_query_key_and_value_by_themselves():
    # A step's length is that of the rate, so that scale and parts show in how far each moved.
    model = text_model()
    optimizer = build_optimizer(model, settings("muon"), torch.float32)
    set_learning_rate(optimizer, 0.5)
    attention = dict(model.named_parameters())["encoder.layers.0.attention.query_key_value.weight"]
    before = attention.detach().clone()
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(attention.shape, generator=generator)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    attention.grad = gradient.clone()
    peers = [torch.nn.Parameter(part.clone()) for part in before.chunk(3)]
    peer = torch.optim.Muon(peers, lr=1e-3, weight_decay=0.03, ns_steps=5, adjust_lr_fn="original")
    for part, of_part in zip(peers, gradient.chunk(3), strict=True):
        part.grad = of_part.clone()
    optimizer.step()
    peer.step()
    moved = attention.detach() - before
    expected = torch.cat([part.detach() for part in peers]) - before
    assert torch.nn.functional.cosine_similarity(moved.flatten(), expected.flatten(), 0) > 0.999


def test_bert_mini_goes_by_muon_and_the_others_by_adamw():
    table = {
        "bert-tiny": (16, 2e-3, 0.0, "structured", "adamw"),
        "bert-mini": (32, 1e-3, 0.0, "structured", "muon"),
        "bert-small": (16, 7e-4, 0.0, "structured", "adamw"),
        "bert-medium": (32, 5e-4, 0.0, "structured", "adamw"),
        "bert-base": (256, 1e-4, 0.1, "random", "adamw"),
        "bert-large": (256, 1e-4, 0.1, "random", "adamw"),
    }
    for encoder, expected in table.items():
        filled = resolve(PretrainSettings(data=("texts",), out="run", encoder=encoder))
        assert expected == (
            filled.batch_size, filled.learning_rate, filled.dropout, filled.start, filled.optimizer
        )  # fmt: skip
