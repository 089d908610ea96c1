"""The exception for mistakes that the user can fix."""

# Files may hold names of any length and number, and messages name them.
_LONGEST_START, _LONGEST_END = 1500, 500


class UserError(Exception):
    """A mistake that the user can fix.

    The message is one line: what is wrong, where (file, line or flag) and how to fix it. The
    command line prints it without a traceback and exits with status 2. Of a message of over 2,000
    characters the middle is left out: what is wrong stands first, and the fix last.
    """

    def __init__(self, message: str) -> None:
        if len(message) > _LONGEST_START + _LONGEST_END:
            message = f"{message[:_LONGEST_START]} … {message[-_LONGEST_END:]}"
        super().__init__(message)
