"""Held-out images are measured alike in any batches, against what guessing reaches."""

from typing import Any

import numpy as np
import pytest
import torch

from selfsup.errors import UserError
from selfsup.images.crops import whole_images
from selfsup.pretraining.images import batches as image_batches
from selfsup.pretraining.images.batches import (
    HeldOutImages,
    ImageData,
    split_held_out_images,
)
from selfsup.pretraining.images.inpainting import mask_patches
from selfsup.pretraining.images.model import ImagePretrainingModel, image_objectives
from selfsup.settings.objectives import IMAGE_OBJECTIVES
from tests.pretraining.images.toy_images import noise, small_config, small_encoder, started

CPU = torch.device("cpu")
IMAGES = list(noise(30, 20))
NUMBERS = np.arange(5, 27)


def held_out(objectives: tuple[str, ...] = IMAGE_OBJECTIVES) -> HeldOutImages:
    data = ImageData(IMAGES, NUMBERS, image_objectives(objectives), small_config(), 0.75)
    return HeldOutImages(data)


def model_of(objectives: tuple[str, ...] = IMAGE_OBJECTIVES) -> ImagePretrainingModel:
    return started(ImagePretrainingModel(small_encoder(), objectives))


@pytest.mark.parametrize("count", [2, 3, 10, 999, 50_000])
def test_each_image_is_either_trained_on_or_held_out(count):
    train, held = split_held_out_images(count, 0.1)
    assert np.array_equal(np.sort(np.concatenate([train, held])), np.arange(count))
    assert len(held) == min(max(1, round(count / 10)), 1000)
    assert np.array_equal(split_held_out_images(count, 0.1)[1], held)


@pytest.mark.parametrize(("count", "said"), [(0, "no image"), (1, "one image")])
def test_fewer_than_two_images_are_refused_in_one_line(count, said):
    with pytest.raises(UserError, match=said) as error:
        split_held_out_images(count, 0.1)
    assert "\n" not in str(error.value)


def test_the_numbers_do_not_depend_on_how_images_are_put_in_batches(monkeypatch):
    model = model_of()
    in_one = held_out().measure(model, CPU)
    monkeypatch.setattr(image_batches, "_HELD_OUT_BATCH_SIZE", 5)
    in_several = held_out().measure(model, CPU)
    assert in_several == pytest.approx(in_one, rel=1e-5)
    few = held_out().measure(model, CPU, most_images=7)
    assert few != pytest.approx(in_one, rel=1e-5)
    assert few == pytest.approx(held_out().measure(model, CPU, 7))


def test_errors_are_those_of_the_pixels_themselves():
    model, config = model_of(), small_config()
    result = held_out().measure(model, CPU)
    batch = held_out().batch(0, len(NUMBERS))
    hidden: Any = batch.puzzles["inpainting"]
    images = whole_images(IMAGES, held_out()._order, side=config.image_size) / 255
    head: Any = model.heads["inpainting"]
    predicted = head.predict(model.encoder, hidden).pixels()
    errors, of_mean_colour = [], []
    for image, pixels in enumerate(images):
        cut = pixels.reshape(4, 4, 4, 4, 3).transpose(0, 2, 1, 3, 4).reshape(16, 16, 3)
        visible = cut[hidden.visible_positions[image]]
        missing = cut[hidden.missing_positions[image]]  # [12, 16 pixels, 3]
        ours = predicted[image].detach().numpy().reshape(12, 3, 16).swapaxes(1, 2)
        errors.append(((missing - ours) ** 2).mean())
        of_mean_colour.append(((missing - visible.mean((0, 1))) ** 2).mean())
    assert result["inpainting_pixel_error"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert result["mean_colour_error"] == pytest.approx(np.mean(of_mean_colour), rel=1e-4)


def test_the_losses_are_the_models_own():
    model = model_of()
    with torch.no_grad():
        losses = model(held_out().batch(0, len(NUMBERS)))
    result = held_out().measure(model, CPU)
    assert result["inpainting_loss"] == pytest.approx(losses["inpainting"][0].item(), rel=1e-5)
    loss, right, tiles = losses["jigsaw"]
    assert result["jigsaw_loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert result["jigsaw_accuracy"] == pytest.approx(int(right) / tiles)
    assert result["jigsaw_chance"] == 1 / 16


def test_what_is_not_learned_is_not_measured():
    result = held_out(("jigsaw",)).measure(model_of(("jigsaw",)), CPU)
    assert (result["inpainting_loss"], result["inpainting_pixel_error"]) == (None, None)
    assert result["mean_colour_error"] is None
    assert result["jigsaw_accuracy"] is not None
    result = held_out(("inpainting",)).measure(model_of(("inpainting",)), CPU)
    assert (result["jigsaw_loss"], result["jigsaw_accuracy"], result["jigsaw_chance"]) == (
        None,
        None,
        None,
    )
    assert result["inpainting_loss"] is not None


def test_measuring_leaves_the_model_in_the_mode_it_was_in():
    model = model_of()
    for is_training in (True, False):
        model.train(is_training)
        held_out(("jigsaw",)).measure(model, CPU, most_images=1)
        assert model.training == is_training


def test_the_mean_colour_is_that_of_the_visible_patches_alone():
    images = np.zeros((1, 8, 8, 3), np.uint8)
    images[..., 0], images[..., 2] = 51, 255
    hidden = mask_patches(images, np.array([0]), 4, 0.5, seed=0, epoch=0)
    hidden.missing.fill_(77)
    colour = hidden.mean_colour().view(3, 16)
    expected = torch.tensor([0.2, 0.0, 1.0])[:, None].expand(3, 16)
    torch.testing.assert_close(colour, expected)


def test_what_is_learned_is_seen_in_the_measurements():
    """Images that grow redder to the right and greener downwards: colours tell the place."""
    down, across = np.indices((20, 20)) * 12
    images = [np.stack([across, down, np.zeros_like(down)], -1).astype(np.uint8)] * 8
    numbers, config = np.arange(8), small_config()
    data = ImageData(images, numbers, image_objectives(IMAGE_OBJECTIVES), config, 0.75)
    model = started(
        ImagePretrainingModel(small_encoder(config), IMAGE_OBJECTIVES), std=0.02
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(40):
        batch = data.batch(
            lambda side: whole_images(images, numbers, side=side), numbers, 1.0, 1, epoch
        )
        losses = model(batch)
        torch.stack([loss for loss, _, _ in losses.values()]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    result = HeldOutImages(data).measure(model, CPU)
    assert result["jigsaw_accuracy"] is not None
    assert result["jigsaw_chance"] is not None
    assert result["inpainting_pixel_error"] is not None
    assert result["mean_colour_error"] is not None
    assert result["jigsaw_accuracy"] > 5 * result["jigsaw_chance"]
    assert result["inpainting_pixel_error"] < 0.5 * result["mean_colour_error"]
