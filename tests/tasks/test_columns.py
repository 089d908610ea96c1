"""Columns are found by their names, and what was guessed is said."""

import pytest

from selfsup.errors import UserError
from selfsup.tasks.tables import Columns, Row, find_columns


def rows_of(**fields: str) -> list[Row]:
    return [Row(line, dict(fields)) for line in (2, 3)]


@pytest.mark.parametrize(
    ("fields", "text", "label"),
    [
        ({"label": "0", "sentence": "a film"}, "sentence", "label"),
        ({"id": "12 x y", "document": "영화", "label": "1"}, "document", "label"),
        ({"Text": "a film", "Label": "x"}, "Text", "Label"),
        ({"stars": "4", "headline": "two words"}, "headline", "stars"),
        ({"verdict": "yes", "said": "a longer text"}, "said", "verdict"),
    ],
)
def test_columns_are_guessed_from_their_names_or_their_content(fields, text, label):
    found, note = find_columns(rows_of(**fields), "table.tsv", Columns(), labelled=True)
    assert (found.text, found.label) == (text, label)
    assert (
        note
        == f'table.tsv: taking the text from column "{text}" and the label from column "{label}"'
    )


def test_columns_that_the_user_names_are_taken_without_a_word():
    rows = rows_of(label="0", sentence="a b", other="c d", kind="x")
    found, note = find_columns(rows, "table.tsv", Columns("other", "kind"), labelled=True)
    assert (found.text, found.label, note) == ("other", "kind", None)


def test_only_the_guessed_column_is_announced():
    rows = rows_of(label="0", sentence="a b")
    _, note = find_columns(rows, "table.tsv", Columns(text="sentence"), labelled=True)
    assert note == 'table.tsv: taking the label from column "label"'


def test_a_column_named_as_the_label_is_not_taken_for_the_text():
    rows = rows_of(text="0", sentence="a b")
    found, _ = find_columns(rows, "table.tsv", Columns(label="text"), labelled=True)
    assert found.text == "sentence"


def test_no_label_is_looked_for_where_none_is_needed():
    found, note = find_columns(rows_of(sentence="a"), "new.tsv", Columns(), labelled=False)
    assert (found.text, found.label) == ("sentence", None)
    assert note == 'new.tsv: taking the text from column "sentence"'


@pytest.mark.parametrize(
    ("fields", "asked", "found"),
    [
        (("label", "premise", "hypothesis"), Columns(), ("premise", "hypothesis", "label")),
        (("score", "Sentence1", "Sentence2"), Columns(), ("Sentence1", "Sentence2", "score")),
        (("answer", "question", "label"), Columns(), ("question", "answer", "label")),
        (("text_a", "text_b", "verdict"), Columns(), ("text_a", "text_b", "verdict")),
        (("left", "right", "label"), Columns(), ("left", "right", "label")),
        (("premise", "hypothesis", "why", "label"), Columns(text="why", text_pair="premise"),
         ("why", "premise", "label")),
        (("left", "right", "label"), Columns(text="right"), ("right", "left", "label")),
        (("left", "right", "label"), Columns(text_pair="left"), ("right", "left", "label")),
    ],
)  # fmt: skip
def test_the_two_columns_of_a_pair_are_guessed_together(fields, asked, found):
    values = {
        name: "0" if name in ("label", "score", "verdict") else "a few words" for name in fields
    }
    columns, _ = find_columns(rows_of(**values), "t.tsv", asked, labelled=True, paired=True)
    assert (columns.text, columns.text_pair, columns.label) == found


def test_the_guessed_columns_of_a_pair_are_announced():
    rows = rows_of(label="1", premise="a b", hypothesis="c d")
    _, note = find_columns(rows, "t.tsv", Columns(), labelled=True, paired=True)
    assert note == (
        't.tsv: taking the first text from column "premise", the second text from column '
        '"hypothesis" and the label from column "label"'
    )


@pytest.mark.parametrize(
    ("fields", "asked", "said"),
    [
        ({"label": "1", "text": "a b"}, Columns(), "which columns hold the two texts of a pair"),
        ({"label": "1", "a": "b", "b": "c"}, Columns(text_pair="c"), "--text-pair-column c: no"),
        ({"label": "1", "a": "b", "b": "c"}, Columns("a", text_pair="a"), "are both a"),
        ({"label": "1", "a": "b"}, Columns("a", "a"), "--text-column and --label-column are both"),
        ({"label": "1", "a": "b"}, Columns(None, "a", "a"), "are both a: name two columns"),
    ],
)
def test_columns_of_pairs_that_cannot_be_found_are_asked_for(fields, asked, said):
    with pytest.raises(UserError, match=said):
        find_columns(rows_of(**fields), "t.tsv", asked, labelled=True, paired=True)


@pytest.mark.parametrize(
    ("fields", "asked", "said"),
    [
        ({"label": "1", "sentence": "a"}, Columns(text="txt"), "--text-column txt: no such column"),
        ({"label": "1", "sentence": "a"}, Columns(label="lbl"), r"it has: label, sentence"),
        ({"x": "a b", "z": "c d", "label": "1"}, Columns(), "name it with --text-column"),
        ({"sentence": "a b", "x": "1", "z": "2"}, Columns(), "name it with --label-column"),
    ],
)
def test_what_cannot_be_guessed_is_asked_for_by_its_flag(fields, asked, said):
    with pytest.raises(UserError, match=said):
        find_columns(rows_of(**fields), "table.tsv", asked, labelled=True)
