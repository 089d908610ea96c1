"""The file of predictions: JSON lines, one for each example, in the order of the data."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from selfsup.atomic_files import replacing, write_bytes, writing_to


def write_predictions(file: str | Path, predictions: Iterable[dict[str, Any]]) -> None:
    """Write the predictions; the file takes its name when it is whole.

    Answers to questions go into a file whose name ends in .json as ``{"id": "answer"}``, which is
    what SQuAD's own script scores.

    Raises:
        UserError: the disk is full, read-only or not yours.
    """
    path = Path(file)
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        predictions = list(predictions)
        if all({"id", "answer"} <= prediction.keys() for prediction in predictions):
            answers = {prediction["id"]: prediction["answer"] for prediction in predictions}
            write_bytes(path, (json.dumps(answers, ensure_ascii=False) + "\n").encode())
            return
    with replacing(path) as opened:
        for prediction in predictions:
            opened.write((json.dumps(prediction, ensure_ascii=False) + "\n").encode())
