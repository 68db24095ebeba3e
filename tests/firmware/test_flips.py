"""Every flip of every bit of what a board keeps: it reads what was written, the version before, or nothing."""

from pathlib import Path

import pytest

from tests.firmware.micropython import run
from tests.support.board import interpreters

# Prints what went wrong, and how many flips gave what was written, the version before, or nothing.
PROGRAM = """
import os
from mqtt443 import storage
from mqtt443.flash_log import Segments

count = {}

def flips(name, judge):
    with open(name, "rb") as file:
        data = bytearray(file.read())
    for at in range(len(data)):
        for bit in range(8):
            data[at] ^= 1 << bit
            with open(name, "wb") as file:
                file.write(data)
            try:
                said = judge()
            except Exception as e:
                said = "%s at byte %d, bit %d of %s" % (repr(e), at, bit, name)
            count[said] = count.get(said, 0) + 1
            data[at] ^= 1 << bit
    with open(name, "wb") as file:
        file.write(data)

OLD, NEW = {"interval_s": 5}, {"interval_s": 7, "cause": "watchdog"}
storage.save_state("state", OLD)
storage.save_state("state", NEW)

def state():
    lines = []
    values = storage.load_state("state", lines.append)
    if values == OLD and len(lines) == 1:
        return "state: before"
    return "state: written" if values == NEW else "state: wrong %s" % values

flips("state", state)
flips("state.old", state)

RECORDS = [(b"first", 0), (b"second record", 1900000000), (b"", 0), (b"last", 7)]
Segments("outbox", 65536).append(RECORDS)

def outbox():
    log = Segments("outbox", 65536)
    got = []
    while True:
        record = log.next()
        if record is None:
            break
        got.append(record[:2])
    if got == RECORDS[: len(got)] and log.corrupt == (len(got) < len(RECORDS)):
        return "outbox: the records before the flip"
    return "outbox: wrong %s" % got

flips("outbox/00000000", outbox)

for said in sorted(count):
    print(count[said], said)
"""


@pytest.mark.parametrize("name", ["alpn32", "stock"])
def test_every_flip_of_a_bit_in_a_file_of_the_board_ends_in_what_was_written(tmp_path: Path, name: str) -> None:
    said = run(interpreters.need(name), tmp_path, PROGRAM).splitlines()
    assert {line.split(" ", 1)[1] for line in said} == {
        "state: before",
        "state: written",
        "outbox: the records before the flip",
    }
    bits = {path: (tmp_path / path).stat().st_size * 8 for path in ("state", "state.old", "outbox/00000000")}
    assert sum(int(line.split(" ")[0]) for line in said) == sum(bits.values())
