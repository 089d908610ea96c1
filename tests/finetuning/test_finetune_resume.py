"""Fine-tuning that is stopped and gone on with: the same to the last bit."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from selfsup import cli
from selfsup.corpus.tokenizer.folder import save_tokenizer
from selfsup.errors import UserError
from selfsup.finetuning.run import finetune, resume
from selfsup.finetuning.training_run import FinetuneLog
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.pretrain import ResumeSettings
from selfsup.training import checkpoint
from tests.child_commands import ChildCommand, run_commands
from tests.toy_tasks import (
    ON_CPU,
    toy_settings,
    toy_tokenizer,
    write_toy_conll,
    write_toy_file,
    write_toy_images,
    write_toy_model,
    write_toy_questions,
    write_toy_vit,
)

# 4 steps an epoch.
settings = partial(toy_settings, epochs=3, learning_rate=1e-3, checkpoint_every=1)
SIGINT, SIGTERM, SIGKILL = 2, 15, 9


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_toy_file(folder / "train.tsv", 60, seed=1)
    write_toy_file(folder / "dev.tsv", 20, seed=2)
    write_toy_conll(folder / "train.conll", 60, seed=1)
    write_toy_conll(folder / "dev.conll", 20, seed=2)
    for part in ("train", "dev"):
        write_toy_questions(folder / f"{part}.json", 60, seed=len(part), unanswerable=True)
        write_toy_images(folder / f"{part}-images", 20, seed=len(part))
    write_toy_model(folder / "encoder")
    write_toy_vit(folder / "vit")
    save_tokenizer(toy_tokenizer(), folder / "tokenizer")
    return folder


def chosen(files: Path, out: Path, **changed: Any) -> FinetuneSettings:
    """Settings whose data suit the task."""
    data = {
        "question-answering": ("train.json", "dev.json"),
        "image-classification": ("train-images", "dev-images"),
    }.get(changed.get("task", ""))
    if data is not None:
        changed |= {name: str(files / file) for name, file in
                    zip(("train", "validation"), data, strict=True)}  # fmt: skip
        changed.setdefault("max_length", None if data[0].endswith("images") else 24)
    for name in ("encoder", "tokenizer"):
        if (files / str(changed.get(name))).is_dir():
            changed[name] = str(files / changed[name])
    return settings(files, out, **changed)


def results_of(run: Path) -> dict[str, Any]:
    """All that a run has written, but for times and for the card, which names the folder."""
    summary = json.loads((run / "summary.json").read_bytes())
    assert summary.pop("seconds") > 0
    model = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    assert model.pop("README.md")
    return {
        "files": sorted(path.name for path in run.iterdir() if path.name[0] != "."),
        "summary": summary,
        "model": model,
        "metrics": (run / "metrics.jsonl").read_text(),
        "predictions": (run / "validation_predictions.jsonl").read_text(),
    }


def die_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run dies after so many steps with all seeds, before it saves a checkpoint there."""
    after_step, taken = FinetuneLog.after_step, []

    def count_and_die(self, seed, report):
        taken.append(seed)
        if len(taken) == steps:
            raise ZeroDivisionError
        after_step(self, seed, report)

    monkeypatch.setattr(FinetuneLog, "after_step", count_and_die)


def words_of(given: FinetuneSettings) -> list[str]:
    names = (
        "encoder", "train", "validation", "out", "max_length", "batch_size", "learning_rate",
        "epochs", "checkpoint_every", "seeds", "device", "precision", "threads",
    )  # fmt: skip
    pairs = [(f"--{name.replace('_', '-')}", str(getattr(given, name))) for name in names]
    return ["finetune", given.task, *(word for pair in pairs for word in pair)]


SECOND_SEED = {"seeds": 3, "steps": 18}
WAYS = {
    "all layers": {},
    "dropout": {"dropout": 0.3},
    "frozen": {"freeze": "encoder", **SECOND_SEED},
    "from scratch": {"encoder": "bert-tiny", "tokenizer": "tokenizer", "steps": 6},
    "new and frozen": {
        "encoder": "bert-tiny", "tokenizer": "tokenizer", "freeze": "encoder", **SECOND_SEED,
    },
    "unfreezing": {"unfreeze_every": 1, "layer_decay": 0.8, "reinit_layers": 1, "steps": 10},
    "partly frozen": {"freeze": "1", "head_learning_rate": 1e-2, **SECOND_SEED},
    "a share to validate on": {"validation": "0.2", "steps": 8},
    "a first seed that has ended": {"seeds": 2, "steps": 13},
    "tags": {"task": "token-classification", **SECOND_SEED},
    "answers": {"task": "question-answering", "encoder": "bert-tiny", "tokenizer": "tokenizer"},
    "images": {"task": "image-classification", "encoder": "vit", **SECOND_SEED},
    "frozen images": {
        "task": "image-classification", "encoder": "vit", "freeze": "encoder", **SECOND_SEED,
    },
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(way: str, files, tmp_path, monkeypatch):
    changed = dict(WAYS[way])
    steps = changed.pop("steps", 7)
    finetune(chosen(files, tmp_path / "whole", **changed))
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        die_after(steps, patch)
        with pytest.raises(ZeroDivisionError):
            finetune(chosen(files, out, **changed))
    (saved,) = (out / "checkpoints").iterdir()
    assert saved.name.startswith("step-")
    assert not (out / "summary.json").exists()
    resume(ResumeSettings(run=str(out)))
    assert results_of(out) == results_of(tmp_path / "whole")


def test_a_run_that_diverged_with_one_seed_goes_on_with_the_next(files, tmp_path, monkeypatch):
    """The best seed may be one that diverged after its first epoch."""
    given = partial(chosen, files, seeds=3, learning_rate=1e-3)
    from selfsup.finetuning import training_run
    from selfsup.training import loop

    def diverging(*arguments, **named):
        after_step, seed = arguments[7], arguments[4].seed

        def fail(report):
            after_step(report)
            if seed == 1 and report.state.step == 6:
                raise loop.NotFinite("the gradient is not finite at step 6")

        loop.train(*arguments[:7], fail, *arguments[8:], **named)  # pyright: ignore[reportCallIssue]

    monkeypatch.setattr(training_run, "train", diverging)
    finetune(given(tmp_path / "whole"))
    out = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        die_after(12 + 6 + 5, patch)
        with pytest.raises(ZeroDivisionError):
            finetune(given(out))
    resume(ResumeSettings(run=str(out)))
    assert results_of(out) == results_of(tmp_path / "whole")
    assert 1 in results_of(out)["summary"]["failed_seeds"]


def test_a_run_that_was_stopped_twice_is_still_the_same(files, tmp_path, monkeypatch):
    given = partial(chosen, files, seeds=2, checkpoint_every=5)
    finetune(given(tmp_path / "whole"))
    out = tmp_path / "stopped"
    for steps, begin in ((9, lambda: finetune(given(out))), (11, lambda: go_on(out))):
        with monkeypatch.context() as patch:
            die_after(steps, patch)
            with pytest.raises(ZeroDivisionError):
                begin()
    assert go_on(out)["task"] == "sequence-classification"
    assert results_of(out) == results_of(tmp_path / "whole")


def go_on(run: Path) -> dict[str, Any]:
    return resume(ResumeSettings(run=str(run)))


@pytest.fixture
def stopped(files, tmp_path, monkeypatch) -> Path:
    """A run that died after its fifth step, with its own copies of data and encoder."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (data / name).write_bytes((files / name).read_bytes())
    write_toy_model(data / "encoder")
    with monkeypatch.context() as patch:
        die_after(6, patch)
        with pytest.raises(ZeroDivisionError):
            finetune(chosen(data, tmp_path / "run"))
    return tmp_path / "run"


@pytest.mark.parametrize("changed", ["train.tsv", "dev.tsv", "encoder"])
def test_a_run_does_not_go_on_with_other_data(changed: str, stopped, capsys):
    data = stopped.parent / "data"
    if changed == "encoder":
        file = data / "encoder" / "model.safetensors"
        weights = load_file(file)
        weights["bert.embeddings.position_embeddings.weight"][-1, -1] += 1
        save_file(weights, file)
    else:
        write_toy_file(data / changed, 60, seed=9)
    capsys.readouterr()
    assert cli.main(["resume", str(stopped)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"selfsup: error: {stopped}: its data (")
    assert "are others than when it began: put them back" in said


def test_the_same_command_says_how_to_go_on(stopped):
    with pytest.raises(UserError, match=f"go on with `selfsup resume {stopped}`"):
        finetune(chosen(stopped.parent / "data", stopped))


def test_a_run_that_has_ended_is_not_resumed(stopped):
    go_on(stopped)
    with pytest.raises(UserError, match="has ended; its model is in"):
        go_on(stopped)


@pytest.mark.parametrize("name", ["best.safetensors", "model.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused_by_name(name: str, stopped, capsys):
    (saved,) = (stopped / "checkpoints").iterdir()
    (saved / name).write_bytes((saved / name).read_bytes()[:50])
    capsys.readouterr()
    assert cli.main(["resume", str(stopped)]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("selfsup: error: ")
    assert saved.name in said


def test_short_runs_save_no_checkpoint(files, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "write_tensors", None)
    finetune(chosen(files, tmp_path / "run", checkpoint_every=None))


# Where a run is killed, and whether a checkpoint is there to go on from.
CHECKPOINT, TRAINING = "selfsup.training.checkpoint:", "selfsup.finetuning.training_run:"
RUN, MODEL = "selfsup.finetuning.run:", "selfsup.encoder.huggingface.folder:"
POINTS = {
    "before the first checkpoint": (f"{TRAINING}FinetuneLog.after_step", 1, False),
    "in the second seed": (f"{TRAINING}FinetuneLog.after_step", 15, True),
    "while a checkpoint is written": (f"{CHECKPOINT}write_tensors", 8, True),
    "before a checkpoint is renamed": (f"{CHECKPOINT}sync_folder", 3, True),
    "while the predictions are written": (f"{RUN}write_predictions", 1, True),
    "while the model is written": (f"{MODEL}write_tensors", 1, True),
    "before the summary is written": (f"{RUN}write_summary", 1, False),
    "after the summary is written": (f"{RUN}write_summary", 1, True),
}


def test_a_run_can_be_gone_on_with_wherever_it_is_killed(files, tmp_path):
    given = partial(chosen, files, epochs=2, seeds=2, checkpoint_every=3)
    finetune(given(tmp_path / "whole"))
    commands = []
    for number, (at, call, after) in enumerate(POINTS.values()):
        out = tmp_path / str(number)
        commands += [
            ChildCommand(words_of(given(out)), at, call, after),
            ChildCommand(["resume", str(out)]),
        ]
    ended = run_commands(*commands)
    for number, point in enumerate(POINTS):
        killed, resumed = ended[2 * number : 2 * number + 2]
        assert killed.status == -SIGKILL, point
        if point == "after the summary is written":
            assert resumed.status == 2
            assert "this run has ended" in resumed.err
        else:
            assert (resumed.status, resumed.err) == (0, resumed.err), point
        assert results_of(tmp_path / str(number)) == results_of(tmp_path / "whole"), point


def test_the_same_command_goes_through_where_nothing_can_be_gone_on_with(files, tmp_path):
    """A run without a checkpoint is begun anew, whatever of its results is there."""
    given = partial(chosen, files, epochs=1, checkpoint_every=None)
    finetune(given(tmp_path / "whole"))
    points = {name: point for name, point in POINTS.items() if "written" in name}
    points = {name: point for name, point in points.items() if CHECKPOINT not in point[0]}
    del points["after the summary is written"]
    commands, full = [], tmp_path / "full"
    for number, (at, call, after) in enumerate(points.values()):
        words = words_of(given(tmp_path / str(number)))
        words = words[: words.index("--checkpoint-every")] + words[-8:]
        commands += [ChildCommand(words, at, call, after), ChildCommand(words)]
    words = [str(full) if word == str(tmp_path / "0") else word for word in commands[0].words]
    # The settings fit, and each of the larger files does not.
    sizes = (3_000, 10_000, 60_000)
    commands += [ChildCommand(words, largest_file=size) for size in sizes]
    ended = run_commands(*commands, ChildCommand(words))
    for number, point in enumerate(points):
        killed, again = ended[2 * number : 2 * number + 2]
        assert killed.status == -SIGKILL, point
        assert (again.status, point) == (0, point), again.err
        assert results_of(tmp_path / str(number)) == results_of(tmp_path / "whole"), point
    *refused, again = ended[2 * len(points) :]
    for each in refused:
        assert each.status == 2
        said = each.err.splitlines()[-1]
        assert said.startswith("selfsup: error: cannot write ")
        assert "a file may not grow so large there" in said
    assert again.status == 0
    assert results_of(full) == results_of(tmp_path / "whole")


def test_a_signal_ends_in_one_line_that_says_how_to_go_on(files, tmp_path):
    given = partial(chosen, files, epochs=2, seeds=2, checkpoint_every=1000)
    finetune(given(tmp_path / "whole"))
    step, begun = f"{TRAINING}FinetuneLog.after_step", "interrupted before anything was saved"
    places = [
        (SIGINT, 130, step, 15, "stopped at step 7 of seed 1. To go on: selfsup resume"),
        (SIGTERM, 143, step, 15, "stopped at step 7 of seed 1. To go on: selfsup resume"),
        (SIGTERM, 143, f"{RUN}read_task_files", 1, f"{begun}: the same command begins again"),
        (SIGINT, 130, f"{RUN}save_task_model", 1, f"{begun}: the same command begins again"),
    ]
    commands = []
    for index, (number, _, at, call, _) in enumerate(places):
        words = words_of(given(tmp_path / str(index)))
        again = ["resume", str(tmp_path / str(index))] if at == step else words
        commands += [ChildCommand(words, at, call, number=number), ChildCommand(again)]
    ended = run_commands(*commands)
    for index, (_, status, _, _, said) in enumerate(places):
        stopped, again = ended[2 * index : 2 * index + 2]
        assert stopped.status == status
        assert stopped.err.splitlines()[-1].startswith(f"selfsup: {said}")
        assert "Traceback" not in stopped.err
        assert again.status == 0, again.err
        assert results_of(tmp_path / str(index)) == results_of(tmp_path / "whole")


assert ON_CPU["threads"] == 1  # forked processes must not share a pool of threads
