"""The error that the command lines show as one line."""


class UserError(Exception):
    """Something that the user can mend: what was wrong, what was found, what to do, in one line.

    Command lines print it as ``error: MESSAGE`` and exit with code 2, without a traceback.
    """
