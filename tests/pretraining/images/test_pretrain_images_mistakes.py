"""What a user can get wrong in pre-training on images: one line, status 2, or it is counted."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from selfsup import cli
from tests.pretraining.images.toy_pictures import write_toy_pictures
from tests.toy_corpus import write_toy_corpus

QUICK = (
    "--steps", "1", "--batch-size", "2", "--device", "cpu", "--precision", "float32", "--threads",
    "1", "--workers", "1",
)  # fmt: skip
SMALL = ("--encoder", "vit-mini", "--image-size", "16", "--patch-size", "4", *QUICK)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A folder of images, and one of text."""
    folder = tmp_path_factory.mktemp("data")
    write_toy_pictures(folder / "images", 8)
    (folder / "texts").mkdir()
    write_toy_corpus(folder / "texts" / "texts.txt")
    return folder


@pytest.fixture
def refused(tmp_path, capsys) -> Callable[..., str]:
    """Run `selfsup pretrain`, and return the one line that refuses it."""

    def run(*arguments: str | Path) -> str:
        capsys.readouterr()
        words = ["pretrain", *map(str, arguments), "--out", str(tmp_path / "run")]
        assert cli.main(words) == 2
        captured = capsys.readouterr()
        *progress, line = captured.err.splitlines()
        assert captured.out == ""
        assert line.startswith("selfsup: error: ")
        assert not any("rror" in other or "Traceback" in other for other in progress)
        assert not (tmp_path / "run" / "summary.json").exists()
        assert not (tmp_path / "run" / "model").exists()
        return line

    return run


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (
            ("--objectives", "mlm", "jigsaw"),
            "--objectives mlm jigsaw: mlm is learned from text, jigsaw from images: name "
            "objectives of one kind",
        ),
        (
            ("--encoder", "bert-tiny", "--objectives", "jigsaw"),
            "--encoder bert-tiny: takes text, but --objectives jigsaw is learned from images: "
            "leave one of the flags out, or take --encoder vit-tiny",
        ),
        (("--encoder", "vit-tiny", "--objectives", "mlm"), "takes images, but --objectives mlm"),
        (("--encoder", "vit-huge"), "--encoder vit-huge: no encoder is called so: for text there"),
        (("--mask-ratio", "1"), "--mask-ratio must be above 0 and below 1, not 1.0"),
        (
            ("--mask-ratio", "0.5", "--objectives", "jigsaw"),
            "--mask-ratio is for inpainting, and --objectives names jigsaw alone",
        ),
        (("--mask-ratio", "0"), "--mask-ratio must be above 0 and below 1, not 0.0"),
        (("--image-size", "4"), "--image-size must be between 8 and 1,024, not 4"),
        (
            ("--image-size", "32", "--patch-size", "5"),
            "--image-size, --patch-size: an image size of 32 is not a multiple of the patch size 5",
        ),
        (("--image-size", "33"), "--image-size 33: no patch size of 16, 8, 4, 2 divides it"),
        (("--image-size", "16", "--patch-size", "16"), "holds one such patch, and needs 2 × 2"),
        (
            ("--patch-size", "16"),
            "--patch-size 16: the images have 24 pixels on their shorter side",
        ),
        (("--max-length", "64"), "--max-length is for text, and this run learns from images"),
        (("--no-lowercase",), "--lowercase is for text"),
        (("--start", "structured"), "--start structured is for text"),
        (("--init", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_flags_that_cannot_be(flags: tuple[str, ...], line: str, data, refused, tmp_path):
    encoder = () if {"--encoder", "--init"} & set(flags) else ("--encoder", "vit-mini")
    assert line in refused(data / "images", *encoder, *flags, *QUICK)
    assert not (tmp_path / "run").exists()


def test_flags_for_images_with_text(data, refused, tmp_path):
    line = refused(data / "texts", "--mask-ratio", "0.5", *QUICK)
    assert "--mask-ratio is for images, and this run learns from text" in line
    assert not (tmp_path / "run").exists()


def test_an_image_encoder_on_text(data, refused, tmp_path):
    line = refused(data / "texts", *SMALL)
    assert "no image in it (it holds 1 .txt)" in line
    assert "as it holds text, name an encoder for these, such as --encoder bert-mini" in line
    assert not (tmp_path / "run").exists()


def test_a_text_encoder_on_images(data, refused, tmp_path):
    line = refused(data / "images", "--encoder", "bert-tiny", *QUICK)
    assert "holds no file whose name ends in .txt" in line
    assert "as it holds images, name an encoder for these, such as --encoder vit-tiny" in line
    assert not (tmp_path / "run").exists()


def test_a_run_is_no_folder_of_images(data, refused, tmp_path):
    run = tmp_path / "earlier"
    (run / "pictures").mkdir(parents=True)
    (run / "run.yaml").touch()
    for number, image in enumerate(sorted((data / "images").rglob("*.*"))[:3]):
        (run / "pictures" / f"{number}{image.suffix}").write_bytes(image.read_bytes())
    line = refused(run, "--encoder", "vit-mini", *QUICK)
    assert f"{run}: is a run, and no data: --init {run} goes on from its model" in line


def test_a_folder_without_images(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no image in it (it holds no file)" in refused(tmp_path / "empty", *SMALL)
    assert "nowhere: no such file or folder" in refused(tmp_path / "nowhere", *SMALL)
    assert not (tmp_path / "run").exists()


def test_one_image_only(data, refused, tmp_path):
    line = refused(data / "images" / "000.png", *SMALL)
    assert "1 image, and pre-training needs 2: one to train on and one to measure with" in line
    assert not (tmp_path / "run").exists()


def test_images_that_are_all_the_same_are_one(refused, tmp_path):
    folder = write_toy_pictures(tmp_path / "same", 1)
    for number in range(5):
        (folder / f"copy-{number}.png").write_bytes((folder / "000.png").read_bytes())
    assert "1 image, and pre-training needs 2" in refused(folder, *SMALL)


def bomb(side: int) -> bytes:
    """A small PNG whose header says that it has side × side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def write_bad_images(folder: Path) -> None:
    (folder / "text.png").write_text("This is no image.")
    Image.new("RGB", (1, 1)).save(folder / "tiny.png")
    (folder / "bomb.png").write_bytes(bomb(20_000))
    whole = (folder / "000.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])


def test_bad_images_are_named_counted_and_skipped_up_to_a_share(tmp_path, capsys):
    folder = write_toy_pictures(tmp_path / "images", 8)
    write_bad_images(folder)
    run = tmp_path / "run"
    words = ["pretrain", str(folder), "--out", str(run), *SMALL, "--max-bad-fraction", "0.5"]
    assert cli.main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary["bad_images"] == 4
    assert "Traceback" not in captured.err
    assert "Warning" not in captured.err
    named = (run / "images" / "problems.jsonl").read_text()
    for name in ("text.png", "tiny.png", "bomb.png", "truncated.png"):
        assert name in named


def test_more_bad_images_than_are_allowed(refused, tmp_path):
    folder = write_toy_pictures(tmp_path / "images", 8)
    write_bad_images(folder)
    line = refused(folder, *SMALL)
    assert "bomb.png: too large (more than 100 million pixels)" in line
    assert "with it 4 of 12 images cannot be read" in line
    assert "--max-bad-fraction" in line


def test_images_of_which_none_can_be_read(refused, tmp_path):
    for name in ("a.png", "b.jpg"):
        (tmp_path / name).write_text("This is no image.")
    line = refused(tmp_path, "--encoder", "vit-mini", *QUICK)
    assert "a.png: no image" in line
    assert "no other of the images can be read" in line
    assert not (tmp_path / "run").exists()


def test_decoded_images_that_were_cut_short(data, refused, tmp_path):
    run = tmp_path / "first"
    assert cli.main(["pretrain", str(data / "images"), "--out", str(run), *SMALL]) == 0
    line = refused(run / "images", "--max-bad-fraction", "0.5", *SMALL)
    assert "--max-bad-fraction: is for image files" in line
    (shard,) = (run / "images").glob("*.safetensors")
    shard.write_bytes(shard.read_bytes()[:-100])
    line = refused(run / "images", *SMALL)
    assert f"{shard.name}: " in line
    assert "cut short" in line
    assert "must be the only DATA" in refused(run / "images", data / "images", *SMALL)
    assert not (tmp_path / "run").exists()


def test_a_model_that_takes_text(data, refused, tmp_path):
    texts, run = data / "texts", tmp_path / "first"
    small = ("--encoder", "bert-tiny", "--max-length", "32", "--vocab-size", "150", *QUICK)
    assert cli.main(["pretrain", str(texts), "--out", str(run), *small]) == 0
    line = refused(data / "images", "--init", run, *QUICK)
    assert "as it holds images, name an encoder for these" in line
    line = refused(data / "images", "--init", run, "--objectives", "jigsaw", *QUICK)
    assert f"--init {run}: takes text, but --objectives jigsaw is learned from images" in line
    assert not (tmp_path / "run").exists()
