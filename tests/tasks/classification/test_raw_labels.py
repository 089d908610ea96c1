"""Labels as files write them: names, lists of names, numbers."""

import json
from decimal import Decimal

import numpy as np
import pytest

from selfsup.errors import UserError
from selfsup.tasks.classification.data import LabelledTexts, read_label, read_labelled_texts
from selfsup.tasks.classification.raw_labels import encode_labels, learn_labels
from selfsup.tasks.labels import Labels
from selfsup.tasks.tables import Columns, Row


def labelled(*labels) -> LabelledTexts:
    lines = list(range(2, 2 + len(labels)))
    return LabelledTexts("t.tsv", lines, ["a"] * len(labels), None, list(labels))


def read(tmp_path, *labels, separator: str | None = None) -> LabelledTexts:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"text": "a", "label": label}) + "\n" for label in labels))
    columns = Columns(label_separator=separator)
    return read_labelled_texts(str(path), columns, labelled=True, paired=False)


# What kind they are.


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (("b", "a"), "class"),
        (("1", "0"), "class"),
        (("1", "0.5", "x"), "class"),
        (("5.000", "3.800"), "number"),
        (("-1e-3", "2"), "number"),
        ((("a", "b"), ()), "multi"),
    ],
)
def test_the_kind_is_guessed_from_the_labels(given, kind: str):
    assert learn_labels(labelled(*given), None).kind == kind


def test_the_kind_that_the_user_names_is_taken():
    assert learn_labels(labelled("1.5", "2.5"), "class").names == ("1.5", "2.5")
    numbers = learn_labels(labelled("1", "3"), "number")
    assert (numbers.names, numbers.mean, numbers.std) == (("value",), 2.0, 1.0)


# How they are read.


def test_lists_of_labels_are_read_from_json(tmp_path):
    assert read(tmp_path, ["a", "b"], [], ["b", 3, "b"]).labels == [("a", "b"), (), ("b", "3")]


def test_an_empty_field_among_lists_is_an_empty_list(tmp_path):
    assert read(tmp_path, ["a"], None).labels == [("a",), ()]
    assert read(tmp_path, "a,b", None, separator=",").labels == [("a", "b"), ()]
    with pytest.raises(UserError, match='line 2: "label" holds no label: add one'):
        read(tmp_path, "a", None)


def test_what_is_neither_a_name_nor_a_number_is_no_label(tmp_path):
    with pytest.raises(UserError, match='line 2: "label" holds dict, where a name or a number'):
        read(tmp_path, "a", {"b": 1})
    row = Row(7, {"label": Decimal("2.50")})
    assert read_label(row, "t.parquet", "label") == "2.5"


def test_a_whole_number_is_the_same_label_with_decimals_and_without():
    labels = learn_labels(labelled("1", "0", "1.0", "0"), "class")
    assert labels.names == ("0", "1")
    np.testing.assert_array_equal(encode_labels(labelled("1", "0.0", "1.0"), labels), [1, 0, 1])
    labels = learn_labels(labelled("1.0", "1.1", "2.0"), "class")
    assert labels.names == ("1.0", "1.1", "2.0")
    np.testing.assert_array_equal(encode_labels(labelled("2", "1.1", "1.0"), labels), [2, 1, 0])


def test_one_label_in_two_spellings_is_one_label():
    with pytest.raises(UserError, match="nothing to tell apart"):
        learn_labels(labelled("1", "1.0", "1"), "class")
    assert learn_labels(labelled(("1",), ("1.0",)), "multi").names == ("1",)


def test_numbers_that_float32_cannot_tell_apart_are_refused():
    with pytest.raises(UserError, match=r"the labels, 1700000000\.5 to 1700000001\.5, differ too"):
        learn_labels(labelled("1700000000.5", "1700000001.5"), "number")
    learn_labels(labelled("100.123456789", "200"), "number")


def test_lists_are_also_read_where_a_field_holds_json(tmp_path):
    assert read(tmp_path, '["a", "b"]', "[]", "[sic]").labels == [("a", "b"), (), "[sic]"]


def test_several_labels_in_a_field_are_parted_at_the_separator(tmp_path):
    examples = read(tmp_path, "a, b", "", "b", 7, separator=",")
    assert examples.labels == [("a", "b"), (), ("b",), ("7",)]


def test_examples_that_were_not_agreed_upon_are_left_out(tmp_path):
    examples = read(tmp_path, "yes", "-", "no", "-")
    assert (examples.labels, examples.lines) == (["yes", "no"], [1, 3])
    assert '2 examples with the label "-" (not agreed upon) left out' in examples.notes[-1]
    assert read(tmp_path, "+", "-").labels == ["+", "-"]


# How they are numbered.


def test_several_labels_become_ones_and_zeros():
    labels = Labels("multi", ("a", "b", "c"))
    encoded = encode_labels(labelled(("c", "a"), (), ("b",)), labels)
    assert encoded is not None
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_numbers_stay_what_they_are():
    encoded = encode_labels(labelled("5.000", "-2", "1e1"), Labels("number", ("value",)))
    assert encoded is not None
    assert (encoded.dtype, encoded.tolist()) == (np.float32, [5.0, -2.0, 10.0])


def test_labels_that_are_unknown_have_no_numbers():
    assert encode_labels(LabelledTexts("", [1], ["a"]), Labels("class", ("a", "b"))) is None


# What is refused.


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (("1", "x"), "number", r"t\.tsv, line 3: label 'x' is no number"),
        (("1", "nan"), "number", r"t\.tsv, line 3: label 'nan' is no number"),
        (("2", "2"), "number", "all 2 labels are the number 2"),
        ((("a",), "b"), "multi", r"t\.tsv, line 3: label 'b' is no list of labels"),
        (((), ()), "multi", "no example has a label"),
        (("a", ("b", "c")), "class", r't\.tsv, line 3: label \["b", "c"\] is a list'),
        ([f"{n}" for n in range(99)], "class", "if they are numbers, add --label-type number"),
    ],
)
def test_what_is_not_of_its_kind_is_named_with_its_line(given, kind, said):
    with pytest.raises(UserError, match=said) as refused:
        learn_labels(labelled(*given), kind)
    assert "\n" not in str(refused.value)


def test_a_label_of_several_that_was_never_trained_on_is_named_with_its_line():
    with pytest.raises(UserError, match=r"t\.tsv, line 3: label 'z' .*\(a, b\)"):
        encode_labels(labelled(("a",), ("b", "z")), Labels("multi", ("a", "b")))


def test_a_list_of_other_things_than_labels_is_named(tmp_path):
    with pytest.raises(UserError, match=r"line 2: .* must be a list of labels"):
        read(tmp_path, ["a"], [{"name": "b"}])
