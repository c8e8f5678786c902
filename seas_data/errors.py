"""What goes wrong for a user, said in one sentence: what, where, and what to do next."""


class SeasDataError(Exception):
    """A problem a person can mend. The command line prints the message alone and exits with status 2."""
