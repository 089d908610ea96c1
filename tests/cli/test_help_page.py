"""What --help prints."""

import dataclasses
import re
import shlex

import pytest

from selfsup.cli import COMMANDS
from selfsup.cli.help_page import all_commands, one_command
from selfsup.cli.parser import parse_command
from selfsup.settings.fields import flag_name

commands = pytest.mark.parametrize("name", COMMANDS)


def page_of(name: str) -> str:
    return one_command(name, COMMANDS[name].settings)


def examples_in(page: str) -> list[list[str]]:
    """The arguments of each `selfsup …` example, lines that end in a backslash joined."""
    text = page.partition("\nExample")[2].replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if "selfsup " in line]


def test_every_command_stands_on_a_line_of_its_own(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = all_commands({name: entry.settings for name, entry in COMMANDS.items()}).splitlines()
    for name in COMMANDS:
        assert sum(bool(re.match(rf"  {name} +\w", line)) for line in lines) == 1
    assert max(map(len, lines)) <= 100


@commands
def test_every_argument_is_on_its_commands_page_with_its_default(name: str, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    page = page_of(name)
    for field in dataclasses.fields(COMMANDS[name].settings):
        entry = re.search(rf"^  {re.escape(flag_name(field))}\b.*(?:\n {{26}}.*)*", page, re.M)
        assert entry, flag_name(field)
        if isinstance(field.default, (int, float, str)) and not isinstance(field.default, bool):
            assert f"[{field.default}]" in entry[0]


@commands
def test_every_example_on_a_commands_page_is_one_that_it_takes(name: str):
    examples = examples_in(page_of(name))
    assert examples
    for command, *arguments in examples:
        assert command == name
        parse_command(name, COMMANDS[name].settings, arguments)


@commands
@pytest.mark.parametrize("columns", ["20", "80", "300"])
def test_a_page_is_no_wider_than_a_reader_likes(name: str, columns: str, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert max(map(len, page_of(name).splitlines())) <= 110
