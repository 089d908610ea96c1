import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from selfsup.errors import UserError
from selfsup.shards.arrays import open_safetensors
from selfsup.shards.images import ImageShards, write_image_shard

SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5)


def noise(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 256, (*size, 3), np.uint8)


def write(folder, *shards: list[tuple[int, int]], **changes) -> None:
    folder.mkdir(exist_ok=True)
    entries = [
        write_image_shard(
            folder / f"shard-{number:05d}.safetensors",
            [noise(size) for size in sizes],
            list(range(len(sizes))),
            [f"{number}/{index} ü\udcff.png" for index in range(len(sizes))],
        )
        for number, sizes in enumerate(shards)
    ]
    images = sum(entry["images"] for entry in entries)
    counts = {"images": images, "bad_images": 0, "duplicate_images": 0}
    manifest = {
        "format": "selfsup-images", "format_version": 1, "shards": entries, **counts, **changes
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))


@given(st.lists(SIZES, min_size=1, max_size=3))
@settings(max_examples=30)
def test_images_come_back_as_they_were_written(tmp_path_factory, shards):
    folder = tmp_path_factory.getbasetemp() / "round-trip"
    write(folder, *shards)
    images = ImageShards.read(folder)
    sizes = [size for shard in shards for size in shard]
    assert len(images) == len(sizes)
    assert images.sizes.tolist() == [list(size) for size in sizes]
    for number, shard in enumerate(shards):
        arrays = open_safetensors(folder / f"shard-{number:05d}.safetensors", "make it again")
        names = arrays["names"][:].tobytes()
        expected = [f"{number}/{index} ü\udcff.png" for index in range(len(shard))]
        assert names.decode("utf-8", "surrogateescape").split("\0") == expected
    for number, size in enumerate(sizes):
        np.testing.assert_array_equal(images[number], noise(size))


def test_an_image_cannot_be_written_to(tmp_path):
    write(tmp_path, [(8, 9)])
    assert not ImageShards.read(tmp_path)[0].flags.writeable


@pytest.mark.parametrize("number", [-1, 3])
def test_there_are_no_images_beyond_the_last(tmp_path, number):
    write(tmp_path, [(8, 9), (9, 8)], [(8, 8)])
    with pytest.raises(IndexError, match=f"image {number} of 3"):
        ImageShards.read(tmp_path)[number]


def test_a_shard_is_a_safetensors_file_that_the_library_reads(tmp_path):
    write(tmp_path, [(2, 1), (1, 1)])
    arrays = load_file(tmp_path / "shard-00000.safetensors")
    assert arrays["offsets"].tolist() == [0, 6, 9]
    assert arrays["sizes"].tolist() == [2, 1, 1, 1]
    assert arrays["digests"].tolist() == [0, 1]
    assert arrays["pixels"].tolist() == [*noise((2, 1)).flat, *noise((1, 1)).flat]


def truncate(folder):
    shard = folder / "shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, r"\d+ bytes where the manifest says \d+ \(cut short\?\): delete .* again"),
        (lambda folder: (folder / "shard-00000.safetensors").unlink(), "missing: delete"),
        (lambda folder: (folder / "manifest.json").unlink(), r"no manifest\.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: write(folder, [(8, 8)], format="other"), "not a manifest of images"),
        (
            lambda folder: write(folder, [(8, 8)], format_version=2),
            "version 2, this selfsup reads 1",
        ),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(tmp_path, damage, message):
    write(tmp_path, [(8, 8)])
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        ImageShards.read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder: check the path"):
        ImageShards.read(tmp_path / "missing")
