"""Copies of documents, amended or within others, are found; common phrases are none."""

from hypothesis import given
from hypothesis import strategies as st

from selfsup.demo.task import NearCopies

TEXT = (
    "Compute the weighted mean of an array along the given axis, ignoring what is not a number. "
    "The weights need not add up to one. An empty array gives a warning and no number at all."
)


def near_copies_of(text: str) -> NearCopies:
    known = NearCopies()
    known.add(text)
    return known


texts = st.lists(st.text("abcdefgh", min_size=1, max_size=5), min_size=1, max_size=60).map(" ".join)


@given(texts, texts, texts)
def test_a_text_is_held_in_every_text_around_it(text: str, before: str, after: str):
    assert near_copies_of(text).matches(f"{before} {text} {after}") or len(text.split()) < 8


@given(texts)
def test_every_text_is_held_in_itself(text: str):
    assert near_copies_of(text).matches(text.upper())


def test_a_part_of_a_text_is_one_of_it():
    beginning = " ".join(TEXT.split()[:14])
    assert near_copies_of(TEXT).matches(beginning)
    assert near_copies_of(TEXT).matches(f"{beginning} And then four words.")
    assert not near_copies_of(TEXT).matches("The weights need not add up, but then")


def test_a_copy_with_some_words_changed_is_one():
    changed = TEXT.replace("weighted", "plain").replace("one.", "1.")
    assert near_copies_of(TEXT).matches(changed)


def test_a_text_with_every_fourth_word_changed_is_none():
    changed = ("else" if place % 4 == 0 else word for place, word in enumerate(TEXT.split()))
    assert not near_copies_of(TEXT).matches(" ".join(changed))


def test_a_shared_sentence_is_no_copy():
    assert not near_copies_of(TEXT).matches(
        "The weights need not add up to one. Quite another text, about another thing altogether, "
        "which goes on for some more words."
    )


def test_texts_that_are_added_count_from_then_on():
    known = NearCopies()
    assert not known.matches(TEXT)
    known.add(TEXT)
    assert known.matches(TEXT)
