import json

import numpy as np
import pytest
from PIL import Image

from selfsup.errors import UserError
from selfsup.images import prepare as image_writer
from selfsup.images.files import find_images
from selfsup.images.pixels import ResizeShorterSide, ResizeSquare, decode
from selfsup.images.prepare import prepare_images
from selfsup.shards.arrays import open_safetensors
from selfsup.shards.folder import first_damage
from selfsup.shards.images import ImageShards

FORM = ResizeShorterSide(16)
IMAGES = 40
# Several shards: an image of 16 × 24 pixels has 1,152 bytes.
SHARD_BYTES = 10_000


@pytest.fixture
def folder(tmp_path):
    """Forty images of several sizes in two folders, one of them a duplicate of another."""
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        path = tmp_path / "in" / ("a b" if number % 2 else "ü") / f"{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        size = (16 + number, 24)
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(path)
    twin = tmp_path / "in" / "a b" / "39.png"
    twin.write_bytes((tmp_path / "in" / "ü" / "00.png").read_bytes())
    return tmp_path / "in"


def read(folder, out, **how):
    how = {"shard_bytes": SHARD_BYTES, "show_progress": False, **how}
    return prepare_images(find_images(folder), folder, out, FORM, **how)


def bytes_in(out) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def names_in(out) -> list[str]:
    """The files that the images of a shards folder were read from."""
    texts = [
        open_safetensors(path, "")["names"][:].tobytes() for path in sorted(out.glob("shard-*"))
    ]
    return [name for text in texts for name in text.decode().split("\0")]


def spoil(folder, count: int) -> None:
    for file in find_images(folder)[:count]:
        file.write_text("This is no image.")


def test_shards_hold_the_decoded_images_in_the_order_of_the_files(folder, tmp_path):
    manifest = read(folder, tmp_path / "out")
    images = ImageShards.read(tmp_path / "out")
    names = names_in(tmp_path / "out")
    assert first_damage(images.folder, images.manifest["shards"]) is None
    assert len(images.shards) > 3
    assert len(images) == manifest["images"] == IMAGES - 1
    assert manifest["duplicate_images"] == 1
    assert manifest["bad_images"] == 0
    files = find_images(folder)
    kept = [file.relative_to(folder).as_posix() for file in files if file.name != "00.png"]
    assert names == kept
    assert names[0].startswith("a b/")
    assert names[-1].startswith("ü/")
    for number, name in enumerate(names):
        np.testing.assert_array_equal(images[number], decode(folder / name, FORM))
    assert images.sizes.tolist() == [list(images[i].shape[:2]) for i in range(len(images))]
    assert not (tmp_path / "out" / "problems.jsonl").exists()


def test_the_number_of_workers_leaves_no_trace(folder, tmp_path):
    read(folder, tmp_path / "one", workers=1)
    read(folder, tmp_path / "five", workers=5)
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "five")


def test_an_interrupted_call_goes_on_and_the_interruption_leaves_no_trace(
    folder, tmp_path, monkeypatch, capsys
):
    for number in (0, 20, 39):
        find_images(folder)[number].write_bytes(b"")
    read(folder, tmp_path / "whole", max_bad_fraction=0.2)
    write, written = image_writer.write_image_shard, []

    def write_two(path, *what):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        return write(path, *what)

    monkeypatch.setattr(image_writer, "write_image_shard", write_two)
    with pytest.raises(KeyboardInterrupt, match="interrupted after 2 shards"):
        read(folder, tmp_path / "out", max_bad_fraction=0.2, show_progress=True)
    with pytest.raises(UserError, match="reading was interrupted"):
        ImageShards.read(tmp_path / "out")
    monkeypatch.undo()
    read(folder, tmp_path / "out", max_bad_fraction=0.2, show_progress=True)
    assert "going on after" in capsys.readouterr().err
    assert bytes_in(tmp_path / "out") == bytes_in(tmp_path / "whole")


def test_a_finished_folder_is_left_as_it_is_and_a_damaged_one_made_again(folder, tmp_path, capsys):
    out = tmp_path / "out"
    read(folder, out)
    before = bytes_in(out)
    stamps = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    read(folder, out, show_progress=True)
    assert "nothing to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == stamps
    shard = out / "shard-00001.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    read(folder, out, show_progress=True)
    assert "reading the images again" in capsys.readouterr().err
    assert bytes_in(out) == before


def test_a_folder_of_other_images_is_not_written_over(folder, tmp_path):
    read(folder, tmp_path / "out")
    with pytest.raises(UserError, match="other settings: choose another --out"):
        prepare_images(find_images(folder), folder, tmp_path / "out", ResizeSquare(16))
    (folder / "a b" / "01.png").unlink()
    with pytest.raises(UserError, match="holds images read with other files"):
        read(folder, tmp_path / "out")


def test_bad_images_are_named_counted_and_skipped(folder, tmp_path):
    spoil(folder, 2)
    manifest = read(folder, tmp_path / "out", max_bad_fraction=0.05)
    assert manifest["bad_images"] == 2
    assert manifest["images"] == IMAGES - 3
    lines = (tmp_path / "out" / "problems.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": str(file), "line": None, "reason": "no image, or damaged at its beginning"}
        for file in find_images(folder)[:2]
    ]


def test_too_many_bad_images_stop_the_reading_and_the_first_is_named(folder, tmp_path):
    spoil(folder, 3)
    first = find_images(folder)[0]
    with pytest.raises(UserError) as caught:
        read(folder, tmp_path / "out", max_bad_fraction=0.05)
    assert str(caught.value) == (
        f"{first}: no image, or damaged at its beginning — and with it 3 of 40 images cannot be "
        "read: fix them or raise --max-bad-fraction (0.05)"
    )
    # What was read serves a call that allows more.
    assert read(folder, tmp_path / "out", max_bad_fraction=0.1)["bad_images"] == 3


def test_nothing_but_bad_images_is_an_error_whatever_is_allowed(folder, tmp_path):
    spoil(folder, IMAGES)
    with pytest.raises(UserError, match="none of its 40 images can be read"):
        read(folder, tmp_path / "out", max_bad_fraction=1)


def test_real_photographs_are_all_read(shared_data, tmp_path):
    root = shared_data / "images" / "clothing" / "validation"
    if not root.is_dir():
        pytest.skip(f"no photographs at {root}")
    manifest = prepare_images(
        find_images(root), root, tmp_path / "out", ResizeShorterSide(40), show_progress=False
    )
    images = ImageShards.read(tmp_path / "out")
    assert len(images) + manifest["duplicate_images"] == 341
    assert manifest["bad_images"] == 0
    assert (images.sizes.min(axis=1) == 40).all()
    assert len({name.split("/")[0] for name in names_in(tmp_path / "out")}) == 10
