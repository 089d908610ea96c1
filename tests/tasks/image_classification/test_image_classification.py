"""Image classification: what is read, what is learned from, and the head."""

import dataclasses
import shutil
import unicodedata
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

from selfsup.encoder.huggingface.vit_folder import ImagePreparation
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.finetuning.data import EpochBatches, FrozenFeatures
from selfsup.tasks.base import Reading
from selfsup.tasks.image_classification.data import LabelledImages
from selfsup.tasks.image_classification.task import ImageClassification, ImageClassifier
from selfsup.tasks.labels import Labels
from tests.toy_tasks import CLASSES, VIT_CONFIG, toy_image, write_toy_images

task = ImageClassification()

LABELS = Labels("class", CLASSES)
PREPARATION = ImagePreparation(VIT_CONFIG.image_size, VIT_CONFIG.patch_size)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_toy_images(tmp_path_factory.mktemp("toy") / "images", 4)


@pytest.fixture
def changed(folder, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(folder, tmp_path / "images")


def read(folder, labelled: bool = True) -> LabelledImages:
    return task.read_examples(str(folder), Reading(), labelled=labelled)


def encoded(folder):
    return task.encode_examples(read(folder), LABELS, PREPARATION)


def new_model(dropout: float = 0.0) -> ImageClassifier:
    model = task.build_model(VitEncoder(VIT_CONFIG), LABELS, dropout)
    initialize(model, 0.2, seed=0)
    return model.eval()


# What is read.


def test_mirrored_crops_can_be_left_out(folder):
    plain = dataclasses.replace(PREPARATION, mirror=False)
    units = task.encode_examples(read(folder), LABELS, plain).units
    usual = encoded(folder).units
    places = np.arange(len(usual))
    ours, theirs = units.batch(places).read(), usual.batch(places).read()
    is_same = (ours == theirs).all((1, 2, 3))
    assert 0 < is_same.sum() < len(places)
    assert np.array_equal(ours[~is_same], theirs[~is_same, :, ::-1])


def test_a_folder_is_a_class(folder):
    images = read(folder)
    assert task.learn_labels(images, None) == LABELS
    assert [(file.parent.name, file.name) for file in images.files[3:5]] == [
        ("across", "003.png"),
        ("along", "000.png"),
    ]
    assert images.labels == [name for name in CLASSES for _ in range(4)]
    numbers = task.encode_examples(images, LABELS, PREPARATION).labels
    assert numbers.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    unlabelled = read(folder, labelled=False)
    assert unlabelled.labels is None
    assert unlabelled.files == images.files


def test_folders_that_are_numbers_are_in_their_order(changed):
    for name, number in zip(CLASSES, ("10", "9", "2"), strict=True):
        (changed / name).rename(changed / number)
    assert task.learn_labels(read(changed), None).names == ("2", "9", "10")


def test_folders_whose_names_look_alike_are_one_class(changed):
    for name, new in zip(CLASSES, ("cafe\u0301", "caf\u00e9", "Caf\u00e9"), strict=True):
        (changed / name).rename(changed / new)
    images = read(changed)
    labels = task.learn_labels(images, None)
    assert labels.names == ("Caf\u00e9", "caf\u00e9")
    assert task.encode_examples(images, labels, PREPARATION).labels.tolist().count(1) == 8
    (said,) = [
        note for note in task.reading_notes(images, images, labels) if "only in case" in note
    ]
    assert '"Caf\u00e9" (4) and "caf\u00e9" (8)' in said


def test_what_cannot_be_decoded_is_left_out_and_said(changed):
    whole = (changed / "along" / "001.png").read_bytes()
    (changed / "along" / "001.png").write_bytes(whole[: len(whole) // 2])
    (changed / "plain" / "note.png").write_text("no image at all")
    Image.new("RGB", (1, 1)).save(changed / "plain" / "dot.png")
    images = read(changed)
    assert len(images) == 11 == len(images.labels or ()) == len(images.digests)
    assert [(images.labels or [])[place] for place in (3, 4, 6, 7)] == [
        "across", "along", "along", "plain",
    ]  # fmt: skip
    (note,) = images.notes
    assert "3 of 14 images cannot be read and are left out (the first is " in note
    assert "along/001.png: damaged" in note


def test_more_that_cannot_be_decoded_than_allowed_is_a_mistake(changed):
    (changed / "plain" / "note.png").write_text("no image at all")
    allowed = Reading(max_bad_fraction=1 / 13)
    assert len(task.read_examples(str(changed), allowed, labelled=True)) == 12
    said = r"plain/note\.png: no image.* 1 of 13 images cannot be read.* --max-bad-fraction"
    with pytest.raises(UserError, match=said):
        task.read_examples(str(changed), Reading(max_bad_fraction=0.05), labelled=True)


def test_nothing_to_read_is_a_mistake(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "1.png").write_text("x")
    (tmp_path / "b" / "2.png").write_text("y")
    with pytest.raises(UserError, match=r"none of its images can be read .*a/1\.png: no image"):
        read(tmp_path)
    Image.fromarray(toy_image("along", 0)).save(tmp_path / "a" / "1.png")
    said = r"b/2\.png: no image.* — and so are all images of this class: replace them"
    with pytest.raises(UserError, match=said):
        read(tmp_path)
    (tmp_path / "b" / "2.png").unlink()
    with pytest.raises(UserError, match=r"images of one class only \(a\) can be read"):
        task.learn_labels(read(tmp_path), None)


def test_a_class_of_which_no_image_is_read_here_is_named(changed):
    for file in (changed / "along").iterdir():
        file.with_suffix(".heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
        file.unlink()
    said = r"along/000\.heic: in the format HEIC.* convert .* so are all images of this class"
    with pytest.raises(UserError, match=said):
        task.read_examples(str(changed), Reading(max_bad_fraction=0.9), labelled=True)
    shutil.rmtree(changed / "along")
    (changed / "along").mkdir()
    (changed / "along" / "notes").write_text("none yet")
    with pytest.raises(UserError, match="along: a class without images, it holds 1 without suffix"):
        read(changed)


def test_what_is_passed_over_is_a_note(changed):
    (changed / "along" / "000.txt").write_text("a caption")
    (changed / "empty").mkdir()
    assert read(changed).notes == (
        f"{changed}: passed over files that are no images: 1 .txt",
        f"{changed}: passed over folders without files: empty",
    )
    assert task.learn_labels(read(changed), None) == LABELS


def test_a_models_class_is_the_same_however_its_name_is_composed(changed):
    composed, decomposed = (unicodedata.normalize(form, "étroit") for form in ("NFC", "NFD"))
    for written in (composed, decomposed):
        (changed / "along").rename(changed / written)
        for known in (composed, decomposed):
            labels = Labels("class", ("across", known, "plain"))
            numbers = task.encode_examples(read(changed), labels, PREPARATION).labels
            assert numbers.tolist() == [0] * 4 + [2] * 4 + [1] * 4  # in any form it sorts last
        (changed / written).rename(changed / "along")


def test_a_class_that_was_not_trained_on_is_named_with_its_image(changed):
    (changed / "plain").rename(changed / "zigzag")
    said = r"zigzag/000\.png: its class 'zigzag' was not among .*\(across, along, plain\)"
    with pytest.raises(UserError, match=said):
        encoded(changed)


def test_a_model_without_names_takes_numbers(changed):
    for number, name in enumerate(CLASSES):
        (changed / name).rename(changed / str(number))
    labels = Labels("class", ("LABEL_0", "LABEL_1", "LABEL_2"))
    numbers = task.encode_examples(read(changed), labels, PREPARATION).labels
    assert numbers.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    scores = np.eye(3, dtype=np.float32)[numbers]
    images = read(changed)
    decode: Any = task.decode
    answers = decode(scores, task.encode_examples(images, labels, PREPARATION), images, labels)
    lines = list(task.records(images, answers))
    assert [line["label"] for line in lines] == [line["prediction"] for line in lines]


def test_given_images_must_be_there_and_whole(folder, tmp_path):
    image = folder / "plain" / "000.png"
    assert task.examples_of([str(image)], None).files == [image]
    (tmp_path / "text.png").write_text("no image")
    for path, said in [
        (tmp_path / "none.png", "no such file: this model takes an image"),
        (tmp_path / "text.png", "text.png: no image"),
        (folder, "a folder: give it with --data"),
    ]:
        with pytest.raises(UserError, match=said):
            task.examples_of([str(path)], None)


def test_copies_are_told_of(changed, folder):
    shutil.copy(changed / "along" / "000.png", changed / "along" / "copy.png")
    shutil.copy(changed / "along" / "001.png", changed / "plain" / "copy.png")
    train, validation = read(changed), read(folder)
    notes = "\n".join(task.reading_notes(train, validation, LABELS))
    assert f"{changed}: 2 of 14 images are copies of others" in notes
    assert f"{changed}: 1 image is also in the folder of another class" in notes
    assert f"{folder}: 12 of 12 images are also in {changed}" in notes
    assert 'labels with fewer than 8 examples: "across" (4)' in notes


# What a model takes.


def test_patches_are_those_of_the_processor_of_transformers(folder):
    size = {"height": VIT_CONFIG.image_size, "width": VIT_CONFIG.image_size}
    images = encoded(folder)
    mean, std = (0.4, 0.5, 0.3), (0.2, 0.3, 0.4)
    odd = ImagePreparation(VIT_CONFIG.image_size, VIT_CONFIG.patch_size, mean, std)
    theirs_of = transformers.ViTImageProcessorPil
    for preparation, processor in [
        (PREPARATION, theirs_of(size=size)),
        (odd, theirs_of(size=size, image_mean=list(mean), image_std=list(std))),
    ]:
        places = np.array([5, 0, 11])
        opened: Any = [Image.open(images.images.files[place]) for place in places]
        theirs = processor(opened, return_tensors="pt")["pixel_values"]
        batch = task.encode_examples(images.images, LABELS, preparation).windows.batch(places)
        projection = torch.randn(7, 3, VIT_CONFIG.patch_size, VIT_CONFIG.patch_size)
        expected = torch.conv2d(theirs, projection, stride=VIT_CONFIG.patch_size).flatten(2).mT
        ours = batch.patches() @ projection.flatten(1).T
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-5)
        assert batch.labels.tolist() == [1, 0, 2]
        assert batch.token_count == 3 * (1 + 16)


def test_crops_are_a_function_of_seed_and_epoch(folder):
    units = encoded(folder).units
    places = np.array([3, 9])

    def crops(seed: int, epoch: int) -> torch.Tensor:
        return units.for_epoch(seed, epoch).batch(places).patches()

    assert torch.equal(crops(1, 2), crops(1, 2))
    assert not torch.equal(crops(1, 2), crops(1, 3))
    assert not torch.equal(crops(1, 2), crops(2, 2))
    alone = units.for_epoch(1, 2).batch(places[1:]).patches()
    assert torch.equal(crops(1, 2)[1:], alone)  # not of the batch
    with pytest.raises(AssertionError):
        torch.testing.assert_close(crops(1, 2), encoded(folder).windows.batch(places).patches())


def test_each_epoch_crops_otherwise_and_a_batch_is_the_same_however_reached(folder):
    units = encoded(folder).units
    through = EpochBatches(units, 5, seed=3)
    batches = [through[number] for number in range(7)]
    at_once = EpochBatches(units, 5, seed=3)[5]
    assert torch.equal(batches[5].labels, at_once.labels)
    assert torch.equal(batches[5].patches(), at_once.patches())
    of_epoch = [torch.cat([b.patches() for b in batches[first : first + 3]]) for first in (0, 3)]
    sums = [sorted(patches.sum((1, 2)).tolist()) for patches in of_epoch]
    assert len(sums[0]) == len(sums[1]) == 12
    assert sums[0] != pytest.approx(sums[1])


# The head.


def test_the_loss_is_the_cross_entropy_of_the_scores(folder):
    model, batch = new_model(), encoded(folder).windows.batch(np.arange(12))
    loss, right, count = model(batch)["classification"]
    scores = model.scores(batch)
    theirs = torch.nn.functional.cross_entropy(scores, batch.labels)
    torch.testing.assert_close(loss, theirs)
    assert (int(right), count) == (int((scores.argmax(1) == batch.labels).sum()), 12)
    assert scores.std(0).min() > 1e-3  # the images are told apart


def test_over_frozen_features_all_is_the_same_and_pixels_are_not_read(folder):
    model, images = new_model(), encoded(folder)
    places = np.array([8, 1, 6])
    features = model.features(images.windows.batch(np.arange(12))).detach()
    frozen = FrozenFeatures(images.units, features, np.ones(12, np.int64)).batch(places)
    before = model.scores(images.windows.batch(places))
    head = model.on_features(features)
    whole = images.windows.batch(places)
    torch.testing.assert_close(head.scores(frozen), model.scores(whole))
    torch.testing.assert_close(head(frozen)["classification"][0], model(whole)["classification"][0])
    assert not torch.allclose(head.scores(frozen), before, atol=1e-3)  # they are standardised
    assert not images.to_crop._kept


def test_features_are_standardised_and_the_saved_head_gives_the_same(folder):
    model, images = new_model(), encoded(folder)
    batch = images.windows.batch(np.arange(12))
    features = model.features(batch).detach()
    model.on_features(features)
    linear = model.classifier.linear
    seen = (features - features.mean(0)) / features.std(0)
    torch.testing.assert_close(model.scores(batch), linear(seen), atol=1e-4, rtol=1e-4)
    saved = dict(model.saved_parameters())
    assert saved.keys() == dict(model.named_parameters()).keys()
    raw = features @ saved["classifier.linear.weight"].T + saved["classifier.linear.bias"]
    torch.testing.assert_close(raw, model.scores(batch), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(saved["classifier.linear.weight"], linear.weight)


def test_a_feature_that_does_not_vary_does_no_harm(folder):
    model = new_model()
    features = torch.randn(12, VIT_CONFIG.hidden_size)
    features[:, 3] = 2.0
    model.on_features(features)
    assert model.classifier(features).abs().max() < 1e3
    assert all(torch.isfinite(value).all() for _, value in model.saved_parameters())


def test_dropout_is_on_in_training_alone():
    model = new_model(dropout=0.5)
    features = torch.randn(12, VIT_CONFIG.hidden_size)
    head = model.on_features(features)
    head.train()
    first, second = head.head(features), head.head(features)
    assert not torch.equal(first, second)
    head.eval()
    assert torch.equal(head.head(features), head.head(features))


def test_records_name_the_image(folder):
    images = read(folder)
    scores = np.eye(3, dtype=np.float32)[[0] * 4 + [1] * 4 + [0] * 4]
    decode: Any = task.decode  # that of texts, which asks no more of images than they have
    answers = list(decode(scores, encoded(folder), images, LABELS))
    lines = list(task.records(images, answers))
    assert lines[-1]["image"] == str(folder / "plain" / "003.png")
    assert (lines[-1]["label"], lines[-1]["prediction"]) == ("plain", "across")
    (line,) = task.records(task.examples_of([lines[0]["image"]], None), answers[:1])
    assert line == {"image": lines[0]["image"], **answers[0]}
