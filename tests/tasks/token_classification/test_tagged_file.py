"""Which file is read how, with and without tags."""

import json

import pytest

from selfsup.errors import UserError
from selfsup.tasks.tables import Columns
from selfsup.tasks.token_classification.files import of_text, read_tagged_file


def read(tmp_path, name: str, content: str, labelled: bool = True, columns: Columns = Columns()):  # noqa: B008
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return read_tagged_file(str(path), columns, labelled=labelled)


COLUMNS = "Paris\tB-LOC\nis\tO\n\nHere\tO\n"


@pytest.mark.parametrize("name", ["train.conll", "train.txt", "train.tsv", "eng.testa", "train"])
def test_with_tags_any_file_of_text_holds_columns(tmp_path, name):
    examples = read(tmp_path, name, COLUMNS)
    assert [sentence.words for sentence in examples.sentences] == [["Paris", "is"], ["Here"]]
    assert examples.texts() == ["Paris is", "Here"]
    assert examples.notes == ()


@pytest.mark.parametrize("columns", [Columns("word"), Columns(label="3"), Columns(label="0")])
def test_columns_without_names_are_called_by_their_numbers(tmp_path, columns):
    with pytest.raises(UserError, match=r"-column .*: its columns have no names: .* from 1 to 2"):
        read(tmp_path, "train.conll", COLUMNS, columns=columns)
    with pytest.raises(UserError, match="words and tags in column 2: name another --label-column"):
        read(tmp_path, "train.conll", COLUMNS, columns=Columns("2"))
    swapped = read(tmp_path, "train.conll", "B-LOC\tParis\n", columns=Columns("2", "1"))
    assert (swapped.sentences[0].words, swapped.sentences[0].tags) == (["Paris"], ["B-LOC"])


def test_with_tags_json_lines_hold_a_sentence_a_row(tmp_path):
    row = json.dumps({"tokens": ["Paris"], "tags": ["I-LOC"]})
    examples = read(tmp_path, "train.jsonl", row)
    assert examples.sentences[0].tags == ["I-LOC"]
    assert examples.notes[1:] == (f"{tmp_path}/train.jsonl: the tags are read as IOB1",)


def test_a_data_set_of_the_hub_has_the_names_of_its_tags(tmp_path):
    datasets = pytest.importorskip("datasets")
    tag = datasets.ClassLabel(names=["O", "B-LOC"])
    features = datasets.Features(
        {"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(tag)}
    )
    table = {"tokens": [["in", "Paris"]], "ner_tags": [[0, 1]]}
    datasets.Dataset.from_dict(table, features).to_parquet(tmp_path / "data.parquet")
    (sentence,) = read_tagged_file(f"hf://{tmp_path}", Columns(), labelled=True).sentences
    assert (sentence.words, sentence.tags) == (["in", "Paris"], ["O", "B-LOC"])


def test_invalid_of_the_scheme_are_reported(tmp_path):
    (note,) = read(tmp_path, "train.conll", COLUMNS + COLUMNS + "a\tI-LOC\n").notes
    assert note.startswith(f"{tmp_path}/train.conll: 1 tag breaks the BIO scheme (line 9: I-LOC")


def test_without_tags_a_text_file_is_running_text_a_sentence_a_line(tmp_path):
    examples = read(tmp_path, "new.txt", "I saw  Paris.\n\nHere!\n", labelled=False)
    assert [(s.line, s.words) for s in examples.sentences] == [
        (1, ["I", "saw", "Paris", "."]),
        (3, ["Here", "!"]),
    ]
    assert examples.texts() == ["I saw  Paris.", "Here!"]
    assert examples.notes == ()


@pytest.mark.parametrize(("name", "notes"), [("new.txt", 1), ("new.tsv", 1), ("new.conll", 0)])
def test_columns_are_read_without_their_tags_and_where_they_are_guessed_it_is_said(
    tmp_path, name, notes
):
    examples = read(tmp_path, name, COLUMNS, labelled=False)
    assert [(s.words, s.tags) for s in examples.sentences] == [
        (["Paris", "is"], None),
        (["Here"], None),
    ]
    assert len(examples.notes) == notes


def test_without_tags_a_table_needs_a_column_of_texts(tmp_path):
    table = "id\treview\n1\tI saw Paris.\n"
    examples = read(tmp_path, "new.tsv", table, labelled=False)
    assert examples.texts() == ["I saw Paris."]
    with pytest.raises(UserError, match="which field holds the words or the text"):
        read(tmp_path, "new.csv", "id,n\n1,2\n", labelled=False)
    columns = Columns(text="n")
    assert read(tmp_path, "new.csv", "id,n\n1,2\n", False, columns).texts() == ["2"]


@pytest.mark.parametrize(
    ("name", "content", "labelled", "said"),
    [
        ("train.jsonl", '{"tokens": [], "tags": []}', True, "no sentence has a word"),
        ("train.jsonl", "", True, "holds no rows"),
        ("train.jsonl", "{", True, "line 1: not JSON"),
        ("new.txt", "\n \n", False, "new.txt: holds no text"),
        ("new.conll", "", False, "new.conll: holds no sentences"),
        ("train.csv", "word,tag\nParis,B-LOC\n", True, "train.csv, line 1: one column, 'word,tag'"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, content, labelled, said):
    with pytest.raises(UserError, match=said):
        read(tmp_path, name, content, labelled)


def test_sentences_without_words_are_counted_and_left_out_of_training(tmp_path):
    rows = [{"tokens": [], "tags": []}, {"tokens": ["a"], "tags": ["O"]}]
    content = "".join(json.dumps(row) + "\n" for row in rows)
    examples = read(tmp_path, "train.jsonl", content)
    kept = examples.drop_empty()
    assert (len(examples), len(kept), kept.drop_empty()) == (2, 1, kept)
    assert kept.notes[-1].endswith("sentences without words left out: 1 (the first in line 1)")


def test_a_text_is_read_as_a_line_of_a_file_is():
    assert of_text("I saw Paris.", 3).words == ["I", "saw", "Paris", "."]
    assert of_text("", 1).words == []
