"""Rows of words with tags, and of texts with spans."""

from typing import Any

import pytest

from selfsup.errors import UserError
from selfsup.tasks.tables import Columns, Row
from selfsup.tasks.token_classification.rows import read_tagged_rows

TEXT = "Angela Merkel lives in Berlin."


def read(*fields: dict[str, Any], columns: Columns = Columns(), labelled: bool = True):  # noqa: B008
    rows = [Row(number, row) for number, row in enumerate(fields, 1)]
    found = read_tagged_rows(rows, "train.jsonl", columns, labelled=labelled)
    return found.sentences, list(found.notes)


def entities(*spans: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": kind} for start, end, kind in spans]


@pytest.mark.parametrize("name", ["tags", "ner_tags", "labels"])
def test_words_have_the_tags_of_their_places(name):
    (sentence, empty), notes = read(
        {"id": 7, "tokens": ["in", "1984"], name: ["O", "B-WORK"]}, {"tokens": [], name: []}
    )
    assert (sentence.words, sentence.tags) == (["in", "1984"], ["O", "B-WORK"])
    assert (empty.words, empty.tags, empty.line) == ([], [], 2)
    (note,) = notes
    assert f'the words from field "tokens" and the tags from field "{name}"' in note


def test_fields_are_those_the_user_names():
    row = {"tokens": ["a"], "tags": ["O"], "w": ["b"], "t": ["B-X"]}
    (sentence,), notes = read(row, columns=Columns("w", "t"))
    assert (sentence.words, sentence.tags, notes) == (["b"], ["B-X"], [])


def test_spans_in_a_text_tag_the_words_they_cover():
    spans = entities((23, 29, "LOC"), (0, 13, "PER"))
    triples = [list(span.values()) for span in spans]
    for given in (spans, triples):
        (sentence,), _ = read({"text": TEXT, "entities": given})
        assert sentence.text == TEXT
        assert sentence.words == ["Angela", "Merkel", "lives", "in", "Berlin", "."]
        assert sentence.tags == ["B-PER", "I-PER", "O", "O", "B-LOC", "O"]


def test_neighbouring_entities_stay_two():
    (sentence,), _ = read({"text": "Paris Berlin", "entities": entities((0, 5, "L"), (6, 12, "L"))})
    assert sentence.tags == ["B-L", "B-L"]


def test_a_span_that_ends_inside_a_word_takes_it_whole_and_is_reported():
    rows = [{"text": "a", "spans": []}, {"text": "the Berliners", "spans": [[4, 10, "L"]]}]
    (_, sentence), notes = read(*rows)
    assert sentence.tags == ["O", "B-L"]
    said = "texts whose entities begin or end inside a word: 1 (the first in line 2)"
    assert said in notes[1]


def test_texts_without_labels_are_read_too():
    (sentence,), notes = read({"text": TEXT}, labelled=False)
    assert (sentence.text, sentence.tags) == (TEXT, None)
    assert notes == ['train.jsonl: taking the words from field "text"']


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "line 1: 2 words and 1 tags"),
        ({"tokens": ["a", ""], "tags": ["O", "O"]}, "line 1: word 2 is empty"),
        ({"tokens": ["a"], "tags": [""]}, "line 1: the tag of word 1 is empty"),
        ({"tokens": ["a"], "tags": "O"}, 'line 1: "tags" holds no list of tags'),
        ({"tokens": [["a"]], "tags": ["O"]}, 'line 1: "tokens": .* is none of words'),
        ({"tokens": None, "tags": ["O"]}, 'line 1: "tokens" holds no list of words'),
        ({"tokens": ["a"]}, r"which field holds the tags\? It has: tokens; .*--label-column"),
        ({"a": ["a"], "tags": []}, r"which field holds the words .* It has: a, tags; .*--text-col"),
        ({"text": TEXT, "entities": None}, 'line 1: "entities" holds no list of entities'),
        ({"text": TEXT, "entities": [{"start": 0}]}, "line 1: .*an entity needs"),
        ({"text": TEXT, "entities": [[0, 99, "PER"]]}, "from 0 to 99 does not lie .* 30 char"),
        ({"text": TEXT, "entities": [[6, 6, "PER"]]}, "from 6 to 6 does not lie"),
        ({"text": TEXT, "entities": [[6, 7, "PER"]]}, "1 entities, of which only 0 have a word"),
        ({"text": TEXT, "entities": [[0, 2, "A"], [3, 6, "B"]]}, "2 entities, of which only 1"),
        (
            {"text": TEXT, "entities": [[0, 13, "PER"], [7, 13, "NAME"]]},
            "line 1: .*'Angela Merkel' .PER. and 'Merkel' .NAME. overlap",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(row, said):
    with pytest.raises(UserError, match=said) as raised:
        read(row)
    assert str(raised.value).startswith("train.jsonl")


@pytest.mark.parametrize(
    ("text", "start", "end", "said"),
    [
        ("Then Anna", 0, 4, "the entity 'Anna' does not stand from 0 to 4, where its text has "
         "'Then': it first occurs at 5; fix"),
        ("😀 Anna", 3, 7, "it first occurs at 2, and start and end count UTF-16 units, not char"),
        ("né Anna", 4, 8, "it first occurs at 3, and start and end count bytes of UTF-8, not char"),
        ("né Anna", 3, 6, "it first occurs at 3, and end is the last character, not the one after"),
        ("Then Bob", 0, 4, "its text does not hold it at all"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["text", "word", "value"])
def test_an_entity_whose_text_stands_elsewhere_is_refused(text, start, end, said, name):
    entity = {"start": start, "end": end, "label": "PER", name: "Anna"}
    with pytest.raises(UserError, match=f'train.jsonl, line 1: "entities": .*{said}'):
        read({"text": text, "entities": [entity]})


def test_white_space_and_case_of_an_entitys_text_may_differ():
    entity = {"start": 3, "end": 12, "label": "LOC", "word": "new york"}
    (sentence,), _ = read({"text": "in New  York", "entities": [entity, entity]})
    assert sentence.tags == ["O", "B-LOC", "I-LOC"]


def test_a_field_that_is_not_there_is_named():
    with pytest.raises(UserError, match="--text-column w: no such field"):
        read({"tokens": [], "tags": []}, columns=Columns("w"))
