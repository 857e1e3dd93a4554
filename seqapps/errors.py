"""The two ways in which a command can fail without a traceback."""

import errno
import os

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a place that takes no more."""

__all__ = ["UsageError", "UserError", "full", "interrupted"]


class UserError(Exception):
    """The work failed for a reason that the user can act on (exit code 1).

    The message states the rule, the value that broke it and the remedy.
    """


class UsageError(UserError):
    """The command itself is wrong: an unknown flag, a value out of range (exit code 2)."""


def interrupted(error: SystemError) -> bool:
    """Whether Ctrl-C is behind this error: compiled code that it hits reports it so."""
    return isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)


def full(error: BaseException) -> str:
    """Says in the system's words that a disk takes no more, if that is behind an error; else "".

    TensorFlow and HDF5 have errors of their own and quote the system in them.
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return os.strerror(error.errno)
    theirs = type(error).__module__.startswith("tensorflow.")
    if isinstance(error, OSError | RuntimeError) or theirs:
        said = str(error)
        return next((os.strerror(n) for n in _FULL if os.strerror(n) in said), "")
    return ""
