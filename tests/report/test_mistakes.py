"""The answers that are surest and wrong, of each kind of task."""

from selfsup.report.markup import Passage
from selfsup.report.model_errors import passages
from selfsup.tasks.classification import view as texts
from selfsup.tasks.image_classification import view as images
from selfsup.tasks.question_answering import view as questions
from selfsup.tasks.token_classification import view as tags
from selfsup.tasks.view import MOST, Mistakes
from tests.report.made_up_answers import (
    Record,
    of_numbers,
    of_one_label,
    of_questions,
    of_sentences,
    of_several_labels,
)


def found_by_any_task(records: list[Record]) -> list[Mistakes]:
    views = [task.view({}, records) for task in (texts, images, questions, tags)]
    return [view.mistakes for view in views if view.mistakes]


def found_in(records: list[Record]) -> Mistakes:
    (mistakes,) = found_by_any_task(records)
    assert all(len(row) == len(mistakes.head) for row in mistakes.rows)
    return mistakes


def written(mistakes: Mistakes) -> list[list[str]]:
    """The rows' cells as text; what is marked in brackets."""

    def text(passage: Passage) -> str:
        return passage.before + (f"[{passage.marked}]" if passage.marked else "") + passage.after

    return [
        [" / ".join(map(text, passages(cell))).replace("\u00a0", " ") for cell in row]
        for row in mistakes.rows
    ]


def test_wrong_labels_come_by_the_probability_of_what_was_predicted():
    mistakes = found_in(
        of_one_label(
            ("right", "up", 0.99),
            ("sure", "up", 0.1),
            ("surer", "down", 0.95),
            ("hardly", "up", 0.4),
        )
    )
    assert mistakes.about == "3 of the 4 examples are wrong. The surest first."
    assert mistakes.head == ("Text", "Label", "Predicted", "Probability", "Of the label")
    assert written(mistakes) == [
        ["surer", "down", "up", "95.0 %", "5.0 %"],
        ["sure", "up", "down", "90.0 %", "10.0 %"],
        ["hardly", "up", "down", "60.0 %", "40.0 %"],
    ]


def test_of_pairs_both_texts_are_shown():
    mistakes = found_in(of_one_label(("first", "up", 0.1), second=["second"]))
    assert mistakes.head[:2] == ("Text", "Second text")
    assert written(mistakes)[0][:3] == ["first", "second", "up"]


def test_of_several_labels_the_wrongest_decision_counts():
    mistakes = found_in(
        of_several_labels(
            ("both right", ("a", "b"), {"a": 0.9, "b": 0.9}),
            ("a missed, b made up", ("a",), {"a": 0.3, "b": 0.6}),
            ("b made up", (), {"a": 0.1, "b": 0.8}),
        )
    )
    assert mistakes.about == "2 of the 3 examples have a wrong label. The surest first."
    assert written(mistakes) == [
        ["b made up", "none", "b", "b", "80.0 %"],
        ["a missed, b made up", "a", "b", "not a", "70.0 %"],
    ]


def test_numbers_come_by_how_far_off_they_are():
    mistakes = found_in(of_numbers(("near", "4", 4.5), ("far", "1", 3), ("farther", "5", 2.5)))
    assert mistakes.title == "Farthest off"
    assert written(mistakes) == [
        ["farther", "5", "2.5", "-2.5"],
        ["far", "1", "3", "+2"],
        ["near", "4", "4.5", "+0.5"],
    ]


def test_answers_come_by_how_sure_and_how_far_off_they_are():
    mistakes = found_in(
        of_questions(
            ("right", ["the Nile"], "Nile", 0.99),
            ("half right", ["the Nile", "the river Nile"], "the long Nile", 0.9),
            ("wrong", ["Paris"], "Rome", 0.8),
            ("made up", [], "Rome", 0.7),
            ("missed", ["Rome"], "", 0.95),
        )
    )
    assert mistakes.about == (
        "4 of the 5 answers match none of those expected. "
        "Those that are sure and share few words with them first."
    )
    assert written(mistakes) == [
        ["missed", "Rome", "no answer", "0.0 %", "95.0 %"],
        ["wrong", "Paris", "Rome", "0.0 %", "80.0 %"],
        ["made up", "no answer", "Rome", "0.0 %", "70.0 %"],
        ["half right", "the Nile / the river Nile", "the long Nile", "66.7 %", "90.0 %"],
    ]


def test_entities_are_marked_in_their_sentence_with_what_they_are():
    mistakes = found_in(
        of_sentences(
            ("Anna lives in Rome", "B-PER O O B-LOC", "B-PER O O B-LOC", [1, 1, 1, 1]),
            ("Anna Weber slept", "B-PER I-PER O", "B-PER O O", [0.9, 0.5, 1]),
            ("in Rome today", "O B-LOC O", "O B-PER O", [1, 0.8, 1]),
            ("see New York", "O B-LOC I-LOC", "B-PER O O", [0.7, 0.98, 0.96]),
        )
    )
    assert mistakes.about == (
        "Mistakes about the 5 entities: 4, missed, made up, or found with another type or other "
        "borders. The surest first; O is no entity."
    )
    assert written(mistakes) == [
        ["see [New York]", "LOC", "O", "97.0 %"],
        ["[Anna] Weber slept", "PER: Anna Weber", "PER", "90.0 %"],
        ["in [Rome] today", "LOC", "PER", "80.0 %"],
        ["[see] New York", "O", "PER", "70.0 %"],
    ]


def test_of_a_repeated_word_the_right_one_is_marked():
    (row,) = written(found_in(of_sentences(("no no no", "O B-X O", "O O O", [1, 0.9, 1]))))
    assert row[0] == "no [no] no"


def test_at_most_twenty_are_shown_and_all_are_counted():
    entries = [(f"text {number}", "down", 0.6 + number / 1000) for number in range(30)]
    mistakes = found_in(of_one_label(*entries))
    assert len(mistakes.rows) == MOST == 20
    assert mistakes.about == "30 of the 30 examples are wrong. 20 of them, the surest first."
    assert written(mistakes)[0][0] == "text 29"


def test_a_long_text_is_shortened_to_its_beginning_and_its_end():
    text = "beginning " + "\n very  long" * 1000 + " end"
    (row,) = written(found_in(of_one_label((text, "down", 0.9))))
    assert row[0].startswith("beginning very long very")
    assert row[0].endswith("long end")
    assert " … " in row[0]
    assert len(row[0]) <= 240


def test_of_a_long_sentence_only_what_is_around_the_entity_is_shown():
    words, tags = ["word"] * 500 + ["Anna"] + ["word"] * 500, ["O"] * 1001
    tags[500] = "B-PER"
    (row,) = written(
        found_in(of_sentences((" ".join(words), " ".join(tags), "O " * 1001, [1.0] * 1001)))
    )
    assert " word [Anna] word " in row[0]
    assert row[0].startswith("…")
    assert row[0].endswith("…")
    assert len(row[0]) < 240


def test_a_model_that_makes_no_mistake_is_told_so():
    mistakes = found_in(of_one_label(("fine", "up", 0.9), ("dull", "down", 0.1)))
    assert (mistakes.about, mistakes.rows) == ("All 2 examples are right.", [])


def test_without_answers_there_are_no_mistakes():
    assert found_by_any_task([]) == []
    assert found_by_any_task([{"something": "else"}]) == []
