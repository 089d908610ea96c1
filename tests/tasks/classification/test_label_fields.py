"""What one field of a label column holds, in all the forms in which programs write it."""

import json
import math
import unicodedata
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.errors import UserError
from selfsup.tasks.classification.data import read_labelled_texts
from selfsup.tasks.classification.label_fields import missing_labels, read_label
from selfsup.tasks.tables import Columns, Row
from tests.tasks.classification.labelled import read


def field(value, separator: str | None = None) -> Any:
    return read_label(Row(7, {"label": value}), "t.csv", "label", separator)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, "1"),
        (1.0, "1"),
        (2.5, "2.5"),
        (True, "True"),
        (Decimal("2.50"), "2.5"),
        (" a b\u00a0", "a b"),
        ("\ufeffa\u200b", "a"),
        (unicodedata.normalize("NFD", "긍정 café"), "긍정 café"),
        (math.nan, "nan"),
        (None, None),
        ("", None),
        ("  ", None),
        ("[sic]", "[sic]"),
        ("(a)", "(a)"),
        ("[food, price]", "[food, price]"),
        ("array", "array"),
    ],
)
def test_one_label_is_a_text_without_spaces_around_it(value, label):
    assert field(value) == label


@pytest.mark.parametrize(
    "value",
    [
        ["a b", "1"],
        ["a b", None, 1, ""],
        '["a b", 1]',
        "['a b', '1']",
        "('a b', '1')",
        "{'a b', '1'}",
        "frozenset({'1', 'a b'})",
        "['a b' '1']",
        "['a b'\n '1']",
        "array(['a b', '1'])",
        str(np.array(["a b", "1"])),
        str(["a b", 1]),
    ],
)
def test_lists_are_read_in_every_form(value):
    assert sorted(field(value)) == ["1", "a b"]
    assert sorted(field(value, ",")) == ["1", "a b"]


@given(st.lists(st.text("ab,'\" []\\é").map(str.strip).filter(bool), min_size=1, unique=True))
def test_any_list_of_names_is_read_as_python_json_and_numpy_write_it(names):
    array = np.array(names)
    for written in (repr(names), json.dumps(names), repr(tuple(names)), repr(array), str(array)):
        assert field(written) == tuple(names)
    assert set(field(repr(set(names)))) == set(names)


@pytest.mark.parametrize(
    "value",
    [
        [1, 0, 0],
        [1.0, 0.0, 0.0],
        "[1, 0, 0]",
        "(1, 0, 0)",
        str(np.array([1, 0, 0])),
        str(np.array([1.0, 0.0, 0.0])),
        str([1.0, 0.0, 0.0]),
    ],
)
def test_vectors_keep_all_their_numbers(value):
    assert field(value) == ("1", "0", "0")


@pytest.mark.parametrize("value", [[], "[]", "()", "set()", "[ ]", "array([])"])
def test_an_empty_list_has_no_label(value):
    assert field(value) == ()


def test_several_labels_are_parted_at_the_separator(tmp_path):
    examples = read(tmp_path, "a, b", "", "b", 7, ", ,", "nan", separator=",")
    assert examples.labels == [("a", "b"), (), ("b",), ("7",), (), "nan"]
    assert field("[a, b c]", ",") == ("a", "b c")
    assert field("[a], [b]", ",") == ("[a]", "[b]")


def test_an_empty_field_among_lists_is_an_empty_list(tmp_path):
    assert read(tmp_path, ["a"], None, "", "['b']").labels == [("a",), (), (), ("b",)]
    with pytest.raises(UserError, match='line 2: "label" holds no label: add one'):
        read(tmp_path, "a", None)


def test_what_is_neither_a_name_nor_a_number_is_no_label(tmp_path):
    with pytest.raises(UserError, match='line 2: "label" holds dict, where a name or a number'):
        read(tmp_path, "a", {"b": 1})
    with pytest.raises(UserError, match=r"line 2: .* must be a list of labels"):
        read(tmp_path, ["a"], [{"name": "b"}])
    with pytest.raises(UserError, match="must be a list of labels"):
        field("[[1, 0]]")


def test_typed_columns_are_read_as_their_texts(tmp_path):
    path = tmp_path / "t.parquet"
    labels = pyarrow.array([[1, 0, 0], [0, 1, 1]], pyarrow.list_(pyarrow.int8()))
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": labels}), path)
    examples = read_labelled_texts(str(path), Columns(), labelled=True, paired=False)
    assert examples.labels == [("1", "0", "0"), ("0", "1", "1")]


# Labels that say that there is none.

MISSING = ("nan", "NaN", "NULL", "null", "None", "N/A", "n/a", "NA", "<NA>", "#N/A", "NaT", "#REF!")


@pytest.mark.parametrize("written", MISSING)
def test_what_programs_write_where_nothing_stands_is_missing(written: str):
    assert missing_labels(["good", written, ("bad", written)]) == {written}


@pytest.mark.parametrize("name", ["none", "NONE", "na", "neutral", "-", "0", "Nano", "nandu"])
def test_names_that_people_give_are_not_missing(name: str):
    assert missing_labels(["good", name]) == set()


@pytest.mark.parametrize("name", ["none", "NONE", "?", ".", "--", "na"])
def test_among_numbers_more_is_missing(name: str):
    assert missing_labels(["1", "2.5", name]) == {name}


@pytest.mark.parametrize("written", [*MISSING, None, "", math.nan])
def test_rows_without_a_label_are_left_out_on_demand(tmp_path, written):
    examples = read(tmp_path, "good", written, "bad", missing="drop")
    assert (examples.labels, examples.lines) == (["good", "bad"], [1, 3])
    assert (
        "1 of 3 rows left out, as they have no label (the first is in line 2)" in examples.notes[-1]
    )


def test_a_column_that_is_empty_is_refused_also_then(tmp_path):
    with pytest.raises(UserError, match='no row has a label in "label"'):
        read(tmp_path, "nan", None, missing="drop")
