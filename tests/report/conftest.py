"""Run folders as the commands write them, small and made up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfsup.runs import RunCommand
from selfsup.runs.folder import run_yaml
from selfsup.settings.finetune import FinetuneSettings
from selfsup.settings.pretrain import PretrainSettings
from selfsup.settings.showing import DemoSettings

MakeRun = Callable[..., Path]

_COMMANDS: dict[type, RunCommand] = {
    PretrainSettings: "pretrain",
    FinetuneSettings: "finetune",
    DemoSettings: "demo",
}


def write_run(folder: Path, settings: Any, metrics: list[dict], summary: dict | None) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(
        run_yaml(_COMMANDS[type(settings)], settings), encoding="utf-8"
    )
    lines = [json.dumps(line) + "\n" for line in metrics]
    (folder / "metrics.jsonl").write_text("".join(lines), encoding="utf-8")
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


def pretraining_lines(steps: int = 100) -> list[dict]:
    """A training line a step, a measurement every ten."""
    lines = []
    for step in range(1, steps + 1):
        loss = 9 / step**0.1
        at = {"step": step, "seconds": step * 0.5, "tokens": step * 4096}
        lines.append(
            {
                **at,
                "loss": loss + 0.6,
                "mlm_loss": loss,
                "nsp_loss": 0.6,
                "learning_rate": 1e-3 * (1 - step / steps),
                "tokens_per_second": 8192.0,
                "flops_utilization": 0.4,
                "max_length": 64 if step < steps / 2 else 128,
            }
        )
        if step % 10 == 0:
            measured = {
                "held_out_mlm_loss": loss + 0.1,
                "held_out_mlm_accuracy": 0.1 + step / 1000,
                "held_out_nsp_accuracy": 0.5 + step / 1000,
            }
            lines.append(at | measured)
    return lines


PRETRAINING_SUMMARY = {
    "steps": 100,
    "tokens": 409600,
    "seconds": 50.0,
    "tokens_per_second": 8192.0,
    "flops_utilization": 0.4,
    "mlm_loss": 5.7782,
    "mlm_accuracy": 0.2,
    "nsp_accuracy": 0.6,
    "unigram_loss": 6.8912,
    "fill_mask": [
        {
            "text": "Paris is the [MASK] of <France>.",
            "candidates": [
                {"token": "capital", "probability": 0.41},
                {"token": "수도", "probability": 0.2},
            ],
        }
    ],
}


@pytest.fixture
def pretraining_run(tmp_path: Path) -> MakeRun:
    def make(name: str = "pretrained", *, ended: bool = True, **settings: Any) -> Path:
        chosen = PretrainSettings(**({"data": ("texts",), "out": name} | settings))
        summary = PRETRAINING_SUMMARY if ended else None
        return write_run(tmp_path / name, chosen, pretraining_lines(), summary)

    return make


@pytest.fixture
def finetuning_run(tmp_path: Path) -> MakeRun:
    def make(name: str = "task", accuracies: tuple[float, ...] = (0.8, 0.82, 0.81)) -> Path:
        chosen = FinetuneSettings(
            task="sequence-classification", encoder="bert-mini", train="train.tsv",
            validation="dev.tsv", out=name, seeds=len(accuracies),
        )  # fmt: skip
        metrics = [
            {
                "seed": seed,
                "epoch": epoch,
                "step": 10 * epoch,
                "train_loss": 0.7 / epoch,
                "validation": {"accuracy": accuracy - 0.1 / epoch, "f1": accuracy - 0.2 / epoch},
            }
            for seed, accuracy in enumerate(accuracies)
            for epoch in (1, 2, 3, 4)
        ]
        mean = sum(accuracies) / len(accuracies)
        summary = {
            "task": "sequence-classification",
            "metrics": {"accuracy": {"mean": mean, "std": 0.01, "values": list(accuracies)}},
            "confusion": {"labels": ["good", "bad"], "matrix": [[30, 10], [5, 55]]},
        }
        return write_run(tmp_path / name, chosen, metrics, summary)

    return make


@pytest.fixture
def demo_run(tmp_path: Path) -> Path:
    def score(mean: float) -> dict:
        return {"accuracy": {"mean": mean, "std": 0.01, "values": [mean - 0.01, mean + 0.01]}}

    summary = {
        "pretrained": score(0.71),
        "frozen": score(0.55),
        "scratch": score(0.6),
        "pretraining": PRETRAINING_SUMMARY,
    }
    return write_run(tmp_path / "demo", DemoSettings(out="demo"), pretraining_lines(), summary)
