"""The labels of any file, read as what the labels of the training file are."""

import numpy as np
import pytest

from selfsup.errors import UserError
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.raw_labels import encode_labels, settled_labels
from selfsup.tasks.labels import Labels
from tests.tasks.classification.labelled import labelled, read

NUMBER = Labels("number", ("value",))


def settled(labels: Labels, *given):
    return settled_labels(labelled(*given), labels).labels


@pytest.mark.parametrize(
    ("names", "given", "meant"),
    [
        (("0", "1"), ("1", "0.0", "1.0", "1.00"), ["1", "0", "1", "1"]),
        (("1.0", "1.1", "2.0"), ("2", "1.1"), ["2.0", "1.1"]),
        (("False", "True"), ("TRUE", "false", "True"), ["True", "False", "True"]),
        (("LABEL_0", "LABEL_1"), ("1", "0.0"), ["LABEL_1", "LABEL_0"]),
        (("LABEL_0", "LABEL_1"), ("LABEL_1",), ["LABEL_1"]),
        (("1", "true"), ("True", "1.0"), ["true", "1"]),
        (("cafe\u0301", "b"), ("caf\u00e9",), ["cafe\u0301"]),
        (("a", "b"), (("b",), "a"), ["b", "a"]),
    ],
)
def test_one_label_is_found_under_the_models_name(names, given, meant):
    assert settled(Labels("class", names), *given) == meant


def test_several_labels_are_found_by_name():
    labels = Labels("multi", ("1", "a", "True"))
    assert settled(labels, ("a", "1.0"), (), ("true", "TRUE")) == [("a", "1"), (), ("True",)]


def test_numbers_are_read_in_the_files_own_notation():
    assert settled(NUMBER, "5.000", "-2", "1e1") == [5.0, -2.0, 10.0]
    examples = settled_labels(labelled("3,5", "4"), NUMBER)
    assert examples.labels == [3.5, 4.0]
    assert examples.notes == (
        "t.tsv: the labels are numbers with a decimal comma; --label-separator , makes them "
        "several labels",
    )


# Vectors: the decision of the training file holds.


def test_vectors_are_read_by_position_where_training_had_vectors():
    labels = Labels("multi", ("0", "1", "2"), positions=True)
    assert settled(labels, ("1", "0", "0"), ("0", "1", "1")) == [("0",), ("1", "2")]
    two = Labels("multi", ("0", "1"), positions=True)
    assert settled(two, ("0", "1")) == [("1",)]
    assert settled(two, ("False", "True"), ("1.0", "1.0")) == [("1",), ("0", "1")]
    assert settled(labels, ("0", "2"), ("1",)) == [("0", "2"), ("1",)]


def test_lists_stay_lists_where_training_had_lists():
    assert settled(Labels("multi", ("0", "1")), ("0", "1")) == [("0", "1")]
    assert settled(Labels("multi", ("0", "1", "2")), ("0", "1"), ("2",)) == [("0", "1"), ("2",)]


def test_vectors_mean_positions_for_names_that_are_positions():
    labels = Labels("multi", ("LABEL_0", "LABEL_1", "LABEL_2"))
    assert settled(labels, ("1", "0", "1")) == [("LABEL_0", "LABEL_2")]


@pytest.mark.parametrize(
    ("labels", "given", "said"),
    [
        (Labels("multi", ("a", "b", "c")), ("1", "0", "0"), "does not say which of the labels"),
        (Labels("multi", ("0", "1", "2")), ("1", "0", "0"), "does not say which of the labels"),
        (
            Labels("multi", ("0", "1", "2"), positions=True),
            ("1", "0", "0", "1"),
            "has 4 zeros and ones, where 3 are expected",
        ),
    ],
)
def test_vectors_that_do_not_fit_are_refused(labels, given, said):
    with pytest.raises(UserError, match=rf"t\.tsv, line 2: label \[.*\] {said}"):
        settled(labels, given)


# Labels that are none, or that are unknown.


def test_examples_that_were_not_agreed_upon_are_left_out(tmp_path):
    examples = settled_labels(read(tmp_path, "yes", "-", "no", "-"), Labels("class", ("no", "yes")))
    assert (examples.labels, examples.lines) == (["yes", "no"], [1, 3])
    assert '2 examples with the label "-" (not agreed upon) left out' in examples.notes[-1]
    assert settled(Labels("class", ("+", "-")), "-", "-") == ["-", "-"]
    assert settled(Labels("class", ("+", "-", "0")), "-", "0") == ["-", "0"]


def test_a_missing_label_that_was_trained_on_is_known():
    assert settled(Labels("class", ("None", "a")), "None", "a") == ["None", "a"]


@pytest.mark.parametrize(
    ("labels", "given", "said"),
    [
        (Labels("multi", ("a", "b")), ("a", "z"), r"label 'z' .*\(a, b\): fix it"),
        (Labels("class", ("a", "b")), "z", r"label 'z' .*\(a, b\): fix it"),
        (Labels("class", ("a", "b")), "nan", r"label 'nan' .* with --missing-labels drop"),
        (Labels("class", ("Good", "b")), "good", "it looks like 'Good': write them alike"),
        (NUMBER, "x", "label 'x' is no number"),
    ],
)
def test_a_label_that_was_never_trained_on_is_named_with_its_line(labels, given, said):
    with pytest.raises(UserError, match=rf"t\.tsv, line 2: .*{said}"):
        settled(labels, given)


# How they are numbered.


def test_several_labels_become_ones_and_zeros():
    labels = Labels("multi", ("a", "b", "c"))
    encoded = encode_labels(labelled(("c", "a"), (), ("b",)), labels)
    assert encoded is not None
    assert encoded.dtype == np.float32
    assert encoded.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_numbers_stay_what_they_are():
    encoded = encode_labels(labelled(5.0, -2.0, 10.0), NUMBER)
    assert encoded is not None
    assert (encoded.dtype, encoded.tolist()) == (np.float32, [5.0, -2.0, 10.0])


def test_labels_that_are_unknown_have_no_numbers():
    unlabelled = LabelledTexts("", [1], ["a"])
    assert encode_labels(unlabelled, Labels("class", ("a", "b"))) is None
    assert settled_labels(unlabelled, Labels("class", ("a", "b"))) is unlabelled
