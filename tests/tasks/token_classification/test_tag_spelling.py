"""Tags in other spellings are read where all tags of a file have the same one."""

import pytest

from selfsup.tasks.token_classification.spelling import usual_tags
from selfsup.tasks.token_classification.tag_scheme import (
    OUTSIDE,
    Tag,
    TaggedText,
    TaggedTexts,
    read_tags,
    with_usual_tags,
)


@pytest.mark.parametrize(
    ("tags", "usual"),
    [
        ("b-per i-per o", "B-PER I-PER O"),
        ("b_per i_per O", "B-PER I-PER O"),
        ("b-Per i-Per o", "B-Per I-Per O"),
        ("B_PER I_PER O", "B-PER I-PER O"),
        ("PER-B PER-I O", "B-PER I-PER O"),
        ("PER_B PER_I -", "B-PER I-PER O"),
        ("B-work_of_art I-work_of_art 0", "B-work_of_art I-work_of_art O"),
        ("B-PER _", "B-PER O"),
        ("s-per u-per o O", "S-PER U-PER O O"),
        ("PER LOC o", "PER LOC O"),
        ("B-cafe\u0301 I-caf\u00e9", "B-caf\u00e9 I-caf\u00e9"),
    ],
)
def test_one_spelling_becomes_the_usual_one(tags, usual):
    assert usual_tags(tags.split()) == dict(zip(tags.split(), usual.split(), strict=True))


@pytest.mark.parametrize(
    "tags", ["B-PER I-PER O", "NOUN VERB _", "B-PER b-LOC O", "B-PER PER-I", "B-PER B_LOC", "0 1 2",
             "B-PER - O", "PERSON PLAN_B"],
)  # fmt: skip
def test_usual_tags_mixtures_and_numbers_stay(tags):
    assert usual_tags(tags.split()) == {tag: tag for tag in tags.split()}


def test_what_was_read_in_another_way_is_said():
    sentences = [TaggedText.from_words(1, ["a", "b"], ["b-per", "o"], [1, 2])]
    found = with_usual_tags(TaggedTexts("f", sentences, ("first",)))
    assert found.sentences[0].tags == ["B-PER", "O"]
    said = "f: tags in another spelling are read in the usual one: b-per as B-PER, o as O"
    assert found.notes == ("first", said)


def test_a_models_tags_in_another_spelling_mean_the_same():
    assert read_tags(["o", "PER-B", "PER-I"]) == (OUTSIDE, Tag("B", "PER"), Tag("I", "PER"))
