"""The exception for mistakes that the user can fix."""


class UserError(Exception):
    """A mistake that the user can fix.

    The message is one line: what is wrong, where (file, line or flag) and how to fix it. The
    command line prints it without a traceback and exits with status 2.
    """
