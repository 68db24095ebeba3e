"""The errors of the commands: one line each that says what, where, and what to do next.

Exception
 └── CommandError       exit 1: the request was valid and could not be carried out
      ├── UsageError    exit 2: the request was invalid
      └── MissingFile   a file that the user named does not exist
"""


class CommandError(Exception):
    """A command failed; the text is the whole message for the user."""

    exit_code = 1


class UsageError(CommandError):
    """A command was called with something that cannot work."""

    exit_code = 2


class MissingFile(CommandError):
    """A file that the user named does not exist."""
