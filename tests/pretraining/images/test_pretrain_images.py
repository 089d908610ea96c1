"""Pre-training on images from the files to the run folder, and through kills."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from selfsup import cli
from selfsup.encoder.vit import patchify
from selfsup.pretraining import run as pretraining_run
from selfsup.pretraining.images.model import load_image_pretraining
from selfsup.pretraining.run import pretrain
from selfsup.settings.pretrain import PretrainSettings
from selfsup.settings.yaml_file import from_yaml, to_yaml
from tests.encoder_folders import load_vit
from tests.pretraining.images.toy_pictures import write_toy_pictures
from tests.pretraining.test_pretrain_resume import SIGINT, SIGKILL, run_and_signal


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    return write_toy_pictures(tmp_path_factory.mktemp("pictures"), 24)


def settings(data: Path, out: Path, **changed: Any) -> PretrainSettings:
    values = {
        "data": (str(data),),
        "out": str(out),
        "encoder": "vit-mini",
        "image_size": 16,
        "patch_size": 4,
        "steps": 6,
        "batch_size": 4,
        "held_out_fraction": 0.25,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "workers": 1,
    }
    return PretrainSettings(**(values | changed))


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "first"
    return out, pretrain(settings(pictures, out, evaluate_every=2))


def metrics_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weights_of(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


def results_of(out: Path) -> dict:
    """The summary without what depends on the clock, and on where the run lies."""
    summary = json.loads((out / "summary.json").read_bytes())
    clock = ("seconds", "images_per_second", "flops_utilization", "out")
    return {name: value for name, value in summary.items() if name not in clock}


def test_the_summary_holds_what_was_measured_of_both_objectives(run):
    out, summary = run
    assert json.loads((out / "summary.json").read_bytes()) == summary
    assert (summary["steps"], summary["images"], summary["held_out_images"]) == (6, 24, 6)
    assert summary["encoder"] == "vit-mini"
    assert summary["inpainting_loss"] > 0
    assert 0 < summary["inpainting_pixel_error"] < 1
    assert 0 < summary["mean_colour_error"] < 1
    assert 0 <= summary["jigsaw_accuracy"] <= 1
    assert summary["jigsaw_chance"] == 1 / 16
    assert set(summary) >= {"seconds", "images_per_second", "flops_utilization", "jigsaw_loss"}
    assert (summary["bad_images"], summary["duplicate_images"]) == (0, 0)


def test_the_metrics_count_images_and_hold_each_objectives_loss(run):
    out, summary = run
    lines = metrics_of(out)
    assert [line["step"] for line in lines if "held_out_jigsaw_accuracy" in line] == [2, 4]
    assert all(
        name in line
        for line in lines
        if "held_out_jigsaw_accuracy" in line
        for name in ("held_out_inpainting_pixel_error", "held_out_mean_colour_error")
    )
    last = lines[-1]
    assert set(last) == {
        "step", "seconds", "images", "loss", "inpainting_loss", "jigsaw_loss", "learning_rate",
        "images_per_second", "flops_utilization",
    }  # fmt: skip
    assert (last["step"], last["images"]) == (6, summary["images"])
    assert last["loss"] == pytest.approx(last["inpainting_loss"] + last["jigsaw_loss"])


def test_the_settings_of_the_run_say_what_was_left_open(tmp_path):
    pictures = write_toy_pictures(tmp_path / "pictures", 6, side=16)
    chosen = settings(
        pictures, tmp_path / "run", encoder=None, image_size=None, patch_size=None, batch_size=None,
        steps=1, objectives=("jigsaw",),
    )  # fmt: skip
    pretrain(chosen)
    resolved = from_yaml(PretrainSettings, tmp_path / "run" / "run.yaml", "pretrain")
    assert resolved.encoder == "vit-tiny"
    assert (resolved.image_size, resolved.patch_size) == (16, 2)
    assert resolved.objectives == ("jigsaw",)
    assert None not in (resolved.mask_ratio, resolved.batch_size, resolved.learning_rate)


def test_nothing_but_the_run_and_its_decoded_images_is_left_when_it_has_ended(run):
    out, _ = run
    names = {path.name for path in out.iterdir()} - {"pictures"}
    assert names == {"images", "metrics.jsonl", "model", "run.yaml", "summary.json"}


def test_transformers_loads_the_encoder_and_we_the_heads_too(run):
    from transformers import AutoModel, ViTImageProcessorPil

    out, _ = run
    loaded: Any = AutoModel.from_pretrained(
        out / "model", output_loading_info=True, add_pooling_layer=False
    )
    theirs, report = loaded
    assert type(theirs).__name__ == "ViTModel"
    assert not report["missing_keys"]
    assert all(name.startswith(("inpainting.", "jigsaw.")) for name in report["unexpected_keys"])
    ours, missing = load_image_pretraining(out / "model", ("inpainting", "jigsaw"))
    assert missing == ()
    assert torch.equal(
        theirs.embeddings.position_embeddings, ours.encoder.embeddings.position_embeddings
    )
    assert ViTImageProcessorPil.from_pretrained(out / "model").size["height"] == 16


def test_training_lowers_both_losses_on_images_that_were_held_out(tmp_path):
    many = write_toy_pictures(tmp_path / "many", 200)
    short = pretrain(settings(many, tmp_path / "short", steps=1, learning_rate=1e-9))
    longer = pretrain(
        settings(many, tmp_path / "longer", steps=60, batch_size=8, learning_rate=1e-3)
    )
    assert longer["inpainting_loss"] < short["inpainting_loss"] - 0.1
    assert longer["jigsaw_loss"] < short["jigsaw_loss"] - 0.1
    assert longer["mean_colour_error"] == short["mean_colour_error"]


def test_the_same_seed_gives_the_same_model_and_another_seed_another(pictures, run, tmp_path):
    first, _ = run
    for name, seed in (("same", 0), ("other", 1)):
        pretrain(settings(pictures, tmp_path / name, seed=seed))
    assert weights_of(tmp_path / "same") == weights_of(first)
    assert weights_of(tmp_path / "other") != weights_of(first)


@pytest.mark.parametrize("name", ["inpainting", "jigsaw"])
def test_one_objective_alone_is_learned_and_measured_alone(name: str, pictures, tmp_path):
    summary = pretrain(settings(pictures, tmp_path, objectives=(name,), steps=2))
    learned = {key for key in summary if key.endswith("_loss") and summary[key] is not None}
    assert learned == {f"{name}_loss"}
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert {key.split(".")[0] for key in weights} == {"vit", name}


def test_decoded_images_of_another_run_can_be_named(pictures, run, tmp_path):
    first, _ = run
    pretrain(settings(first / "images", tmp_path / "second"))
    assert not (tmp_path / "second" / "images").exists()
    assert weights_of(tmp_path / "second") == weights_of(first)


def test_images_of_two_folders_are_taken_together(tmp_path):
    write_toy_pictures(tmp_path / "a", 4)
    write_toy_pictures(tmp_path / "b" / "c", 9)
    both = settings(tmp_path / "a", tmp_path / "run", steps=1, held_out_fraction=0.2)
    summary = pretrain(PretrainSettings(**{**vars(both), "data": (
        str(tmp_path / "a"), str(tmp_path / "b")
    )}))  # fmt: skip
    assert summary["duplicate_images"] == 4  # the first of b are those of a
    assert summary["held_out_images"] == 2


def test_a_model_can_be_trained_further_and_on_larger_images(run, pictures, tmp_path, capsys):
    first, _ = run
    capsys.readouterr()
    further: dict[str, Any] = {"encoder": None, "image_size": None, "patch_size": None}
    chosen = settings(
        pictures, tmp_path / "same", init=str(first), steps=1, learning_rate=1e-9, **further
    )
    pretrain(chosen)
    assert "New weights" not in capsys.readouterr().err
    before, after = (
        load_image_pretraining(out / "model", ("inpainting", "jigsaw"))[0].state_dict()
        for out in (first, tmp_path / "same")
    )
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    further["image_size"] = 24
    pretrain(settings(pictures, tmp_path / "larger", init=str(first), steps=1, **further))
    assert "New weights, not in" in capsys.readouterr().err  # of a jigsaw with more places
    larger, _ = load_image_pretraining(tmp_path / "larger" / "model", ("jigsaw",))
    assert larger.encoder.config.patch_count == 36


def test_a_model_that_counts_pixels_otherwise_makes_the_same_of_them(run, pictures, tmp_path):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's
    foreign = tmp_path / "foreign"
    shutil.copytree(run[0] / "model", foreign)
    processor = json.loads((foreign / "preprocessor_config.json").read_bytes())
    processor |= {"image_mean": mean, "image_std": std}
    (foreign / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    further: dict[str, Any] = {"encoder": None, "image_size": None, "patch_size": None}
    out = tmp_path / "further"
    pretrain(settings(pictures, out, init=str(foreign), steps=1, learning_rate=1e-9, **further))
    before, after = (load_vit(folder)[0] for folder in (foreign, out / "model"))
    images = torch.rand(2, 3, 16, 16)
    as_it_was = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    with torch.no_grad():
        expected = before(patchify(as_it_was, 4), before.all_positions())
        ours = after(patchify(images * 2 - 1, 4), after.all_positions())
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "changed",
    [{"dropout": 0.1, "optimizer": "muon"}, {"accumulate": 2, "objectives": ("jigsaw",)}],
    ids=["muon", "accumulated"],
)
def test_a_run_that_died_twice_is_gone_on_with_bit_for_bit(
    changed: dict, pictures, tmp_path, monkeypatch
):
    chosen: dict = {"steps": 9, "checkpoint_every": 3, "evaluate_every": 1, **changed}
    pretrain(settings(pictures, tmp_path / "whole", **chosen))
    after_step = pretraining_run.PretrainingLog.after_step
    died_at: list[int] = []

    def die_at_4_and_8(self, report):
        after_step(self, report)
        if report.state.step in (4, 8) and report.state.step not in died_at:
            died_at.append(report.state.step)
            raise ZeroDivisionError

    monkeypatch.setattr(pretraining_run.PretrainingLog, "after_step", die_at_4_and_8)
    out = tmp_path / "stopped"
    copied = write_toy_pictures(tmp_path / "pictures", 24)
    with pytest.raises(ZeroDivisionError):
        pretrain(settings(copied, out, **chosen))
    for file in copied.iterdir():  # they are decoded: the files are needed no more
        file.unlink()
    with pytest.raises(ZeroDivisionError):
        cli.main(["resume", str(out)])
    assert cli.main(["resume", str(out)]) == 0
    assert died_at == [4, 8]
    assert weights_of(out) == weights_of(tmp_path / "whole")
    assert results_of(out) == results_of(tmp_path / "whole")
    measured = [line["step"] for line in metrics_of(out) if "held_out_jigsaw_loss" in line]
    assert measured == list(range(1, 9))


@pytest.mark.parametrize("number", [SIGKILL, SIGINT], ids=["killed", "interrupted"])
def test_nine_steps_equal_some_a_stop_and_what_is_left_bit_for_bit(number: int, pictures, tmp_path):
    whole = settings(pictures, tmp_path / "whole", steps=9, checkpoint_every=4)
    pretrain(whole)
    (tmp_path / "whole.yaml").write_text(to_yaml(whole))
    out = tmp_path / "stopped"
    arguments = ["pretrain", "--config", str(tmp_path / "whole.yaml"), "--out", str(out)]
    ended = run_and_signal(5, number, arguments)
    (saved,) = (out / "checkpoints").iterdir()
    if number == SIGKILL:
        assert (ended.returncode, saved.name) == (-SIGKILL, "step-000000004")
    else:
        assert (ended.returncode, saved.name) == (130, "step-000000005")
        assert f"selfsup: stopped at step 5. To go on: selfsup resume {out}" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (out / "summary.json").exists()

    assert cli.main(["resume", str(out)]) == 0
    assert weights_of(out) == weights_of(tmp_path / "whole")
    assert results_of(out) == results_of(tmp_path / "whole")
    assert not (out / "checkpoints").exists()


def test_a_folder_of_images_alone_is_said_to_be_one_and_read_as_such(tmp_path, capsys):
    pictures = write_toy_pictures(tmp_path / "pictures", 6)
    (pictures / "captions.md").write_text("None yet.")
    words = [
        "pretrain", str(pictures), "--out", str(tmp_path / "run"), "--steps", "1", "--batch-size",
        "2", "--device", "cpu", "--precision", "float32", "--threads", "1", "--workers", "1",
    ]  # fmt: skip
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert "DATA holds images: pre-training a vit-tiny on them" in printed.err
    assert printed.err.count(f"{pictures}: passed over files that are no images: 1 .md\n") == 1
    shown = printed.out.replace("\u00a0", " ")
    assert "Jigsaw accuracy" in shown
    assert "(chance is 0.7 %)" in shown
    assert "selfsup finetune image-classification --encoder" in shown
