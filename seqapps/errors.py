"""The two ways in which a command can fail without a traceback."""

__all__ = ["UsageError", "UserError"]


class UserError(Exception):
    """The work failed for a reason that the user can act on (exit code 1).

    The message states the rule, the value that broke it and the remedy.
    """


class UsageError(UserError):
    """The command itself is wrong: an unknown flag, a value out of range (exit code 2)."""


def interrupted(error: SystemError) -> bool:
    """Whether Ctrl-C is behind this error: compiled code that it hits reports it so."""
    return isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)
