"""Settings with which a tiny model learns a toy task in seconds."""

from pathlib import Path
from typing import Any

from selfsup.settings import FinetuneSettings

ON_CPU: dict[str, Any] = {"device": "cpu", "precision": "float32", "threads": 1}


def toy_settings(
    files: Path, out: Path, *, task: str = "sequence-classification", **changed: Any
) -> FinetuneSettings:
    """Settings to train on the files ``train``, ``dev`` and ``encoder`` of a folder."""
    ending = "conll" if task == "token-classification" else "tsv"
    values = {
        "task": task,
        "encoder": str(files / "encoder"),
        "train": str(files / f"train.{ending}"),
        "validation": str(files / f"dev.{ending}"),
        "out": str(out),
        "max_length": 16,
        "batch_size": 16,
        "learning_rate": 3e-3,
        **ON_CPU,
    }
    return FinetuneSettings(**(values | changed))
