"""Reading a run folder, however far the run came."""

from pathlib import Path

import pytest

from selfsup.errors import UserError
from selfsup.runs.reading import check_kind, parts_of, read_run


def test_run_yaml_names_the_command_that_made_the_run(pretraining_run, finetuning_run, demo_run):
    for folder, kind in (
        (pretraining_run(), "pretrain"), (finetuning_run(), "finetune"), (demo_run, "demo"),
    ):  # fmt: skip
        run = read_run(folder)
        check_kind(run)
        assert run.kind == kind
        assert "command" not in run.settings


@pytest.mark.parametrize("first_line", ["", "command: doctor\n"])
def test_a_run_that_does_not_name_its_command_is_refused_in_one_line(first_line, pretraining_run):
    file = pretraining_run() / "run.yaml"
    file.write_text(file.read_text().replace("command: pretrain\n", first_line))
    run = read_run(file.parent)
    assert run.kind == "unknown"
    assert run.notes[0].startswith("run.yaml does not say which command made the run")
    with pytest.raises(UserError, match="add the first line `command: pretrain`") as refused:
        check_kind(run)
    assert "\n" not in str(refused.value)


def test_a_run_that_lost_its_settings_is_read_but_its_kind_is_unknown(finetuning_run):
    folder = finetuning_run()
    (folder / "run.yaml").unlink()
    assert len(read_run(folder).epochs) == 12
    with pytest.raises(UserError, match=r"run\.yaml is missing"):
        check_kind(read_run(folder))
    (folder / "run.yaml").write_text("a: [b")
    with pytest.raises(UserError, match=r"run\.yaml could not be read: .*not valid YAML"):
        check_kind(read_run(folder))


def test_training_evaluation_and_epoch_lines_are_told_apart(pretraining_run, finetuning_run):
    pretraining, finetuning = read_run(pretraining_run()), read_run(finetuning_run())
    assert (len(pretraining.training), len(pretraining.evaluation)) == (100, 10)
    assert (len(finetuning.epochs), len(finetuning.training)) == (12, 0)


def test_a_run_without_a_summary_is_read_and_said_not_to_have_ended(pretraining_run):
    run = read_run(pretraining_run(ended=False))
    assert run.summary == {}
    assert run.notes == ("This run has not ended: what follows is what it had logged so far.",)


def test_half_a_line_at_the_end_is_passed_over_in_silence(pretraining_run):
    folder = pretraining_run()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 101, "lo')
    run = read_run(folder)
    assert len(run.metrics) == 110
    assert run.notes == ()


def test_an_epoch_without_measurements_is_none(finetuning_run):
    folder = finetuning_run()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 10, "validation": null}\n' + "[" * 100_000 + "\n")
    run = read_run(folder)
    assert len(run.epochs) == 12
    assert run.notes == ("metrics.jsonl: lines left out, as they could not be read: 1",)


def test_a_broken_line_elsewhere_is_left_out_and_counted(pretraining_run):
    folder = pretraining_run()
    file = folder / "metrics.jsonl"
    file.write_bytes(b"\xff\n[1]\n" + file.read_bytes())
    run = read_run(folder)
    assert len(run.metrics) == 110
    assert run.notes == ("metrics.jsonl: lines left out, as they could not be read: 2",)


@pytest.mark.parametrize(
    ("name", "content"),
    [("run.yaml", "a: [b"), ("summary.json", '{"a'), ("summary.json", "[" * 100_000)],
)
def test_a_broken_file_is_noted_and_the_others_are_read(name: str, content: str, pretraining_run):
    folder = pretraining_run()
    (folder / name).write_text(content)
    run = read_run(folder)
    assert any(name in note for note in run.notes)
    assert len(run.metrics) == 110


def test_what_is_no_run_folder_is_refused_by_its_name(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, reason in (("file", "is a file"), ("empty", "no run folder"), ("no", "not exist")):
        with pytest.raises(UserError, match=rf"{tmp_path}/{name} .*{reason}"):
            read_run(tmp_path / name)


def test_runs_in_folders_of_a_run_are_found(demo_run: Path, pretraining_run):
    pretraining_run("demo/pretraining")
    (demo_run / "tokenizer").mkdir()
    assert [part.name for part in parts_of(read_run(demo_run))] == ["pretraining"]
