"""Labelled texts for tests: of labels alone, or read from a file."""

import json
from pathlib import Path

from selfsup.tasks.classification.data import LabelledTexts, read_labelled_texts
from selfsup.tasks.tables import Columns


def labelled(*labels) -> LabelledTexts:
    lines = list(range(2, 2 + len(labels)))
    return LabelledTexts("t.tsv", lines, ["a"] * len(labels), None, list(labels))


def read(folder: Path, *labels, separator: str | None = None, missing: str | None = None):
    """Write the labels as JSON lines, with a text each, and read them."""
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps({"text": "a", "label": label}) + "\n" for label in labels))
    columns = Columns(label_separator=separator, missing_labels=missing)
    return read_labelled_texts(str(path), columns, labelled=True, paired=False)
