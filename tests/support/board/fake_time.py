"""A separate clock for a virtual board, by libfaketime (Debian: apt install faketime), with its own date or pace."""

import datetime
import glob
import os
import time
from pathlib import Path

import pytest

from tests.support.board import interpreters

# A 64-bit library loads into 64-bit programs only.
INTERPRETERS = tuple(name for name in interpreters.ALL if name != "alpn32")

LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"


def _library() -> str:
    """Return the path of libfaketime; if it is missing, skip the test, or fail it in CI."""
    found = glob.glob(LIBRARIES)  # noqa: PTH207 - an absolute pattern
    if not found:
        reason = "libfaketime is not there (Debian: apt install faketime)"
        if os.environ.get("MQTT443_REQUIRE_MICROPYTHON"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found[0]


def board_clock(folder: Path, year: int) -> dict[str, str]:
    """Return the environment in which a board's clock starts in `year` and can be set by the board."""
    library = _library()
    start = datetime.datetime(year, 1, 1, 12, tzinfo=datetime.UTC).timestamp()
    offset = folder / "clock-offset"
    offset.write_text(f"{start - time.time():+.0f}")
    # The board sets its clock by this file; its tick counter must not jump with the clock.
    monotonic = {"DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", **monotonic}


def board_pace(times: int) -> dict[str, str]:
    """Return the environment in which a board runs `times` times faster: its clock, its waits, its deadlines.

    The network and the endpoint keep their own pace, so to the board they seem slower by the same factor.
    """
    return {"LD_PRELOAD": _library(), "FAKETIME": f"+0 x{times}"}
