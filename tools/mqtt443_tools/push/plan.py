"""Plans a push: what would change on the board, and whether its config.json may be newer than the one to send."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mqtt443_tools.push.board_programs import NEW
from mqtt443_tools.push.board_tree import CONFIG, PACKAGE, PROGRAM, Settings

MAX_COMMENT_BYTES = 1024
PUSH_RECORD = "push.json"
"""On the board: which config.json the last push sent; see `overwrite_conflict`."""

UPDATES = ("update/job", "update/job.new", "update/job.old", "config.json.trial", "slot")
"""On the board: files of a job over the air (firmware/mqtt443/job_record.py, boot.py), in the order of removal. A push
is trusted, so it ends every trial, and its slot is the one that runs."""


@dataclass(frozen=True)
class Plan:
    """The difference between a board's files and the desired ones.

    Attributes:
        send: files to write, because they differ or are missing on the board.
        new: those of them that the board does not have.
        remove: files of the board that must go.
        same: unchanged files.
    """

    send: Mapping[str, bytes]
    new: frozenset[str]
    remove: tuple[str, ...]
    same: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """The size of all files to send."""
        return sum(map(len, self.send.values()))


def compare(desired: Mapping[str, bytes], present: Mapping[str, bytes], *, package: bool) -> Plan:
    """Compare what a board should hold with the hashes of what it holds.

    Args:
        desired: content by path.
        present: SHA-256 by path.
        package: whether the package's folder is ours to clean up.
    """
    same = tuple(name for name in desired if present.get(name) == hashlib.sha256(desired[name]).digest())
    send = {name: content for name, content in desired.items() if name not in same}
    written = {*desired, *(name + NEW for name in send)}
    # A module of an earlier version would win over ours: MicroPython tries .py before .mpy.
    remove = tuple(
        name
        for name in sorted(present)
        if name not in {*written, *UPDATES} and (name.endswith(NEW) or (package and name.startswith(PACKAGE + "/")))
    )
    remove += tuple(name for name in UPDATES if name in present)
    return Plan(send, frozenset(send) - set(present), remove, same)


def push_record(settings: Settings, programs: Mapping[str, bytes]) -> bytes:
    """Return the content of the record about a config, and about boot.py and main.py, which are `programs`."""
    sent = {
        "config_sha256": hashlib.sha256(settings.content).hexdigest(),
        "config_modified": settings.modified,
        "programs": {name: hashlib.sha256(programs[name]).hexdigest() for name in PROGRAM},
    }
    return json.dumps(sent).encode() + b"\n"


def overwrite_conflict(settings: Settings, present: bytes | None, record: bytes | None) -> str | None:
    """Return why the board's config.json may be newer than the one to send; None if it is not.

    Args:
        settings: the one to send.
        present: SHA-256 of the board's config.json; None if it has none.
        record: content of the board's push record; None if it has none.
    """
    if present is None or present == hashlib.sha256(settings.content).digest():
        return None
    sent = _parse(record)
    if sent.get("config_sha256") != present.hex():
        return f"the board's {CONFIG} was not sent by push, or was changed on the board since"
    modified = sent.get("config_modified")
    if type(modified) is int and modified > settings.modified:
        return f"the board's {CONFIG} is from {_day(modified)}, yours from {_day(settings.modified)}"
    return None


def foreign_programs(plan: Plan, present: Mapping[str, bytes], record: bytes | None) -> list[str]:
    """Return which of boot.py and main.py would be overwritten although the board's version did not come from a push.

    Args:
        plan: what would be sent.
        present: SHA-256 by path.
        record: content of the board's push record; None if it has none.
    """
    sent = _parse(record)
    if "config_sha256" in sent and "programs" not in sent:
        return []  # by mqtt443 0.1, which kept no record of them
    programs = sent.get("programs")
    known = programs if isinstance(programs, dict) else {}
    return [
        name for name in PROGRAM if name in plan.send and name in present and present[name].hex() != known.get(name)
    ]


def is_code(content: bytes) -> bool:
    """Return whether a program does anything; MicroPython itself makes a short boot.py of comments."""
    return len(content) > MAX_COMMENT_BYTES or any(
        line.strip() and not line.strip().startswith(b"#") for line in content.splitlines()
    )


def _parse(content: bytes | None) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _day(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC" if 0 <= unix_s < 2**36 else "another time"
