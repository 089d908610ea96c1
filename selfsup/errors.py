"""The exception for mistakes that the user can fix."""

_LONGEST_START, _LONGEST_END = 1400, 400


class UserError(Exception):
    """A mistake that the user can fix.

    The message is one line: what is wrong, where (file, line or flag) and how to fix it. The
    command line prints it without a traceback and exits with status 2.
    """

    def __init__(self, message: str) -> None:
        """Take the message; ``shortened`` bounds it."""
        super().__init__(shortened(message))


def shortened(message: str) -> str:
    """A message of over 1,800 characters without its middle.

    Files may hold names of any number and length, which messages list. What is wrong stands first
    in a message, and how to fix it last.
    """
    if len(message) <= _LONGEST_START + _LONGEST_END:
        return message
    return f"{message[:_LONGEST_START]} … {message[-_LONGEST_END:]}"
