"""The words of the course page: the same in both languages, and its figures those of the docs."""

import re
import string
from pathlib import Path

import pytest

from selfsup.explain import other_sections, texts
from selfsup.explain.texts import WORDS

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results.md"


def blanks(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_both_languages_have_the_same_keys_in_the_same_order():
    assert list(WORDS["en"]) == list(WORDS["ko"])


@pytest.mark.parametrize("key", WORDS["en"])
def test_both_languages_fill_in_the_same_numbers_and_name_the_same_code(key: str):
    english, korean = WORDS["en"][key], WORDS["ko"][key]
    assert blanks(english) == blanks(korean)
    of_code = [set(re.findall(r"`([^`]+)`", text)) for text in (english, korean)]
    assert of_code[0] == of_code[1]


def test_the_korean_words_are_korean():
    for key, text in WORDS["ko"].items():
        assert re.search("[가-힣]", text), key


def test_every_word_is_used():
    files = Path(texts.__file__).parent.glob("*.py")
    code = "".join(file.read_text(encoding="utf-8") for file in files).replace("'", '"')
    made_of_parts = ("idea_", "action_", "share_", "head_", "text_", "part_", "fate_", "how_",
                     "pair_given", "pair_own", "pair_course")  # fmt: skip
    for key in WORDS["en"]:
        assert f'"{key}"' in code or key.startswith(made_of_parts), key


@pytest.mark.parametrize(
    "row", other_sections.REACHED_ON_TEXT, ids=lambda row: f"{row.minutes}-{row.text}"
)
def test_every_measurement_stands_in_a_line_of_the_results(row: other_sections.Measured):
    figures = (row.tokens, row.loss, f"{row.masked} %", f"{row.following} %")
    minutes = "1 m 40 s" if row.minutes == "1:40" else f"{row.minutes} m"
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    assert any(
        line.startswith(f"| {minutes}") and all(figure in line for figure in figures)
        for line in lines
    )
    assert row.by_frequency in RESULTS.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("start", "figures"),
    [
        ("| SNLI, accuracy | **", ("snli", "snli_random")),
        ("| KorSTS, Pearson | **", ("korsts", "korsts_random")),
        ("| SST-2, accuracy | **", ("sst", "sst_random")),
    ],
)
def test_every_figure_of_transfer_stands_in_a_line_of_the_results(start: str, figures):
    (line,) = (
        line for line in RESULTS.read_text(encoding="utf-8").splitlines() if line.startswith(start)
    )
    pretrained, _, scratch = (cell.split()[0].strip("*") for cell in line.split("|")[2:5])
    assert [pretrained, scratch] == [other_sections.TRANSFER[name] for name in figures]


def test_the_figures_of_images_stand_in_the_results():
    text = RESULTS.read_text(encoding="utf-8")
    assert f"**−{other_sections.REACHED_ON_IMAGES['error']} %**" in text
    assert f"**{other_sections.REACHED_ON_IMAGES['tiles']} %**" in text
    assert f"(chance {other_sections.REACHED_ON_IMAGES['chance']} %)" in text
