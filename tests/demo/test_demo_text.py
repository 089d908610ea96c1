"""The demo on made-up documentation: its results, and what it may and may not write over."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from selfsup import cli
from selfsup.demo import run as demo_run
from selfsup.demo import task as demo_task
from selfsup.demo import text as recipe
from selfsup.demo.run import demo_folder
from selfsup.demo.text import TextDemo
from selfsup.errors import UserError
from selfsup.pretraining.run import pretrain
from selfsup.settings.pretrain import PretrainSettings
from selfsup.settings.showing import DemoSettings
from tests.demo.toy_documentation import LIBRARIES, toy_documentation

QUICK: dict[str, Any] = {
    "device": "cpu", "precision": "float32", "threads": 1, "workers": 1, "seeds": 2,
    "minutes": 0.01,
}  # fmt: skip


def settings(out: Path, **changed: Any) -> DemoSettings:
    return DemoSettings(out=str(out), **(QUICK | changed))


def demo(chosen: DemoSettings) -> dict[str, Any]:
    return TextDemo(chosen).run()


@pytest.fixture(scope="module", autouse=True)
def a_small_demo():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "ENCODER", "bert-tiny")
        patch.setattr(recipe, "library_documents", lambda _: toy_documentation(files=30))
        patch.setattr(demo_task, "EXAMPLES", {"test": 12, "validation": 4, "train": 8})
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("runs") / "demo"
    return out, demo(settings(out))


def test_the_summary_holds_the_accuracy_of_each_way_over_the_seeds(run):
    out, result = run
    summary = json.loads((out / "summary.json").read_bytes())
    assert result == {**summary, "out": str(out), "report": str(out / "report.html")}
    for way in ("pretrained", "frozen", "scratch"):
        accuracy = summary[way]["accuracy"]
        assert set(accuracy) == {"mean", "std", "values"}
        assert len(accuracy["values"]) == 2
        assert all(0 <= value <= 1 for value in accuracy["values"])


def test_the_summary_says_how_pretraining_went_what_masks_it_fills_and_what_the_task_was(run):
    _, result = run
    assert result["pretraining"]["steps"] >= 1
    assert [mask["text"] for mask in result["fill_mask"]] == list(recipe.MASKED)
    assert all(mask["candidates"] for mask in result["fill_mask"])
    assert result["task"]["labels"] == list(LIBRARIES)
    assert result["task"]["train_examples"] == 24
    assert result["task"]["test_examples"] == 36


def test_every_part_lies_in_a_run_folder_of_its_own_with_its_settings(run):
    out, _ = run
    parts = ["pretrain"]
    parts += [f"{way}/seed-{n}" for way in ("pretrained", "frozen", "scratch") for n in (0, 1)]
    for part in parts:
        for name in ("run.yaml", "metrics.jsonl", "summary.json", "model/model.safetensors"):
            assert (out / part / name).exists(), f"{part}/{name}"


def test_the_three_ways_differ_in_nothing_but_where_they_start(run):
    out, _ = run
    of_way = {
        way: (out / way / "seed-0" / "run.yaml").read_text().splitlines()
        for way in ("pretrained", "frozen", "scratch")
    }
    data = [line for line in of_way["scratch"] if line.startswith(("train:", "validation:"))]
    assert len(data) == 2
    assert all(set(data) <= set(lines) for lines in of_way.values())
    assert "encoder: bert-tiny" in of_way["scratch"]
    assert f"tokenizer: {out}/pretrain/model" in of_way["scratch"]
    assert "freeze: encoder" in of_way["frozen"]


def test_the_test_examples_take_no_part_in_pretraining_or_fine_tuning(run):
    out, _ = run
    texts = {
        part: {line.split("\t")[2] for line in (out / "data" / f"{part}.tsv").open()}
        for part in ("train", "validation", "test")
    }
    lines = (out / "data" / "pretraining.jsonl").read_text().splitlines()
    pretraining = {json.loads(line)["id"] for line in lines}
    assert len(texts["test"]) == 1 + 36
    others = texts["train"] | texts["validation"] | pretraining
    assert texts["test"] & others == {"name\n"}  # of the header


def test_the_scores_are_those_of_the_test_examples(run, capsys):
    out, result = run
    test = str(out / "data" / "test.tsv")
    words = ["evaluate", str(out / "pretrained" / "seed-1"), "--data", test, "--json",
             "--device", "cpu", "--precision", "float32"]  # fmt: skip
    assert cli.main(words) == 0
    measured = json.loads(capsys.readouterr().out)["metrics"]["accuracy"]
    assert measured == result["pretrained"]["accuracy"]["values"][1]


def test_the_page_shows_the_three_ways_the_curves_and_the_masks(run):
    out, _ = run
    page = (out / "report.html").read_text(encoding="utf-8")
    for what in (
        "from scratch",
        "pre-trained, frozen",
        "Held-out accuracy",
        "<mark>[MASK]</mark>",
        "alphalib, betalib or gammalib? Its name is removed. There are 24 labelled examples",
    ):
        assert what in page


def test_each_stage_says_what_it_does_and_why(tmp_path, capsys):
    demo(settings(tmp_path / "demo", seeds=1))
    said = capsys.readouterr().err
    stages = [line for line in said.splitlines() if line[1:3] == "/5"]
    assert [line[0] for line in stages] == ["1", "2", "3", "4", "5"]
    assert "which of 3 libraries" in said
    assert "from scratch, seed 0: " in said
    assert "Traceback" not in said


def test_the_command_prints_the_table_and_what_to_try_next(monkeypatch, run, capsys):
    _, result = run
    command = cli.COMMANDS["demo"]._replace(run=lambda chosen: result)
    monkeypatch.setitem(cli.COMMANDS, "demo", command)
    assert cli.main(["demo"]) == 0
    said = capsys.readouterr().out
    assert "from scratch" in said
    assert "which library does a description come from" in said
    assert "[MASK]" in said
    assert f"Report: {result['report']}" in said
    assert "selfsup pretrain my-texts/" in said


def test_a_new_demo_takes_the_place_of_an_earlier_one_and_of_nothing_else(run, tmp_path):
    out = tmp_path / "demo"
    shutil.copytree(run[0], out)
    mine = {"notes.txt", "pretrain/mine.txt", "pretrained/mine/model.bin", "data/mine.tsv"}
    for name in mine:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    with demo_folder(settings(out, seeds=1)):
        pass
    assert set(tree(out)) == mine | {"run.yaml"}
    assert "seeds: 1" in (out / "run.yaml").read_text()


def test_the_folder_of_another_run_is_refused_unharmed(tmp_path):
    (tmp_path / "texts.txt").write_text(
        "\n\n".join(document.text for document in toy_documentation(files=5))
    )
    other = PretrainSettings(
        data=(str(tmp_path / "texts.txt"),), out=str(tmp_path / "mine"), encoder="bert-tiny",
        steps=1, batch_size=4, max_length=32, device="cpu", precision="float32", threads=1,
        workers=1,
    )  # fmt: skip
    pretrain(other)
    before = tree(tmp_path)
    with pytest.raises(UserError, match=r"holds what no demo wrote.*choose another --out"):
        demo(settings(tmp_path / "mine"))
    assert tree(tmp_path) == before


def test_a_folder_of_anything_else_is_refused_unharmed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.tsv").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(UserError, match="holds what no demo wrote"):
        demo(settings(tmp_path))
    assert tree(tmp_path) == before


def tree(folder: Path) -> dict[str, bytes]:
    """All files under a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("stage", ["library_documents", "pretrain", "finetune", "fill_mask"])
def test_a_demo_that_is_interrupted_claims_nothing_and_can_be_begun_again(
    stage: str, tmp_path, monkeypatch, capsys
):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    words = ["demo", "--out", str(tmp_path), "--minutes", "0.01", "--seeds", "1", "--device", "cpu",
             "--precision", "float32", "--threads", "1", "--workers", "1"]  # fmt: skip
    with monkeypatch.context() as patch:
        if stage == "fill_mask":
            patch.setattr(demo_run, "_accuracy", lambda *_: 1.0)
        patch.setattr(demo_run if stage == "finetune" else recipe, stage, interrupted)
        assert cli.main(words) == 130
    said = capsys.readouterr()
    assert said.out == ""
    assert "interrupted" in said.err
    assert not (tmp_path / "summary.json").exists()
    assert not (tmp_path / "report.html").exists()
    with demo_folder(settings(tmp_path)):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path):
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("there is an Apple GPU here")
    with pytest.raises(UserError, match="--device mps"):
        demo(settings(tmp_path / "demo", device="mps"))
    assert not (tmp_path / "demo").exists()


def test_a_demo_that_is_running_is_left_alone(tmp_path):
    with demo_folder(settings(tmp_path / "demo")) as out:
        (out / "data").mkdir()
        (out / "data" / "train.tsv").touch()
        with pytest.raises(UserError, match="another process is at work there"):
            demo(settings(out))
        assert (out / "data" / "train.tsv").exists()
