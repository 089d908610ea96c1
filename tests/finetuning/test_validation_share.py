"""``--validation 0.1``: a share of the training file is held out."""

import json

import pytest

from selfsup.errors import UserError
from selfsup.finetuning.run import finetune
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.yaml_file import from_yaml, to_yaml
from tests.toy_tasks import ON_CPU, write_toy_file, write_toy_model


def settings(validation: str) -> FinetuneSettings:
    return FinetuneSettings(
        task="sequence-classification", encoder="e", train="t", validation=validation, out="o"
    )


@pytest.mark.parametrize(
    ("validation", "share"),
    [("0.1", 0.1), (".5", 0.5), ("1e-2", 0.01), ("dev.tsv", None), ("./0.1", None)],
)
def test_a_number_is_a_share_and_any_other_text_a_file(tmp_path, validation, share):
    chosen = settings(validation)
    assert chosen.validation_share == share
    (tmp_path / "run.yaml").write_text(to_yaml(chosen))
    assert from_yaml(FinetuneSettings, tmp_path / "run.yaml") == chosen


@pytest.mark.parametrize("validation", ["0", "0.6", "-0.1", "80", "nan", "inf"])
def test_a_number_that_is_no_share_is_refused(validation: str):
    with pytest.raises(UserError, match=f"at most 0.5 .a file of this name is ./{validation}"):
        settings(validation)


def test_all_seeds_validate_on_the_same_examples_and_the_summary_names_the_share(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    file = write_toy_file(tmp_path / "train.tsv", 80, 1)
    (tmp_path / "0.2").write_text("a file of this name")
    chosen = FinetuneSettings(
        task="sequence-classification", encoder=str(write_toy_model(tmp_path / "encoder")),
        train="train.tsv", validation="0.2", out="run", epochs=1, seeds=2, seed=5, max_length=32,
        **ON_CPU,
    )  # fmt: skip
    summary = finetune(chosen)
    said = capsys.readouterr().err
    assert "examples) held out for validation, stratified by label (seed 5)" in said
    assert "--validation 0.2 is a share of train.tsv: the file of this name is ./0.2" in said
    assert (summary["validation_share"], summary["validation_seed"]) == (0.2, 5)
    assert summary["train_examples"] + summary["validation_examples"] == 80
    lines = (tmp_path / "run" / "validation_predictions.jsonl").read_text().splitlines()
    held = {json.loads(line)["text"] for line in lines}
    assert held < {line.split("\t")[1] for line in file.read_text().splitlines()}
    assert "also in" not in said
    assert json.loads((tmp_path / "run" / "summary.json").read_bytes())["validation_share"] == 0.2
