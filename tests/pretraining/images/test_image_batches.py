"""Batches are functions of (seed, step), and what is learned is the objectives asked for."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from selfsup.errors import UserError
from selfsup.pretraining.images.batches import ImageBatch, ImageBatches, ImageData
from selfsup.pretraining.images.model import ImagePretrainingModel, image_objectives
from selfsup.settings.objectives import IMAGE_OBJECTIVES
from tests.pretraining.images.toy_images import small_config, small_encoder

BOTH = IMAGE_OBJECTIVES
NUMBERS = np.arange(3, 22)  # of the 25 images; 19 of them, which is no multiple of any batch size


def images_of_many_sizes() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    sizes = random.integers(9, 40, (25, 2))
    return [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes.tolist()]


def batches_of(
    objectives: tuple[str, ...] = BOTH, batch_size: int = 4, seed: int = 0, threads: int = 1
) -> ImageBatches:
    images = images_of_many_sizes()
    data = ImageData(images, NUMBERS, image_objectives(objectives), small_config(), 0.75)
    return ImageBatches(data, batch_size, seed, threads=threads)


def tensors_of(batch: ImageBatch) -> list[Tensor]:
    puzzles: list[Any] = list(batch.puzzles.values())
    return [getattr(each, field.name) for each in puzzles for field in dataclasses.fields(each)]


def same(a: ImageBatch, b: ImageBatch) -> bool:
    ours, theirs = tensors_of(a), tensors_of(b)
    return len(ours) == len(theirs) > 0 and all(map(torch.equal, ours, theirs))


def examples_of(batch: ImageBatch) -> list[tuple]:
    """Each image with all that belongs to it, whatever batch it is in."""
    return [
        tuple(tensor[image].numpy().tobytes() for tensor in tensors_of(batch))
        for image in range(batch.image_count)
    ]


@pytest.mark.parametrize("objectives", [BOTH, ("inpainting",), ("jigsaw",)])
def test_steps_can_be_asked_for_in_any_order(objectives):
    in_order = batches_of(objectives)
    expected = [in_order[step] for step in range(14)]
    assert in_order.epoch == 3  # several epochs have been passed through
    any_order = batches_of(objectives)
    for step in [*np.random.default_rng(0).permutation(14).tolist(), *reversed(range(14)), 7, 7]:
        assert same(any_order[step], expected[step]), step
    assert same(batches_of(objectives, threads=3)[13], expected[13])
    assert not any(same(expected[step], expected[0]) for step in range(1, 14))


def test_an_example_does_not_depend_on_the_batch_size():
    def first_epoch(batch_size: int) -> set[tuple]:
        batches = batches_of(batch_size=batch_size)
        return {
            example for step in range(19 // batch_size) for example in examples_of(batches[step])
        }

    assert len(first_epoch(1)) == 19
    assert first_epoch(4) < first_epoch(1)
    assert len(first_epoch(4)) == 16


def test_an_epoch_holds_each_image_at_most_once_and_other_epochs_hold_the_rest():
    class Counted(list):
        def __getitem__(self, number):
            taken.append(number)
            return super().__getitem__(number)

    taken: list[int] = []
    images = Counted(images_of_many_sizes())
    data = ImageData(images, NUMBERS, image_objectives(["jigsaw"]), small_config(), 0.75)
    batches = ImageBatches(data, 4, seed=0, threads=1)
    counts = [batches[step].image_count for step in range(8)]
    assert counts == [4] * 8
    assert (batches.epoch, batches.end_step) == (1, 8)
    first, second = taken[:16], taken[16:32]
    assert len(set(first)) == len(set(second)) == 16
    assert first != second
    assert set(first) != set(second)
    assert set(taken) <= set(NUMBERS.tolist())


def test_fewer_images_than_a_batch_are_one_batch():
    batches = batches_of(batch_size=64)
    assert batches.epoch == -1
    assert [batches[step].image_count for step in range(3)] == [19] * 3
    assert batches.epoch == 2
    assert not same(batches[0], batches[1])


def test_seeds_differ_in_all_that_is_random():
    first, other = batches_of(batch_size=19, seed=0)[0], batches_of(batch_size=19, seed=1)[0]
    for ours, theirs in zip(tensors_of(first), tensors_of(other), strict=True):
        assert not torch.equal(ours.sort(0).values, theirs.sort(0).values)


def test_what_is_counted_is_what_the_encoder_computes():
    assert batches_of(("inpainting",))[0].token_count == 4 * 4
    assert batches_of(("jigsaw",))[0].token_count == 4 * 16
    assert batches_of()[0].token_count == 4 * 20
    assert batches_of()[0].image_count == 4


@pytest.mark.parametrize("objectives", [BOTH, ("inpainting",), ("jigsaw",)])
def test_what_is_learned_is_what_was_asked_for(objectives):
    model = ImagePretrainingModel(small_encoder(), objectives)
    losses = model(batches_of(objectives)[0])
    assert tuple(losses) == objectives
    torch.stack([loss for loss, _, _ in losses.values()]).sum().backward()
    assert all(weight.grad is not None for weight in model.parameters())
    predictions = {"inpainting": 4 * 4, "jigsaw": 4 * 16}  # a third of the 12 missing patches
    assert {name: count for name, (_, _, count) in losses.items()} == {
        name: predictions[name] for name in objectives
    }


@pytest.mark.parametrize("objectives", [BOTH, ("inpainting",), ("jigsaw",)])
def test_floating_point_operations_are_three_times_those_that_torch_counts_forward(objectives):
    model = ImagePretrainingModel(small_encoder(), objectives)
    batch = batches_of(objectives)[0]
    with FlopCounterMode(display=False) as counted, torch.no_grad():
        model(batch)
    assert model.training_flops(batch) == 3 * counted.get_total_flops()


def test_images_of_one_patch_are_refused_in_one_line():
    with pytest.raises(UserError, match=r"one patch of 4.*--patch-size of at most 2") as error:
        ImagePretrainingModel(small_encoder(small_config(grid=1)), BOTH)
    assert "\n" not in str(error.value)
