"""What the labels of a training file are taken for, and what is too ambiguous to be taken."""

import pytest

from selfsup.errors import UserError
from selfsup.tasks.classification.label_decision import learn_labels
from tests.tasks.classification.labelled import labelled, read


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (("b", "a"), "class"),
        (("1", "0"), "class"),
        (("1.0", "2.0"), "class"),
        (("1", "0.5", "x", "y"), "class"),
        (("v1", "1.5", "x"), "class"),
        (("5.000", "3.800"), "number"),
        (("-1e-3", "2"), "number"),
        (("3,5", "4", "2"), "number"),
        (("5%", "100%"), "number"),
        ((("a", "b"), ()), "multi"),
    ],
)
def test_the_kind_is_found_in_all_labels(given, kind: str):
    assert learn_labels(labelled(*given), None).kind == kind


def test_the_kind_that_the_user_names_is_taken():
    assert learn_labels(labelled("1.5", "2.5"), "class").names == ("1.5", "2.5")
    assert learn_labels(labelled("1,234", "2"), "class").names == ("1,234", "2")
    assert learn_labels(labelled(("b",), ("a",)), "class").names == ("a", "b")
    numbers = learn_labels(labelled("1", "3"), "number")
    assert (numbers.names, numbers.mean, numbers.std) == (("value",), 2.0, 1.0)


def test_numbers_with_a_decimal_comma_are_those_with_a_point():
    comma = learn_labels(labelled("3,5", "2", "0,25"), None)
    assert comma == learn_labels(labelled("3.5", "2", "0.25"), None)


# Vectors of zeros and ones.


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((("1", "0", "0"), ("0", "1", "1")), ("0", "1", "2")),
        ((("1", "0", "0"), ("0", "1", "0"), ("0", "0", "1")), ("0", "1", "2")),
        ((("True", "False"), ("false", "false")), ("0", "1")),
        ((("0", "1"), ("1", "0")), ("0", "1")),
        ((("1", "0.0", "1.0"), ("0", "0", "0")), ("0", "1", "2")),
    ],
)
def test_vectors_of_zeros_and_ones_name_labels_by_position(given, names):
    labels = learn_labels(labelled(*given), None)
    assert (labels.kind, labels.names, labels.positions) == ("multi", names, True)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((("0",), ("1",), ("0", "1")), ("0", "1")),
        ((("1", "0"), ("2", "0")), ("0", "1", "2")),
        ((("0", "1"), (), ("1",)), ("0", "1")),
        ((("a", "a", "b"), ("b",)), ("a", "b")),
    ],
)
def test_lists_of_labels_are_no_vectors(given, names):
    labels = learn_labels(labelled(*given), None)
    assert (labels.kind, labels.names, labels.positions) == ("multi", names, False)


@pytest.mark.parametrize("other", [("1", "0"), ()])
def test_vectors_of_different_lengths_are_refused(other):
    with pytest.raises(UserError, match=r"line 3: label .* has . zeros and ones, where 3 are"):
        learn_labels(labelled(("1", "0", "0"), other), None)


# Spellings of one label.


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("1", "0", "1.0", "0"), ("0", "1")),
        (("1.0", "1.1", "2.0"), ("1.0", "1.1", "2.0")),
        (("True", "TRUE", "false", "TRUE"), ("TRUE", "false")),
        (("true", "True", "FALSE"), ("FALSE", "true")),
        (("true", "1", "false"), ("1", "false", "true")),
        (("Good", "good", "bad"), ("Good", "bad", "good")),
        (("01", "1", "2"), ("01", "1", "2")),
    ],
)
def test_numbers_and_truth_values_are_one_label_however_they_are_spelled(given, names):
    assert set(learn_labels(labelled(*given), "class").names) == set(names)


def test_one_label_in_two_spellings_is_one_label():
    with pytest.raises(UserError, match="nothing to tell apart"):
        learn_labels(labelled("1", "1.0", "1"), "class")
    assert learn_labels(labelled(("1",), ("1.0",)), "multi").names == ("1",)


# Labels that say that there is none.


@pytest.mark.parametrize("label", ["nan", "NULL", "<NA>", "#N/A", "None", ["a", "nan"]])
def test_missing_labels_are_refused_unless_they_are_kept(tmp_path, label):
    given = ("a", "b", "b") if isinstance(label, str) else (["a"], ["b"], ["b"])
    with pytest.raises(UserError, match=r"line 4: label .* says that there is none .*labels drop"):
        learn_labels(read(tmp_path, *given, label), None)
    kept = learn_labels(read(tmp_path, *given, label, missing="keep"), None)
    assert len(kept) == 3


def test_what_was_not_agreed_upon_is_no_label_beside_others():
    assert learn_labels(labelled("yes", "-", "no"), None).names == ("no", "yes")
    assert learn_labels(labelled("+", "-"), None).names == ("+", "-")
    assert learn_labels(labelled("1.5", "-", "2"), None).kind == "number"


# What is refused.


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (("1", "x"), "number", r"t\.tsv, line 3: label 'x' is no number"),
        (
            ("1", "1,234"),
            "number",
            r"line 3: label '1,234' is no number, or may be several",
        ),
        (("1", "nan"), "number", r"t\.tsv, line 3: label 'nan' says that there is none"),
        (("1", "2", "none"), None, r"t\.tsv, line 4: label 'none' says that there is none"),
        (("2", "2"), "number", "all 2 labels are the number 2"),
        (("1.5", "2.5", "x"), None, r"line 4: label 'x' is no number, where most .*-type class"),
        (("900", "1,234"), None, r"line 3: label '1,234' may be several numbers: .*-type class"),
        (("1,0,0", "0,1,1"), None, r"line 2: label '1,0,0' may be several .*--label-separator"),
        (("3.5", "2,5"), None, r"line 3: label '2,5' may be several numbers"),
        (("[a]", "[a, b]"), None, r"line 3: label '\[a, b\]' looks like several labels"),
        (("{'a': 1, 'b': 0}", "x"), None, "line 2: .* looks like several labels"),
        ((("0.2", "0.8"), ("1", "0.3")), None, "the lists hold numbers with decimals"),
        ([f"{n % 30}" for n in range(900)], None, "30 different whole numbers: add --label-type n"),
        ((("a",), "b"), "multi", r"t\.tsv, line 3: label 'b' is no list of labels"),
        (((), ()), "multi", "no example has a label"),
        ((("0", "0"), ("0", "0")), None, "no example has a label"),
        (("a", ("b", "c")), "class", r't\.tsv, line 3: label \["b", "c"\] is a list'),
        ([f"{n}" for n in range(99)], "class", "if they are numbers, add --label-type number"),
        (("1700000000.5", "1700000001.5"), "number", r"1700000000\.5 to 1700000001\.5, differ too"),
    ],
)
def test_what_is_ambiguous_or_of_another_kind_is_refused_with_its_line(given, kind, said):
    with pytest.raises(UserError, match=said) as refused:
        learn_labels(labelled(*given), kind)
    assert "\n" not in str(refused.value)


def test_numbers_that_float32_can_tell_apart_are_taken():
    learn_labels(labelled("100.123456789", "200"), "number")
