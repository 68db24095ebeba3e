"""Segments on real MicroPython, on a littlefs in memory that counts what it erases."""

from pathlib import Path

import pytest
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need

LITTLEFS = """
import os, vfs
from mqtt443.flash_log import Segments

def erase(data, number):
    # In place: what a chip erases takes no heap, and allocating blocks anew would only fragment it.
    if data[number] is None:
        data[number] = bytearray(4096)
    for at in range(0, 4096, 64):
        data[number][at : at + 64] = ERASED

ERASED = b"\\xff" * 64

class Flash:
    erased = 0

    def __init__(self, blocks):
        self.blocks = blocks
        self.data = [None] * blocks

    def readblocks(self, number, buffer, offset=0):
        buffer[:] = self.data[number][offset : offset + len(buffer)] if self.data[number] else b"\\xff" * len(buffer)

    def writeblocks(self, number, buffer, offset=0):
        self.data[number][offset : offset + len(buffer)] = buffer

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return 4096
        if operation == 6:
            self.erased += 1
            erase(self.data, argument)
        return 0

def mounted(blocks):
    flash = Flash(blocks)
    vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), "/flash")
    os.chdir("/flash")
    return flash

def record(n, size=150):
    return b"%d " % n + b"x" * (size - 6), n

def read_all(segments):
    found = []
    while True:
        entry = segments.next()
        if entry is None:
            return found
        assert entry[:2] == record(entry[1], len(entry[0]) + 6 - len(b"%d " % entry[1])), entry
        found.append(entry[1])
"""


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def test_full_littlefs_keeps_all_that_it_took(micropython: Interpreter, tmp_path: Path) -> None:
    source = """
mounted(8)
segments = Segments("outbox", 1 << 20)
kept = []
n = full = 0
for size in (150, 20, 3000, 1):
    while True:
        batch = [record(n + i, size) for i in range(5)]
        try:
            numbers = segments.append(batch)
        except OSError as e:
            assert e.errno == 28, e  # littlefs has its own number
            full += 1
            break
        kept += [entry[1] for entry in batch[: len(numbers)]]
        n += 5
print(full, len(kept) > 50, segments.dropped)
print(read_all(segments) == kept, read_all(Segments("outbox", 1 << 20)) == kept)
segments.release([])
segments.append([record(n)])
print(read_all(segments) == [n], os.listdir("outbox"), segments.corrupt)
"""
    lines = run(micropython, tmp_path, LITTLEFS + source).splitlines()
    assert lines[:2] == ["4 True 0", "True True"]
    assert lines[2].startswith("True ['0000")
    assert lines[2].endswith("'] 0")


def test_rubbish_asks_for_no_memory_on_micropython(micropython: Interpreter, tmp_path: Path) -> None:
    source = """
os.mkdir("outbox")
for name, head in (("00000000", b"\\x00\\x03\\xff\\xf4"), ("00000001", b"\\xff" * 4), ("x", b""), ("0000001", b"")):
    with open("outbox/" + name, "wb") as file:
        file.write(head)
        for _ in range(256):
            file.write(b"y" * 1024)
segments = Segments("outbox", 1 << 20)
print(segments.append([record(1), record(2)]), read_all(segments), segments.corrupt)
segments.release([])
print(segments.empty, sorted(os.listdir("outbox")))
"""
    lines = run(micropython, tmp_path, LITTLEFS + source).splitlines()
    assert lines == ["[2, 2] [1, 2] 2", "True ['0000001', 'x']"]


def test_folder_called_as_a_segment_is_not_appended_to(micropython: Interpreter, tmp_path: Path) -> None:
    source = """
mounted(8)
os.mkdir("outbox")
os.mkdir("outbox/00000000")
segments = Segments("outbox", 1 << 20)
print(segments.append([record(1), record(2)]), read_all(segments), segments.corrupt)
"""
    assert run(micropython, tmp_path, LITTLEFS + source).splitlines() == ["[1, 1] [1, 2] 1"]


# Readings of 150 bytes, appended one by one (one a minute), or 28 at a time (one a second: when 4 KB are together).
@pytest.mark.parametrize(("count", "most"), [(1, 1.1), (28, 3.5)])
def test_wear_of_flash_matches_the_documentation(tmp_path: Path, count: int, most: float) -> None:
    source = f"""
flash = mounted(64)
segments = Segments("outbox", 65536)
for n in range(40):
    segments.append([record(i) for i in range({count})])
before = flash.erased
for n in range(200):
    segments.append([record(i) for i in range({count})])
print((flash.erased - before) / 200)
"""
    # With the 64-bit one: the flash does not fit into the heap of a board.
    assert float(run(need("alpn"), tmp_path, LITTLEFS + source)) <= most


def test_long_outage_in_little_memory_drops_the_oldest_on_micropython(micropython: Interpreter, tmp_path: Path) -> None:
    source = """
mounted(12)
segments = Segments("outbox", 16384)
for n in range(0, 1000, 10):
    segments.append([record(i) for i in range(n, n + 10)])
left = read_all(Segments("outbox", 16384))
print(left == list(range(left[0], 1000)), left[0] == segments.dropped, len(left) > 70)
taken = sum(os.stat("outbox/" + name)[6] for name in os.listdir("outbox"))
print(taken <= 16384, read_all(segments) == left, segments.corrupt)
segments.release([])
print(segments.empty, os.listdir("outbox"))
"""
    assert run(micropython, tmp_path, LITTLEFS + source).splitlines() == ["True True True", "True True 0", "True []"]
