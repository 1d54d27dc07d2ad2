"""The one kind of error that a user can mend: what is wrong, where, and what would be right."""


class UsageError(ValueError):
    """Wrong usage or configuration, told in one sentence; the command line ends with exit code 2."""


class RunError(RuntimeError):
    """A run or a check that failed, told in one sentence; the command line ends with exit code 1."""
