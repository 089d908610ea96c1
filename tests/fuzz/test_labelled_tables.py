"""Labelled tables, damaged: their rows, their columns, and the labels of each kind."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.tasks.base import Reading
from selfsup.tasks.label_weights import read_label_weights
from selfsup.tasks.registry import TASKS
from selfsup.tasks.tables import Columns, find_columns, read_rows
from tests.fuzz.examples import (
    CLASSES,
    LABELLED_JSON_ROWS,
    LABELLED_PARQUET,
    LABELLED_ROWS,
    LABELLED_SHEETS,
    NUMBERS,
    PAIRS,
    SEVERAL,
    TABLES,
)
from tests.fuzz.mutations import json_lines, mutated, mutated_json, mutated_text
from tests.fuzz.target import FUZZED, few, reads_or_refuses

SINGLE, PAIRED = TASKS["sequence-classification"], TASKS["pair-classification"]


def read_table(file: str) -> None:
    rows = read_rows(file, tell=lambda note: None)
    find_columns(rows, file, Columns(), labelled=True)


def classify(data, *, paired: bool = False):
    """A reader of labels and what they mean, as the flags of a drawn command line want it."""
    task = PAIRED if paired else SINGLE
    label_type = data.draw(st.sampled_from((None, None, "class", "multi", "number")))
    columns = Columns(
        label_separator=data.draw(st.sampled_from((None, None, ",", ";", "\0"))),
        missing_labels=data.draw(st.sampled_from((None, "drop", "keep"))),
    )

    def read(file: str) -> None:
        examples = task.read_examples(file, Reading(columns), labelled=True).drop_empty()
        labels = task.learn_labels(examples, label_type)
        settled = task.settled(examples, labels)
        task.reading_notes(settled, settled, labels)
        task.names_of(settled, labels)

    return read


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@FUZZED
@given(content=mutated_text(TABLES))
def test_rows_and_columns(folder, ending: str, content: bytes):
    reads_or_refuses(folder / f"table{ending}", content, read_table)


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@FUZZED
@given(data=st.data())
def test_labels_of_texts(folder, ending: str, data):
    content = data.draw(mutated_text([*CLASSES, *NUMBERS, *SEVERAL]))
    reads_or_refuses(folder / f"table{ending}", content, classify(data))


@FUZZED
@given(data=st.data())
def test_labels_of_pairs(folder, data):
    content = data.draw(mutated_text(PAIRS))
    reads_or_refuses(folder / "pairs.tsv", content, classify(data, paired=True))


@FUZZED
@given(data=st.data())
def test_labels_in_json_lines(folder, data):
    lines = mutated_json(LABELLED_JSON_ROWS, json_lines)
    damaged = mutated_text([json_lines(json.loads(rows)).encode() for rows in LABELLED_ROWS])
    reads_or_refuses(folder / "table.jsonl", data.draw(lines | damaged), classify(data))


@FUZZED
@given(data=st.data())
def test_labels_in_parquet(folder, data):
    reads_or_refuses(folder / "table.parquet", data.draw(mutated(LABELLED_PARQUET)), classify(data))


@few(4)
@given(data=st.data())
def test_labels_in_sheets(folder, data):
    reads_or_refuses(folder / "table.xlsx", data.draw(mutated(LABELLED_SHEETS)), classify(data))


_cells = st.text(max_size=6) | st.sampled_from(
    ("1", "0", "-1.5", "1,5", "1e5", "nan", "inf", "1_0", "²", "٣", "True", "[1, 2]", "['a']", "{}",
     "9" * 400, "9" * 5000, "\0", "a,b", "a;b", "NULL", "None", "", " ", "=1")
)  # fmt: skip


@FUZZED
@given(data=st.data())
def test_columns_of_any_labels(folder, data):
    """A well-formed table, with labels that may be read in several ways."""
    labels = data.draw(st.lists(_cells, min_size=1, max_size=5))
    lines = [{"text": f"a text {number}", "label": label} for number, label in enumerate(labels)]
    reads_or_refuses(folder / "labels.jsonl", json_lines(lines).encode(), classify(data))


@FUZZED
@given(content=mutated_text([b'{"up": 1, "down": 2.5}', b"label\tweight\nup\t1\ndown\t2.5\n"]))
def test_weights_of_labels(folder, content: bytes):
    def read(file: str) -> None:
        read_label_weights(file, ("down", "up"), {0, 1})

    reads_or_refuses(folder / "weights.tsv", content, read)
