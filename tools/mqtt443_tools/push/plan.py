"""What a push would change on a board, and whether the board's config.json may be newer than the one to send."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mqtt443_tools.push.board_programs import NEW
from mqtt443_tools.push.board_tree import CONFIG, PACKAGE, Settings

NOTE = "push.json"
"""On the board: what config.json the last push sent, for the question in `doubt`."""


@dataclass(frozen=True)
class Plan:
    """The difference between a board and what it should hold.

    Attributes:
        send: files to write; those on the board have other content, or none.
        new: which of them the board has not got.
        remove: files of the board that must go.
        same: files that are as they should be.
    """

    send: Mapping[str, bytes]
    new: frozenset[str]
    remove: tuple[str, ...]
    same: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Of all that is sent."""
        return sum(map(len, self.send.values()))


def compare(wanted: Mapping[str, bytes], there: Mapping[str, bytes], *, package: bool) -> Plan:
    """Compare what a board should hold with the hashes of what it holds.

    Args:
        wanted: content by path.
        there: SHA-256 by path.
        package: whether the package's folder is ours; else it stays as it is.
    """
    same = tuple(name for name in wanted if there.get(name) == hashlib.sha256(wanted[name]).digest())
    send = {name: content for name, content in wanted.items() if name not in same}
    written = {*wanted, *(name + NEW for name in send)}
    # A module of an earlier version would be found before ours: .py comes before .mpy.
    remove = tuple(
        name
        for name in sorted(there)
        if name not in written and (name.endswith(NEW) or (package and name.startswith(PACKAGE + "/")))
    )
    return Plan(send, frozenset(send) - set(there), remove, same)


def note(settings: Settings) -> bytes:
    """Return the content of the note about a config."""
    sent = {"config_sha256": hashlib.sha256(settings.content).hexdigest(), "config_modified": settings.modified}
    return json.dumps(sent).encode() + b"\n"


def doubt(settings: Settings, there: bytes | None, noted: bytes | None) -> str | None:
    """Return why the board's config.json may be newer than the one to send, or None.

    Args:
        settings: the one to send.
        there: SHA-256 of the board's, None if it has none.
        noted: content of the board's note, None if it has none.
    """
    if there is None or there == hashlib.sha256(settings.content).digest():
        return None
    sent = _note(noted)
    if sent.get("config_sha256") != there.hex():
        return f"the board's {CONFIG} is not one that push sent, or it was changed there since"
    modified = sent.get("config_modified")
    if type(modified) is int and modified > settings.modified:
        return f"the board's {CONFIG} is of {_day(modified)}, yours of {_day(settings.modified)}"
    return None


def _note(content: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _day(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC" if 0 <= unix_s < 2**36 else "another time"
