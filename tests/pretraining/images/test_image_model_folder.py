"""Image models with their heads, to a folder and back."""

import pytest
import torch

from selfsup.pretraining.images.model import (
    ImagePretrainingModel,
    load_image_pretraining,
    save_image_pretraining,
)
from selfsup.settings.objectives import IMAGE_OBJECTIVES
from tests.encoder_folders import load_vit
from tests.pretraining.images.toy_images import small_encoder, started


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    model = started(ImagePretrainingModel(small_encoder(), IMAGE_OBJECTIVES))
    save_image_pretraining(folder, model, "A model.")
    return folder, model


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    values = dict(other.named_parameters())
    return values.keys() == dict(one.named_parameters()).keys() and all(
        torch.equal(value, values[name]) for name, value in one.named_parameters()
    )


def test_encoder_and_heads_come_back_as_they_were(saved):
    folder, model = saved
    loaded, missing = load_image_pretraining(folder, IMAGE_OBJECTIVES)
    assert missing == ()
    assert same(loaded, model)
    assert loaded.encoder.config == model.encoder.config
    encoder, _ = load_vit(folder)
    assert same(encoder, model.encoder)


def test_a_head_that_is_not_asked_for_is_left_out(saved):
    folder, model = saved
    loaded, missing = load_image_pretraining(folder, ("jigsaw",))
    assert set(loaded.heads) == {"jigsaw"}
    assert same(loaded.heads["jigsaw"], model.heads["jigsaw"])
    assert not missing


def test_on_images_of_another_size_a_jigsaw_of_more_places_is_reinitialized(saved):
    folder, model = saved
    loaded, missing = load_image_pretraining(folder, IMAGE_OBJECTIVES, image_size=24, dropout=0.1)
    assert loaded.encoder.config.patch_count == 36
    assert loaded.encoder.config.hidden_dropout_prob == 0.1
    assert missing
    assert all(name.startswith("jigsaw.") for name in missing)
    assert same(loaded.heads["inpainting"], model.heads["inpainting"])
    again, _ = load_image_pretraining(folder, IMAGE_OBJECTIVES, image_size=24)
    other, _ = load_image_pretraining(folder, IMAGE_OBJECTIVES, seed=1, image_size=24)
    assert same(again.heads["jigsaw"], loaded.heads["jigsaw"])
    assert not same(other.heads["jigsaw"], loaded.heads["jigsaw"])
