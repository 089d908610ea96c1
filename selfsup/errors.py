"""The one exception that stands for a mistake the user can mend."""


class UserError(Exception):
    """Something the user can put right.

    The message is one line: what is wrong, where (file, line or flag) and what to do about it.
    The command line prints it without a traceback and exits with status 2.
    """
