"""The Korean pages give the same commands as the English ones."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


def commands(page: Path) -> list[str]:
    """The commands of code blocks, without what is translated: texts in quotes and comments."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    lines = [line for line in lines if line.startswith(("selfsup ", "make "))]
    return [re.sub(r'"[^"]*"|#.*', "", line).strip() for line in lines]


def headings(page: Path) -> list[str]:
    """The level of each heading."""
    return re.findall(r"^#+", page.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["README", "docs/tutorial"])
def test_the_korean_page_gives_the_commands_of_the_english_one(name):
    english, korean = PROJECT / f"{name}.md", PROJECT / f"{name}.ko.md"
    assert commands(english)
    assert commands(korean) == commands(english)
    assert headings(korean) == headings(english)
