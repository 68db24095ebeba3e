"""Writes a board's config.json: sets some keys, keeps the others. The board defines what the keys mean."""

import json
from collections.abc import Mapping
from pathlib import Path

from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.errors import CommandError

MAX_BYTES = 64 * 1024


def read_config(path: Path) -> dict[str, object]:
    """Read a config file; a missing file has no keys.

    Raises:
        CommandError: it cannot be read, or is not a JSON object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    try:
        config = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path}: not JSON: fix it, or choose another file with --out") from error
    if not isinstance(config, dict):
        raise CommandError(f"{path}: not a JSON object: fix it, or choose another file with --out")
    return config


def update_config(path: Path, values: Mapping[str, object]) -> None:
    """Set keys of a config file atomically; it gets mode 0600, as it holds the password.

    Raises:
        CommandError: it cannot be read or written; then it is unchanged.
    """
    config = {**read_config(path), **values}
    try:
        write_private(path, json.dumps(config, indent=2, ensure_ascii=False).encode() + b"\n")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error


def copy_ca(ca: Path, config: Path) -> str:
    """Copy a CA file to the folder of a config file, with which it goes to the board; return the value of `ca`.

    Raises:
        CommandError: it cannot be read or written.
    """
    copy = config.parent / ca.name
    try:
        if not (copy.exists() and copy.samefile(ca)):
            write_private(copy, ca.read_bytes())
    except OSError as error:
        raise CommandError(f"{ca} cannot be copied to {copy}: {error.strerror}; name another file with --ca") from error
    return copy.name
