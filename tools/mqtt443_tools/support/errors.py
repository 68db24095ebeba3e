"""What the commands report: one line that says what, where, and what to do next.

Exception
 └── CommandError       exit 1: it was asked for rightly and could not be done
      └── UsageError    exit 2: it was asked for wrongly
"""


class CommandError(Exception):
    """A command could not do its work; the text is the whole message a person needs."""

    exit_code = 1


class UsageError(CommandError):
    """A command was called with something that cannot work."""

    exit_code = 2
