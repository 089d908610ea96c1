from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfsup.images.crops import crop_boxes, random_crops, whole_images

SEED, EPOCH = 3, 5


def pictures(*sizes: tuple[int, int]) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def boxes_of_many(size: tuple[int, int], smallest_area: float):
    examples = np.arange(20_000)
    sizes = np.tile(np.array(size), (len(examples), 1))
    return crop_boxes(examples, sizes, SEED, EPOCH, smallest_area=smallest_area)


def test_a_crop_is_the_part_in_its_box_scaled_and_mirrored_where_it_says_so():
    images, examples = pictures((20, 30), (50, 40), (9, 9), (64, 32)), np.arange(4)
    crops = random_crops(images, examples, SEED, EPOCH, side=16)
    sizes = np.array([image.shape[:2] for image in images])
    boxes, mirrored = crop_boxes(examples, sizes, SEED, EPOCH, smallest_area=0.2)
    assert crops.shape == (4, 16, 16, 3)
    assert crops.dtype == np.uint8
    assert 0 < mirrored.sum() < 4
    for crop, image, (top, left, bottom, right), is_mirrored in zip(
        crops, images, boxes, mirrored, strict=True
    ):
        part = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
        expected = np.asarray(part.resize((16, 16), Image.Resampling.BILINEAR))
        np.testing.assert_array_equal(crop, expected[:, ::-1] if is_mirrored else expected)


def test_a_crop_depends_on_its_own_example_and_keys_alone():
    images = pictures(*[(40, 40)] * 6)
    together = random_crops(images, np.arange(6), SEED, EPOCH, side=16)
    alone = random_crops(images, np.array([4]), SEED, EPOCH, side=16)
    np.testing.assert_array_equal(alone[0], together[4])
    for other in [(SEED, EPOCH + 1), (SEED + 1, EPOCH), (EPOCH, SEED)]:
        different = random_crops(images, np.arange(6), *other, side=16)
        assert all((a != b).any() for a, b in zip(different, together, strict=True))


def test_threads_change_nothing():
    images = pictures((20, 30), (50, 40), (9, 9))
    with ThreadPoolExecutor(3) as threads:
        for examples in (np.array([2, 0, 1, 2]), np.array([], np.int64)):
            np.testing.assert_array_equal(
                random_crops(images, examples, SEED, side=16, threads=threads),
                random_crops(images, examples, SEED, side=16),
            )
            np.testing.assert_array_equal(
                whole_images(images, examples, side=16, threads=threads),
                whole_images(images, examples, side=16),
            )


def test_areas_are_uniform_and_shapes_log_uniform():
    # In an image as wide as high, the areas up to 3/4 fit whatever the shape.
    boxes, mirrored = boxes_of_many((1000, 1000), smallest_area=0.2)
    heights, widths = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    areas = heights * widths / 1e6
    for area in (0.3, 0.5, 0.7):
        assert abs((areas < area).mean() - (area - 0.2) / 0.8) < 0.015
    small = areas < 0.7
    shapes = np.log((widths / heights)[small])
    for share in (0.1, 0.5, 0.9):
        assert abs(np.quantile(shapes, share) - np.log(4 / 3) * (2 * share - 1)) < 0.02
    assert abs(mirrored.mean() - 0.5) < 0.015
    # Where a crop lies is uniform in what its size leaves free, and independent in both directions.
    top = boxes[:, 0] / (1000 - heights + 1)
    left = boxes[:, 1] / (1000 - widths + 1)
    inside = (heights < 1000) & (widths < 1000)
    for position in (top[inside], left[inside]):
        assert abs(position.mean() - 0.5) < 0.015
        assert abs((position < 0.25).mean() - 0.25) < 0.015
    assert abs(np.corrcoef(top[inside], left[inside])[0, 1]) < 0.03


def test_with_the_whole_area_a_square_is_cut_only_by_its_shape():
    boxes, _ = boxes_of_many((1000, 1000), smallest_area=1.0)
    lengths = boxes[:, 2:] - boxes[:, :2]
    assert (lengths.max(axis=1) == 1000).all()
    assert lengths.min() >= np.floor(1000 * np.sqrt(3 / 4))


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.001, 1))
def test_boxes_lie_inside_their_image(height, width, smallest_area):
    sizes = np.tile(np.array([height, width]), (50, 1))
    boxes, _ = crop_boxes(np.arange(50), sizes, SEED, smallest_area=smallest_area)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= sizes).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_whole_images_are_squashed_and_not_mirrored():
    images = pictures((20, 30), (16, 16))
    squares = whole_images(images, np.array([1, 0]), side=16)
    np.testing.assert_array_equal(squares[0], images[1])
    expected = Image.fromarray(images[0]).resize((16, 16), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(squares[1], np.asarray(expected))


def test_without_mirroring_the_others_are_the_same_and_none_is_turned_round():
    images = [np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3) for _ in range(32)]
    numbers = np.arange(32)
    _, mirrored = crop_boxes(numbers, np.array([[12, 9]] * 32), SEED, smallest_area=0.2)
    assert mirrored.any()
    usual = random_crops(images, numbers, SEED, side=8)
    plain = random_crops(images, numbers, SEED, side=8, mirror=False)
    assert np.array_equal(plain[~mirrored], usual[~mirrored])
    assert np.array_equal(plain[mirrored], usual[mirrored, :, ::-1])
