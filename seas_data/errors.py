"""The error that users see."""


class SeasDataError(Exception):
    """An error that the user can fix.

    The message is one sentence: what is wrong, where, and what to do. The command line prints it and exits with
    status 2.
    """
