"""Reads files that the user names, up to a bound; every failure is one line."""

from pathlib import Path

from mqtt443_tools.support.errors import CommandError, MissingFile


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the whole content of a file.

    Args:
        path: of a file, a pipe or a device; a device without an end is read only up to the bound.
        max_bytes: largest content; nothing is ever cut off silently.

    Raises:
        MissingFile: it does not exist.
        CommandError: it cannot be read, or holds more.
    """
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise MissingFile(f"{path}: {error.strerror}") from None
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    if len(content) > max_bytes:
        raise CommandError(f"{path}: larger than {max_bytes:,} bytes, the most that is accepted here")
    return content
