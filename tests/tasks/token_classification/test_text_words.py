"""Words of running text are those that BERT's tokenizer finds, at their places in the original."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfsup.tasks.token_classification.entities import words_of_text
from tests.toy_tasks import toy_tokenizer

CHARACTERS = "aZé .,'-東京한e\u0301\u200b\u00a0\t\x00😀İß"
TEXTS = st.text(st.sampled_from(CHARACTERS), max_size=20) | st.text()


def test_punctuation_and_ideographs_are_words_and_places_are_of_the_original():
    text = "Don't  go to 東京, e\u0301lan!"
    words = [text[start:end] for start, end in words_of_text(text)]
    assert words == ["Don", "'", "t", "go", "to", "東", "京", ",", "e\u0301lan", "!"]


@given(TEXTS)
def test_words_are_those_of_the_tokenizer_whatever_its_case(text):
    encoding = toy_tokenizer().encode(text, add_special_tokens=False)  # a piece for every word
    spans: dict[int | None, tuple[int, int]] = {}
    for word, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
        spans[word] = (min(start, spans.get(word, (start, end))[0]), end)
    assert list(words_of_text(text)) == list(spans.values())


@pytest.mark.parametrize("text", ["", " \t\n", "\u200b\x00"])
def test_a_text_of_nothing_has_no_words(text):
    assert list(words_of_text(text)) == []
