import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from selfsup.corpus.text import clean_paragraphs

# A letter and its mark, and two parts of a syllable, with something between that is removed.
PARTED = ("e\u200d\u0301", "\u1112\u200b\u1161", "e\ufffd\u0301")
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


def test_decomposed_letters_are_composed():
    assert clean_paragraphs("cafe\u0301") == ["café"]
    assert clean_paragraphs(unicodedata.normalize("NFD", "한국어")) == ["한국어"]


def test_letters_are_composed_over_what_is_removed_between_their_parts():
    assert clean_paragraphs("\n".join(PARTED)) == ["é", "하", "é"]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\n\n\n", "\x0c", "\u2028", "\u2029"])
def test_line_breaks_of_every_kind_end_a_paragraph(line_break):
    assert clean_paragraphs(f"one{line_break}two") == ["one", "two"]


@pytest.mark.parametrize("space", ["\t", "\xa0", "\u2003", "\u3000"])
def test_spaces_of_every_kind_become_plain_spaces(space):
    assert clean_paragraphs(f"{space}one{space}two{space}") == ["one two"]


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x07",
        "\x7f",
        "\x9f",
        "\ufeff",
        "\u200b",
        "\u200d",
        "\u202e",
        "\xad",
        "\ue000",
        "\ufffd",
    ],
)
def test_control_and_format_characters_disappear(character):
    assert clean_paragraphs(f"{character}o{character}ne") == ["one"]


def test_blank_paragraphs_disappear():
    assert clean_paragraphs(" \n\t\n\u200b\n") == []


@given(UNICODE)
@example(PARTED[0])
def test_cleaned_text_is_composed_and_holds_no_control_character(text):
    for paragraph in clean_paragraphs(text):
        assert paragraph == paragraph.strip()
        assert paragraph
        assert unicodedata.is_normalized("NFC", paragraph)
        categories = set(map(unicodedata.category, paragraph))
        assert categories.isdisjoint({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
        assert "\ufffd" not in paragraph


@given(UNICODE)
@example(PARTED[1])
def test_cleaning_twice_is_cleaning_once(text):
    once = clean_paragraphs(text)
    assert clean_paragraphs("\n".join(once)) == once


@given(UNICODE)
def test_letters_and_digits_are_never_lost(text):
    def letters(text: str) -> str:
        return "".join(c for c in text if unicodedata.category(c)[0] in "LNMPS" and c != "\ufffd")

    cleaned = letters("".join(clean_paragraphs(text)))
    assert unicodedata.normalize("NFC", cleaned) == unicodedata.normalize("NFC", letters(text))
