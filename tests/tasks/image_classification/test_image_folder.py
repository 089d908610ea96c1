"""A fine-tuned image model goes to `transformers` and back with equal scores."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

from selfsup.encoder.huggingface.vit_folder import ImagePreparation
from selfsup.encoder.layers import initialize
from selfsup.encoder.vit import VitEncoder
from selfsup.errors import UserError
from selfsup.inference.scoring import score
from selfsup.tasks.labels import Labels
from selfsup.tasks.registry import TASKS, TaskModel, load_task_model, save_task_model
from selfsup.training.compute import Compute
from tests.toy_tasks import CLASSES, VIT_CONFIG, write_toy_images

task = TASKS["image-classification"]

LABELS = Labels("class", CLASSES)
FLOAT32 = Compute(torch.device("cpu"), torch.float32)
ODD = ImagePreparation(
    VIT_CONFIG.image_size, VIT_CONFIG.patch_size, (0.4, 0.5, 0.3), (0.2, 0.3, 0.4)
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    folder = write_toy_images(tmp_path_factory.mktemp("toy") / "images", 3)
    # Images that have to be turned or brought to RGB.
    Image.open(folder / "along" / "000.png").convert("L").save(folder / "grey.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "along" / "001.png").save(folder / "turned.jpg", exif=exif)
    Image.open(folder / "across" / "001.png").quantize(5).save(folder / "palette.gif")
    return sorted(map(str, folder.rglob("*.*")))


def our_scores(loaded: TaskModel, files: list[str]):
    examples = loaded.task.examples_of(files, None)
    encoded = loaded.task.encode_examples(examples, loaded.labels, loaded.preparation)
    scores = score(loaded.model, encoded.windows, FLOAT32)
    return scores, list(loaded.task.decode(scores, encoded, examples, loaded.labels))


def assert_equal_to_the_pipeline(folder: Path, files: list[str]) -> None:
    # Pillow's, as ours; the one on torchvision, taken where that is installed, rounds otherwise.
    processor = ViTImageProcessorPil.from_pretrained(folder)
    pipeline: Any = transformers.pipeline(
        "image-classification", model=str(folder), image_processor=processor
    )
    theirs = [
        {entry["label"]: entry["score"] for entry in row} for row in pipeline(files, top_k=None)
    ]
    _, ours = our_scores(load_task_model(folder), files)
    assert len(ours) == len(theirs) == len(files) == 12
    for our, their in zip(ours, theirs, strict=True):
        assert our["probabilities"] == pytest.approx(their, abs=1e-5)
    spread = {name: [row[name] for row in theirs] for name in theirs[0]}
    assert max(max(values) - min(values) for values in spread.values()) > 0.01  # told apart


def write_classifier(folder: Path, preparation: ImagePreparation, standardised: bool = False):
    model = task.build_model(VitEncoder(VIT_CONFIG), LABELS, 0.1).eval()
    initialize(model, 0.3, seed=3)
    if standardised:
        model.on_features(3 * torch.randn(20, VIT_CONFIG.hidden_size) + 1)
    save_task_model(folder, task, model, LABELS, preparation, "# Card\n")
    return model


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("preparation", [ImagePreparation(16, 4), ODD])
def test_the_pipeline_of_transformers_gives_equal_probabilities(
    tmp_path, files, preparation, standardised
):
    model = write_classifier(tmp_path, preparation, standardised)
    assert_equal_to_the_pipeline(tmp_path, files)
    loaded = load_task_model(tmp_path)
    assert (loaded.task, loaded.labels, loaded.preparation) == (task, LABELS, preparation)
    before = TaskModel(tmp_path, task, model, LABELS, preparation)
    torch.testing.assert_close(
        torch.from_numpy(our_scores(loaded, files)[0]),
        torch.from_numpy(our_scores(before, files)[0]),
        atol=1e-4,
        rtol=1e-4,
    )


def test_logits_are_those_of_transformers(tmp_path, files):
    write_classifier(tmp_path, ImagePreparation(16, 4))
    loading: Any = ViTForImageClassification.from_pretrained
    theirs, notes = loading(tmp_path, output_loading_info=True)
    assert not any(notes.values())
    images = [Image.open(file).convert("RGB") for file in files if file.endswith("png")]
    pixels = ViTImageProcessorPil.from_pretrained(tmp_path)(images, return_tensors="pt")
    with torch.inference_mode():
        logits = theirs.eval()(**pixels).logits
    ours, _ = our_scores(load_task_model(tmp_path), [f for f in files if f.endswith("png")])
    torch.testing.assert_close(torch.from_numpy(ours), logits, atol=1e-5, rtol=0)


def write_theirs(folder: Path, **changed: Any) -> None:
    torch.manual_seed(5)
    config = ViTConfig(
        image_size=24,
        patch_size=6,
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=40,
        initializer_range=0.3,
        id2label={0: "a", 1: "b", 2: "c"},
        label2id={"a": 0, "b": 1, "c": 2},
        **changed,
    )
    ViTForImageClassification(config).eval().save_pretrained(folder)


@pytest.mark.parametrize(
    "processor",
    [
        {},
        {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
        {"do_normalize": False},
    ],
)
def test_a_model_that_transformers_saved_gives_equal_probabilities(tmp_path, files, processor):
    write_theirs(tmp_path)
    size = {"height": 24, "width": 24}
    ViTImageProcessorPil(size=size, **processor).save_pretrained(tmp_path)
    assert_equal_to_the_pipeline(tmp_path, files)
    assert load_task_model(tmp_path).labels.names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resample": 3}, "resample is 3; only 2 can be done here"),
        ({"do_center_crop": True}, "do_center_crop is True; only False"),
        ({"size": {"height": 32, "width": 24}}, "size is .* takes 24 × 24 pixels"),
        ({"rescale_factor": 1.0}, "rescale_factor is 1.0; only 1/255"),
        ({"image_std": [0.0, 1.0, 1.0]}, r"image_std\[0\] must be above 0\.0, not 0\.0"),
        ("no JSON", "cannot be read as JSON"),
        ([], "it must be a JSON object"),
    ],
)
def test_a_processor_that_does_something_else_is_refused(tmp_path, changed, said):
    write_theirs(tmp_path)
    file = tmp_path / "preprocessor_config.json"
    file.write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(UserError, match=f"preprocessor_config.json: {said}"):
        load_task_model(tmp_path)


def test_null_in_a_processor_is_its_default(tmp_path):
    write_theirs(tmp_path)
    settings = dict.fromkeys(("do_center_crop", "resample", "size", "rescale_factor", "image_mean"))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    assert load_task_model(tmp_path).preparation == ImagePreparation(24, 6)


def test_without_a_processor_pixels_are_as_in_a_model_of_ours(tmp_path):
    write_theirs(tmp_path)
    assert load_task_model(tmp_path).preparation == ImagePreparation(24, 6)
