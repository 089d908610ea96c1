"""What is said of labelled files before training, and that nothing is said of sound ones."""

import unicodedata

import pytest

from selfsup.corpus.tokenizer.training import train_tokenizer
from selfsup.corpus.tokenizer.wordpiece import SPECIAL_TOKENS, wordpiece_tokenizer
from selfsup.tasks.classification.data import LabelledTexts
from selfsup.tasks.classification.label_decision import learn_labels
from selfsup.tasks.classification.task import Classification
from selfsup.tasks.notes import tokenizer_notes

SOUND = [(f"text {number}", ("a", "b")[number % 2]) for number in range(20)]
OTHERS = [(f"other {number}", ("a", "b")[number % 2]) for number in range(4)]


def part(name: str, rows) -> LabelledTexts:
    texts, labels = zip(*rows, strict=True)
    return LabelledTexts(name, list(range(2, 2 + len(rows))), list(texts), None, list(labels))


def all_notes(train, validation=OTHERS) -> list[str]:
    task = Classification(paired=False)
    examples, others = part("train.tsv", train), part("dev.tsv", validation)
    labels = learn_labels(examples, None)
    return task.reading_notes(task.settled(examples, labels), task.settled(others, labels), labels)


def notes(train, validation=OTHERS) -> list[str]:
    """All but the first, which says what the labels are."""
    return all_notes(train, validation)[1:]


def test_of_sound_files_it_is_only_said_what_their_labels_are():
    assert all_notes(SOUND) == ["train.tsv: the labels are 2 classes: a, b"]


def test_of_classes_that_are_numbers_it_is_said_that_they_may_be_numbers():
    grades = [(f"text {n}", str(n % 3)) for n in range(30)]
    assert all_notes(grades, grades[:3])[0] == (
        "train.tsv: the labels are 3 classes: 0, 1, 2; --label-type number makes them numbers"
    )
    binary = [(text, {"a": "1", "b": "2"}[label]) for text, label in SOUND]
    assert all_notes(binary, binary[:2])[0] == "train.tsv: the labels are 2 classes: 1, 2"


def test_labels_that_differ_only_in_case_spaces_or_width_are_named():
    rows = [(f"text {n}", ("Good", "bad", "good", "ｂａｄ", "ba\u200bd")[n % 5]) for n in range(50)]
    (said,) = notes(rows, rows[:5])[:1]
    assert said.startswith(
        'train.tsv: labels that differ only in case or spaces: "Good" (10) and "good" (10), '
        '"bad" (10) and "ba\u200bd" (10) and "ｂａｄ" (10): most likely they are one'
    )


@pytest.mark.parametrize("separator", [",", ";", "|", "/"])
def test_labels_that_are_other_labels_with_a_separator_between_are_named(separator: str):
    joined = f"food{separator} price"
    rows = [(f"text {n}", ("food", "price", joined)[n % 3]) for n in range(30)]
    (said,) = notes(rows, rows[:3])[:1]
    assert said == (
        f'train.tsv: labels that look like several: "{joined}": if they are, add '
        f"--label-separator {separator!r}"
    )


def test_a_separator_in_names_of_places_is_no_separator():
    rows = [(f"text {n}", ("Bonn, NRW", "Ulm, BW", "Kiel, SH")[n % 3]) for n in range(30)]
    assert notes(rows, rows[:3])[0].startswith("dev.tsv: 3 of 3 examples are also")


def test_a_label_that_outweighs_the_others_is_named():
    (said,) = notes(SOUND + [(f"more {number}", "a") for number in range(80)])
    assert said.startswith('train.tsv: 90% of the examples have the label "a": judge by f1')


def test_rare_labels_are_named():
    (said,) = notes([*SOUND, ("x", "c"), ("y", "c")], [*OTHERS, ("z", "c")])
    assert said == 'train.tsv: labels with fewer than 8 examples: "c" (2)'


def test_labels_that_validation_lacks_are_named():
    (said,) = notes(SOUND, [("other", "b")])
    assert said == 'dev.tsv: no example of the label "a"'


def test_a_label_is_the_same_however_the_files_spell_it():
    numbers = [(text, {"a": "0", "b": "1"}[label]) for text, label in SOUND]
    others = [("one", "0.0"), ("two", "1.0")]
    assert notes([*numbers, ("text 0", "0.0")], others) == [
        "train.tsv: 1 of 21 examples repeats an earlier one (the first in line 22)"
    ]


def test_repeated_texts_are_counted_white_space_aside():
    (said,) = notes([*SOUND, (" text  3", "b"), ("text 3", "b")])
    assert said == "train.tsv: 2 of 22 examples repeat an earlier one (the first in line 22)"


def test_texts_with_two_labels_are_counted():
    said = notes([*SOUND, ("text 3", "a")])
    assert said[1] == (
        "train.tsv: 1 example has another label than the same text further up "
        "(the first in line 22)"
    )


def test_several_labels_are_the_same_in_any_order():
    several = [(text, (label, "c")) for text, label in SOUND]
    more = [*several, ("text 0", ("c", "a")), ("text 1", ("a", "c"))]
    (said,) = [note for note in notes(more, several[:2]) if "another label" in note]
    assert said.startswith("train.tsv: 1 example has another label than the same text")


def test_texts_in_both_files_are_counted():
    (said,) = notes(SOUND, [*OTHERS, ("text 4", "a"), ("text 5", "b")])
    assert said.startswith("dev.tsv: 2 of 6 examples are also in train.tsv (the first in line 6)")


def test_pairs_are_compared_as_pairs():
    pairs = [LabelledTexts("t", [2, 3, 4], ["a", "a", "b"], ["b", "c", "b"], ["x", "y", "x"])] * 2
    said = Classification(paired=True).reading_notes(
        pairs[0], pairs[1], learn_labels(pairs[0], None)
    )
    assert [note for note in said if "repeat" in note] == []
    assert "3 of 3 examples are also in t" in said[-1]


def test_numbers_are_told_by_their_range():
    said = all_notes([(f"text {number}", f"{number}.5") for number in range(3)], [("other", "7")])
    assert said == [
        "train.tsv: the labels are numbers from 0.5 to 2.5, on average 1.5 ± 0.816; "
        "--label-type class makes them classes"
    ]  # fmt: skip


def test_several_labels_are_told_by_their_number():
    rows = [(f"t {n}", ("a", "b") if n % 2 else ()) for n in range(20)]
    assert all_notes(rows, [("o", ("a", "b"))]) == [
        "train.tsv: several labels a text, from lists: a, b; on average 1 a text, none for 10 texts"
    ]


def test_vectors_are_told_to_name_labels_by_position():
    rows = [(f"t {n}", ("1", "0", "1") if n % 2 else ("0", "1", "0")) for n in range(20)]
    assert all_notes(rows, rows)[0] == (
        "train.tsv: several labels a text, from vectors of 0 and 1, named by position: 0, 1, 2; "
        "on average 1.5 a text, none for 0 texts"
    )


def test_a_label_that_most_of_several_have_is_judged_by_the_mean_over_labels():
    (said,) = notes(
        [(f"t {n}", ("a", "b") if n % 10 == 0 else ("a",)) for n in range(90)], [("o", ("a", "b"))]
    )
    assert said.endswith(
        'have the label "a": judge by f1_macro, which does not reward saying so always'
    )


KOREAN = ["오늘은 날씨가 좋다", "내일은 비가 온다", "no accents", "café crème"]
DECOMPOSED = [unicodedata.normalize("NFD", text) for text in KOREAN]


def berts(words, *, strip_accents=False):
    tokens = [*SPECIAL_TOKENS, *sorted({word for text in words for word in text.split()})]
    ids = {token: number for number, token in enumerate(tokens)}
    return wordpiece_tokenizer(ids, lowercase=True, strip_accents=strip_accents)


def test_decomposed_text_is_noted_where_the_tokenizer_reads_it_otherwise():
    both = [*KOREAN, *DECOMPOSED]
    (said,) = tokenizer_notes("dev.tsv", berts(both), DECOMPOSED)
    assert said.startswith("dev.tsv: 3 of 4 texts hold decomposed characters (NFD)")
    assert "compose them (NFC)" in said
    assert tokenizer_notes("dev.tsv", berts(both), KOREAN) == []
    ours = train_tokenizer(KOREAN, vocab_size=99, min_frequency=1, allow_fewer=True)
    assert tokenizer_notes("dev.tsv", ours, DECOMPOSED) == []
    stripping = berts(["".join(c for c in text if c != "\u0301" and c != "\u0300")
                       for text in DECOMPOSED], strip_accents=True)  # fmt: skip
    assert tokenizer_notes("dev.tsv", stripping, DECOMPOSED) == []


def test_a_text_in_two_forms_is_one_text():
    (said,) = notes([*SOUND, ("é", "a"), ("e\u0301", "a")])
    assert said == "train.tsv: 1 of 22 examples repeats an earlier one (the first in line 23)"


def test_characters_that_the_tokenizer_lacks_are_counted_with_what_helps():
    assert tokenizer_notes("f", berts(["the film"]), ["the film", ""]) == []
    assert tokenizer_notes("f", berts(["the film"]), []) == []
    (said,) = tokenizer_notes("f", berts(["the film"]), ["the film", "the фильм"])
    assert said.startswith("f: 33.3% of the characters are in words that become [UNK], as this ")
    assert "lacks some of their characters: take a model for such text" in said
    (said,) = tokenizer_notes("", berts(["film"]), ["film " * 100 + "ф"])
    assert said == "0.2% of the characters are in words that become [UNK]"


def test_words_that_are_too_long_are_told_from_unknown_ones():
    (said,) = tokenizer_notes("f", berts(["film"]), ["film", "film" * 30])
    assert said.startswith("f: 96.8% of the characters are in words that become [UNK], most of ")
    assert "words of more than 100 characters" in said
    ours = train_tokenizer(["film" * 90], vocab_size=40, allow_fewer=True)
    assert tokenizer_notes("f", ours, ["film" * 300]) == []
