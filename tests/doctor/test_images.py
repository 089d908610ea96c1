"""Images as the doctor sees them: files, decoded ones, and runs that learned from them."""

from pathlib import Path

from selfsup.doctor import doctor
from selfsup.images.files import find_images
from selfsup.images.pixels import ResizeShorterSide
from selfsup.images.prepare import prepare_images
from selfsup.runs.folder import run_yaml
from selfsup.settings.pretrain import PretrainSettings
from selfsup.settings.showing import DoctorSettings
from selfsup.shards.images import ImageResumeState
from tests.doctor.found_problems import found_in, only_one
from tests.pretraining.images.toy_pictures import write_toy_pictures


def facts_of(path: Path) -> tuple[str, dict]:
    result = doctor(DoctorSettings(path=str(path)))
    return result["kind"], result["counts"]


def test_sound_images_are_counted_and_classes_by_name(tmp_path):
    write_toy_pictures(tmp_path / "cats", 3)
    write_toy_pictures(tmp_path / "dogs", 2)
    assert facts_of(tmp_path) == ("images", {"images": {"cats": 3, "dogs": 2}})
    assert facts_of(tmp_path / "cats") == ("images", {"images": 3})
    assert found_in(tmp_path) == []


def test_images_that_cannot_be_read_are_counted_and_the_first_is_named(tmp_path):
    write_toy_pictures(tmp_path, 4)
    for name in ("aa.png", "bb.jpg"):
        (tmp_path / name).write_text("no image")
    what = only_one(found_in(tmp_path))
    assert what.startswith("2 of 6 images cannot be read; the first: ")
    assert "aa.png: no image" in what


def test_what_is_passed_over_and_classes_without_images_are_told(tmp_path):
    for name in ("cats", "dogs"):
        write_toy_pictures(tmp_path / name, 3)
    (tmp_path / "labels.csv").write_text("image,text,label\n1,a cat that sleeps,cats\n")
    (tmp_path / "birds").mkdir()
    assert facts_of(tmp_path) == ("images", {"images": {"cats": 3, "dogs": 3}})
    passed_over, empty = found_in(tmp_path)
    assert "passed over files that are no images: 1 .csv → see whether" in passed_over
    assert "passed over folders without files: birds → see whether" in empty
    (tmp_path / "birds" / "1.mp4").write_text("a film")
    lacking, passed_over = found_in(tmp_path)
    assert "birds: a class without images, it holds 1 .mp4 → give it images" in lacking
    assert "1 .mp4, 1 .csv" in passed_over


def test_images_of_a_format_that_is_not_read_are_told_with_their_fix(tmp_path):
    write_toy_pictures(tmp_path, 3)
    (tmp_path / "photo.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    what = only_one(found_in(tmp_path))
    assert "photo.jpg: in the format HEIC, which is not read: convert it to JPEG or PNG" in what


def test_one_image_is_too_few(tmp_path):
    assert "pre-training needs 2 images" in only_one(found_in(write_toy_pictures(tmp_path, 1)))


def test_decoded_images_are_compared_with_their_manifest(tmp_path):
    files = find_images(write_toy_pictures(tmp_path / "files", 4))
    out = tmp_path / "images"
    prepare_images(files, tmp_path / "files", out, ResizeShorterSide(16), show_progress=False)
    assert facts_of(out) == ("decoded images", {"images": 4})
    assert found_in(out) == []
    shard = out / "shard-00000.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert "its checksum is not the manifest's" in only_one(found_in(out))


def test_images_of_which_not_all_are_decoded_are_to_be_gone_on_with(tmp_path):
    ImageResumeState({"inputs_sha256": "0", "settings": {}}, files_read=3).save(tmp_path)
    assert facts_of(tmp_path) == ("decoded images", {})
    found = only_one(found_in(tmp_path))
    assert "reading was interrupted → run the same command again to finish it" in found


def image_run(folder: Path, **summary: float) -> Path:
    (folder / "model").mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "preprocessor_config.json"):
        (folder / "model" / name).touch()
    settings = PretrainSettings(
        data=("photos",), out=str(folder), encoder="vit-tiny", objectives=("jigsaw",), image_size=64
    )
    (folder / "run.yaml").write_text(run_yaml("pretrain", settings))
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    text = ", ".join(f'"{name}": {value}' for name, value in summary.items())
    (folder / "summary.json").write_text("{" + text + "}")
    return folder


def test_a_run_that_learned_from_images_is_sound_without_a_tokenizer(tmp_path):
    learned = {"jigsaw_accuracy": 0.5, "jigsaw_chance": 0.02}
    run = image_run(tmp_path, **learned, inpainting_pixel_error=0.01, mean_colour_error=0.05)
    assert found_in(run) == []
    (run / "model" / "preprocessor_config.json").unlink()
    assert "preprocessor_config.json is missing" in only_one(found_in(run))


def test_a_run_that_learned_nothing_from_images_is_told_so(tmp_path):
    guessing = image_run(tmp_path / "a", jigsaw_accuracy=0.03, jigsaw_chance=0.02)
    assert "3.0% of the tiles are put right, where chance gives 2.0%" in only_one(
        found_in(guessing)
    )
    filling = image_run(tmp_path / "b", inpainting_pixel_error=0.05, mean_colour_error=0.05)
    assert "no less than that of the mean colour (0.0500)" in only_one(found_in(filling))
