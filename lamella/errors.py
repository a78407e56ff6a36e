"""What can go wrong for a user, with the exit code each kind of error gives.

A message says what, where, why and what to do. The command line prints it and exits; it never shows a traceback for these.
"""


class LamellaError(Exception):
    """Base of all errors a user can cause and mend."""

    exit_code = 2


class CheckFailed(LamellaError):
    """A check did not hold: not bit-exact, over budget, accuracy bound broken, does not fit the board."""

    exit_code = 1


class UsageError(LamellaError):
    """Wrong usage or unreadable input."""

    exit_code = 2


class UnsupportedError(LamellaError):
    """The model holds something that is not supported; the message names node, operator, reason and remedy."""

    exit_code = 3


class PlatformError(LamellaError):
    """Something outside is missing or failed: compiler, emulator, data set, disk space, a training that diverged."""

    exit_code = 4
