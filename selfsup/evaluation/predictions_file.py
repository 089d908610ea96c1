"""The file of predictions: JSON lines, one for each example, in the order of the data."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfsup.corpus.atomic_files import replacing, writing_to


def write_predictions(file: str | Path, predictions: Iterable[dict[str, Any]]) -> None:
    """Write the predictions; the file takes its name when it is whole.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    path = Path(file)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as opened:
        for prediction in predictions:
            opened.write((json.dumps(prediction, ensure_ascii=False) + "\n").encode())
