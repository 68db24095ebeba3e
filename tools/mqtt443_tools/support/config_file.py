"""Reads and writes a board's config.json. The board defines the meaning of the keys, `config_text` the valid bytes."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mqtt443 import ca as board_ca
from mqtt443 import config_schema as board
from mqtt443 import errors
from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.config_text import ConfigTextError, parse_config
from mqtt443_tools.support.errors import CommandError, MissingFile
from mqtt443_tools.support.read_file import read_file

MAX_BYTES = 64 * 1024
MAX_CA_BYTES = 1024 * 1024
WIFI = '"wifi": {"ssid": "NAME", "password": "PASSWORD"}'


def read_config(path: Path) -> dict[str, object]:
    """Read a config file; a missing file has no keys.

    Raises:
        CommandError: it cannot be read, or is not a JSON object in UTF-8.
    """
    try:
        return parse_config(read_file(path, MAX_BYTES))
    except MissingFile:
        return {}
    except ConfigTextError as error:
        raise CommandError(f"{path}: {error}; fix it, or choose another file") from error


def load_config(path: Path) -> Any:
    """Return a config as a board reads it, a `mqtt443.config.Config`: every key, with its default.

    Raises:
        CommandError: a board would refuse it; one line that says what to change.
    """
    try:
        values = parse_config(read_file(path, MAX_BYTES))
        _check_wifi_keys(values)
        return board.validate(values)
    except MissingFile as error:
        raise CommandError(f"{error}; create one with `mqtt443 config init --out {path}`") from None
    except (ConfigTextError, errors.ConfigError) as error:
        raise CommandError(f"{path}: {error.args[0]}") from error


def load_ca(path: Path) -> list[bytes]:
    """Return the certificates of a CA file in DER, as the board reads it.

    Raises:
        CommandError: it is not a file, is too large, or holds anything but certificates.
    """
    refuse_endless_ca(path)
    try:
        return board_ca.load(str(path))  # type: ignore[no-any-return]  # the board's code carries no types
    except errors.ConfigError as error:
        raise CommandError(str(error.args[0])) from error


def refuse_endless_ca(path: Path) -> None:
    """Raise CommandError for a CA "file" that is a device or a pipe, or too large: a board reads all of it."""
    if path.exists() and not (path.is_file() and path.stat().st_size <= MAX_CA_BYTES):
        raise CommandError(f"ca: {path} is not a file, or over {MAX_CA_BYTES:,} bytes; put the root certificate there")


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
            write_private(copy, read_file(ca, MAX_CA_BYTES))
    except CommandError as error:
        raise CommandError(f"{ca} cannot be copied ({error}); name another file with --ca") from error
    except OSError as error:
        raise CommandError(f"{ca} cannot be copied to {copy}: {error.strerror}; name another file with --ca") from error
    return copy.name


def _check_wifi_keys(values: Mapping[str, object]) -> None:
    """Refuse other spellings of the Wi-Fi keys, for which the nearest key by letters is the wrong advice."""
    for key in values:
        if key.startswith("wifi") and key != "wifi":
            raise ConfigTextError(f"unknown key {key[:60]!r}; write {WIFI}")
    wifi = values.get("wifi")
    for key in wifi if isinstance(wifi, dict) else ():
        if key not in {"ssid", "password"}:
            near = "password" if key[:1] in "pkPK" else "ssid"  # pass, psk, key
            raise ConfigTextError(f"unknown key {key[:60]!r} in wifi; did you mean {near}? Write {WIFI}")
