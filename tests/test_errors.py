"""What the user reads stays a line that can be read."""

from selfsup.errors import UserError


def test_a_long_message_keeps_what_is_wrong_and_how_to_fix_it():
    message = str(UserError(f"table.csv: it has: {'a, ' * 50_000}name one with --text-column"))
    assert message.startswith("table.csv: it has: a, a, ")
    assert " … " in message
    assert message.endswith("name one with --text-column")
    assert len(message) < 1810


def test_another_message_is_whole():
    message = "x" * 1800
    assert str(UserError(message)) == message
