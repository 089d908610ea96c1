"""Questions with answers, and tagged words, in every form that is read, damaged."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.tasks.base import Reading
from selfsup.tasks.question_answering.files import read_answers, read_squad
from selfsup.tasks.registry import TASKS
from selfsup.tasks.tables import Columns
from tests.fuzz.examples import ANSWERS, COLUMNS, QUESTION_ROWS, SQUAD, TAGGED_ROWS
from tests.fuzz.mutations import json_lines, mutated_json, mutated_text
from tests.fuzz.target import FUZZED, reads_or_refuses

TAGS, QUESTIONS = TASKS["token-classification"], TASKS["question-answering"]
AS_LINES = {
    name: [json_lines(json.loads(rows)).encode() for rows in examples]
    for name, examples in (("questions", QUESTION_ROWS), ("tags", TAGGED_ROWS))
}


def question_reader(data):
    """Read questions as ``finetune`` does, or as the doctor, which collects mistakes."""
    labelled, mistakes = data.draw(st.booleans()), data.draw(st.sampled_from((None, [])))

    def read(file: str) -> None:
        read_squad(file, labelled=labelled, mistakes=mistakes)
        examples = QUESTIONS.read_examples(file, Reading(), labelled=True).drop_empty()
        labels = QUESTIONS.learn_labels(examples, None)
        QUESTIONS.reading_notes(examples, examples, labels)

    return read


def tag_reader(data):
    """Read tagged sentences, with or without their tags, from columns that may be named."""
    names = st.sampled_from(
        (None, None, None, "1", "2", "0", "-1", "٣", "9" * 5000, "tokens", "text")
    )
    columns = Columns(text=data.draw(names), label=data.draw(names))
    labelled = data.draw(st.sampled_from((True, True, False)))

    def read(file: str) -> None:
        examples = TAGS.read_examples(file, Reading(columns), labelled=labelled)
        examples = examples.drop_empty()
        if labelled:
            labels = TAGS.learn_labels(examples, None)
            TAGS.reading_notes(TAGS.settled(examples, labels), examples, labels)

    return read


@FUZZED
@given(data=st.data())
def test_squad(folder, data):
    content = data.draw(mutated_json(SQUAD) | mutated_text(SQUAD))
    reads_or_refuses(folder / "questions.json", content, question_reader(data))


@FUZZED
@given(data=st.data())
def test_rows_of_questions(folder, data):
    lines = mutated_json(QUESTION_ROWS, json_lines) | mutated_text(AS_LINES["questions"])
    reads_or_refuses(folder / "questions.jsonl", data.draw(lines), question_reader(data))


@FUZZED
@given(content=mutated_json(ANSWERS) | mutated_text(ANSWERS))
def test_answers(folder, content: bytes):
    reads_or_refuses(folder / "answers.json", content, read_answers)


@pytest.mark.parametrize("ending", [".conll", ".tsv", ".txt"])
@FUZZED
@given(data=st.data())
def test_columns_of_words_and_tags(folder, ending: str, data):
    reads_or_refuses(folder / f"tags{ending}", data.draw(mutated_text(COLUMNS)), tag_reader(data))


@FUZZED
@given(data=st.data())
def test_a_list_of_tagged_texts(folder, data):
    content = data.draw(mutated_json(TAGGED_ROWS) | mutated_text(TAGGED_ROWS))
    reads_or_refuses(folder / "tags.json", content, tag_reader(data))


@FUZZED
@given(data=st.data())
def test_lines_of_tagged_texts(folder, data):
    lines = mutated_json(TAGGED_ROWS, json_lines) | mutated_text(AS_LINES["tags"])
    reads_or_refuses(folder / "tags.jsonl", data.draw(lines), tag_reader(data))
