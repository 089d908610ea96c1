"""Model folders in Hugging Face's form, written whole or not at all."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from selfsup.atomic_files import sync_folder, writing_to
from selfsup.encoder.tensor_file import sync_file, write_tensors
from selfsup.encoder.weight_files import WEIGHTS


def write_model_folder(
    folder: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    write_companions: Callable[[Path], None],
    model_card: str,
) -> None:
    """Write a model folder; other files that the folder holds stay.

    All files are written beside their places and are on the disk before the first takes its
    place, so what was there before is unharmed if anything fails. ``config.json`` comes last: a new
    folder that has one is whole.

    Args:
        folder: made if need be.
        state: weights under Hugging Face's names; saved in float32.
        config: what ``config.json`` is to say.
        write_companions: writes to a folder what makes inputs of raw data: a tokenizer's files, or
            an image processor's.
        model_card: text of ``README.md``, in Markdown.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    weights = {name: tensor.detach().cpu().float().contiguous() for name, tensor in state.items()}
    staging = folder / ".saving"
    with writing_to(folder):
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            write_companions(staging)
            (staging / "README.md").write_text(model_card, encoding="utf-8")
            (staging / "config.json").write_text(
                json.dumps(config, indent=2) + "\n", encoding="utf-8"
            )
            write_tensors(staging / WEIGHTS, weights, {"format": "pt"})
            _move_files(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _move_files(source: Path, destination: Path) -> None:
    paths = sorted(source.iterdir(), key=lambda path: (path.name == "config.json", path.name))
    for path in paths:
        sync_file(path)
    for path in paths:
        path.replace(destination / path.name)
    sync_folder(destination)
