"""A clock of its own for a virtual board, by libfaketime (Debian: apt install faketime)."""

import datetime
import glob
import os
import time
from pathlib import Path

import pytest

from tests.support import interpreters

# A 64-bit library loads into 64-bit programs only.
INTERPRETERS = tuple(name for name in interpreters.ALL if name != "alpn32")

LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1"


def board_clock(folder: Path, year: int) -> dict[str, str]:
    """Return the environment in which a board's clock starts in `year` and can be set by the board.

    Skips the test, or fails it in CI, where libfaketime is not there.
    """
    found = glob.glob(LIBRARIES)  # noqa: PTH207 - an absolute pattern
    if not found:
        reason = "libfaketime is not there (Debian: apt install faketime)"
        if os.environ.get("MQTT443_REQUIRE_MICROPYTHON"):
            pytest.fail(reason)
        pytest.skip(reason)
    start = datetime.datetime(year, 1, 1, 12, tzinfo=datetime.UTC).timestamp()
    offset = folder / "clock-offset"
    offset.write_text(f"{start - time.time():+.0f}")
    return {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1"}
