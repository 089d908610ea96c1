"""Runs that must end in time, by a clock on which only steps and measuring take time."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from selfsup.errors import UserError
from selfsup.pretraining import run as pretraining_run
from selfsup.pretraining import wall_clock
from selfsup.pretraining.run import PretrainingLog, pretrain, resume
from selfsup.pretraining.text.batches import HeldOutText
from selfsup.pretraining.text.model import TextPretrainingModel
from selfsup.runs.reading import read_run
from selfsup.settings.pretrain import PretrainSettings, ResumeSettings
from selfsup.training import loop
from tests.toy_corpus import write_toy_corpus

STEP, MEASURING = 2.0, 5.0


@dataclasses.dataclass
class Clock:
    now: float = 1000.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    for module in (wall_clock, pretraining_run, loop):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(pretraining_run, "_LOG_SECONDS", 0.0)
    forward, measure = TextPretrainingModel.forward, HeldOutText.measure

    def slow_forward(self, batch):
        clock.now += STEP * self.training
        return forward(self, batch)

    def slow_measure(self, *arguments):
        clock.now += MEASURING
        return measure(self, *arguments)

    monkeypatch.setattr(TextPretrainingModel, "forward", slow_forward)
    monkeypatch.setattr(HeldOutText, "measure", slow_measure)
    return clock


def settings(tmp_path: Path, **changed: Any) -> PretrainSettings:
    values = {
        "data": (str(write_toy_corpus(tmp_path / "texts.txt")),),
        "out": str(tmp_path / "run"),
        "encoder": "bert-tiny",
        "start": "random",
        "batch_size": 4,
        "max_length": 32,
        "device": "cpu",
        "precision": "float32",
        "threads": 1,
        "workers": 1,
    }
    return PretrainSettings(**(values | changed))


@pytest.mark.parametrize("evaluate_every", [None, 10_000])
def test_a_run_has_ended_in_time_and_the_rate_has_fallen(evaluate_every, clock, tmp_path):
    chosen = settings(tmp_path, wall_clock="3m", evaluate_every=evaluate_every)
    summary = pretrain(chosen, started=clock.now - 20)
    assert 160 < clock.now - 980 <= 180
    evaluations = 1 if evaluate_every else 10
    assert summary["seconds"] == pytest.approx(160 - MEASURING * (1 + evaluations), abs=15)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").open()]
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    assert len(rates) == summary["steps"]
    assert rates[-1] < 0.2 * max(rates)
    assert rates.index(max(rates)) < len(rates) / 4


def test_a_resumed_run_ends_when_both_commands_have_taken_the_time(clock, tmp_path, monkeypatch):
    def stop_at_step_20(self, report):
        after_step(self, report)
        if report.state.step == 20:
            raise KeyboardInterrupt

    after_step = PretrainingLog.after_step
    chosen = settings(tmp_path, wall_clock="2m", checkpoint_every=10, evaluate_every=10_000)
    with monkeypatch.context() as patch:
        patch.setattr(PretrainingLog, "after_step", stop_at_step_20)
        with pytest.raises(KeyboardInterrupt):
            pretrain(chosen)
    used, clock.now = clock.now - 1000, 5000
    summary = resume(ResumeSettings(run=str(tmp_path / "run")), started=clock.now - 10)
    assert 100 < used + clock.now - 4990 <= 120
    assert summary["steps"] > 30
    assert read_run(tmp_path / "run").settings["wall_clock"] == "2m"


def test_too_little_time_to_train_is_refused_and_the_folder_may_be_used_again(clock, tmp_path):
    chosen = settings(tmp_path, wall_clock="30s")
    with pytest.raises(UserError, match=r"^--wall-clock 30s: 45 s were used before the first step"):
        pretrain(chosen, started=clock.now - 40)
    pretrain(dataclasses.replace(chosen, wall_clock="90s"), started=clock.now - 40)


@pytest.mark.parametrize(
    "given", [{"steps": 3, "wall_clock": "1m"}, {"budget": "2m", "wall_clock": "1m"}]
)
def test_only_one_thing_says_when_to_stop(given):
    with pytest.raises(UserError, match="both say when to stop: give only one of them"):
        PretrainSettings(data=("texts",), out="run", **given)


def test_what_is_no_time_is_refused():
    with pytest.raises(UserError, match=r"^--wall-clock takes a time such as 90s"):
        PretrainSettings(data=("texts",), out="run", wall_clock="tomorrow")
