"""Segments against a plain list: what was appended is read once, in order, within the bound, whatever is in the way."""

import errno
import io
import os
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443 import flash_log as module
from mqtt443.flash_log import Segments
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need

SEGMENT_BYTES = 4096
FOREIGN = ["0000001", "notes.txt", "\u0660" * 8]  # eight digits, too, but not ours
Record = tuple[bytes, int]


def record(number: int, size: int = 150) -> Record:
    return b"%d " % number + b"x" * size, number


def encoded(payload: bytes, expires: int) -> bytes:
    body = struct.pack(">I", expires) + payload
    return struct.pack(">II", len(payload), zlib.crc32(body)) + body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def opened(folder: Path, max_bytes: int = 65536) -> Segments:
    return Segments(str(folder), max_bytes)


def read_all(segments: Segments) -> list[Record]:
    found = []
    while (entry := segments.next()) is not None:
        found.append(entry[:2])
    return found


def taken(folder: Path) -> int:
    """Bytes in all segments."""
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def test_a_record_lies_on_flash_as_documented(folder: Path) -> None:
    opened(folder).append([(b"hello", 7), (b"", 0)])
    assert (folder / "00000000").read_bytes() == encoded(b"hello", 7) + encoded(b"", 0)


def test_nothing_is_made_before_the_first_append(folder: Path) -> None:
    segments = opened(folder)
    assert segments.empty
    assert segments.next() is None
    segments.release([])
    assert not folder.exists()


def test_a_record_larger_than_a_segment_has_one_of_its_own(folder: Path) -> None:
    records = [record(1), record(2, 20000), record(3)]
    assert opened(folder).append(records) == [0, 1, 2]
    assert read_all(opened(folder)) == records


def test_a_record_larger_than_the_bound_is_refused_and_costs_nothing(folder: Path) -> None:
    segments = opened(folder, 2000)
    segments.append([record(1)])
    with pytest.raises(OSError, match="a record of 3014 bytes"):
        segments.append([record(2, 3000)])
    assert (read_all(segments), segments.dropped) == ([record(1)], 0)


def test_records_before_one_that_is_refused_are_kept(folder: Path) -> None:
    segments = opened(folder, 2000)
    assert segments.append([record(1), record(2), record(3, 3000), record(4)]) == [0, 0]
    assert read_all(segments) == [record(1), record(2)]


def test_a_start_looks_at_no_contents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder).append([record(n) for n in range(100)])
    monkeypatch.setattr(module, "open", None, raising=False)
    assert not opened(folder).empty


def test_after_a_restart_reading_starts_with_the_oldest_segment_that_is_left(folder: Path) -> None:
    segments = opened(folder)
    numbers = segments.append([record(n) for n in range(60)])
    for _ in range(numbers.count(0) + 3):
        segments.next()
    segments.release([])
    assert read_all(opened(folder)) == [record(n) for n in range(60) if numbers[n] > 0]


def test_a_segment_with_something_in_flight_stays(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(n) for n in range(60)])
    read_all(segments)
    segments.release([1])
    assert [path.name for path in folder.iterdir()] == ["00000001"]
    segments.release([])
    assert segments.empty


def test_what_is_appended_behind_a_segment_in_flight_is_read(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(n) for n in range(60)])
    read_all(segments)
    segments.release([0])  # those after it are gone, and it takes more
    segments.append([record(60)])
    assert read_all(segments) == [record(60)]


def test_what_is_in_flight_already_is_not_read_but_kept(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(1), record(2), record(3)], 2)
    assert read_all(segments) == [record(3)]
    assert read_all(opened(folder)) == [record(1), record(2), record(3)]


def test_what_is_in_flight_and_taken_only_in_part_is_not_read(folder: Path) -> None:
    segments = opened(folder, 2000)
    assert segments.append([record(1), record(2), record(3, 3000)], 3) == [0, 0]
    assert segments.next() is None


def test_records_behind_a_torn_one_are_given_up_and_no_new_ones_come_behind_it(folder: Path) -> None:
    opened(folder).append([record(1), record(2)])
    path = folder / "00000000"
    path.write_bytes(path.read_bytes()[:-1])
    segments = opened(folder)
    assert segments.append([record(3)]) == [1]
    assert read_all(segments) == [record(1), record(3)]
    assert segments.corrupt == 1


def test_every_single_bit_is_covered_by_the_checksum(folder: Path) -> None:
    opened(folder).append([(b"some data", 1793491200)])
    whole = (folder / "00000000").read_bytes()
    for bit in range(len(whole) * 8):
        torn = bytearray(whole)
        torn[bit // 8] ^= 1 << bit % 8
        (folder / "00000000").write_bytes(torn)
        segments = opened(folder)
        assert (segments.next(), segments.corrupt) == (None, 1), f"bit {bit}"


def test_a_segment_that_cannot_be_removed_is_read_again_after_a_restart_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments = opened(folder)
    segments.append([record(1)])
    read_all(segments)
    with monkeypatch.context() as patch:
        patch.setattr(os, "remove", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "worn")))
        segments.release([])
    assert segments.empty
    segments.append([record(2)])
    assert read_all(segments) == [record(2)]
    assert read_all(opened(folder)) == [record(1), record(2)]


def test_segments_that_vanish_end_nothing(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(n) for n in range(60)])
    for path in folder.iterdir():
        path.unlink()
    assert read_all(segments) == []
    segments.append([record(60)])
    assert read_all(segments) == [record(60)]


def test_a_bound_that_was_lowered_holds_from_the_next_append_on(folder: Path) -> None:
    opened(folder).append([record(n) for n in range(200)])
    segments = opened(folder, 5000)
    segments.append([record(200)])
    assert taken(folder) <= 5000
    left = read_all(segments)
    assert left == [record(n) for n in range(201 - len(left), 201)]
    assert segments.dropped == 201 - len(left)


def test_foreign_names_hide_no_segment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder).append([record(1)])
    monkeypatch.setattr(os, "listdir", lambda _: [*FOREIGN, "9", "+0000009", "00000000"])
    assert read_all(opened(folder)) == [record(1)]


@pytest.mark.parametrize("size", [0, 2**31 - 1])
def test_the_size_that_littlefs_makes_up_for_a_folder_is_not_believed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (folder / "00000000").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda _: (0x4000, 0, 0, 0, 0, 0, size, 0, 0, 0))
        segments = opened(folder, 20000)
    assert segments.append([record(1)]) == [1]
    assert (folder / "00000000").is_dir()


def test_only_the_first_append_after_a_start_reads_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder).append([record(1), record(2)])
    segments = opened(folder)
    modes: list[str] = []

    def counted(path: str, mode: str) -> Any:
        modes.append(mode)
        return io.FileIO(path, mode)

    monkeypatch.setattr(module, "open", counted, raising=False)
    segments.append([record(3)])
    assert modes == ["rb", "rb", "ab"]
    segments.append([record(4)])
    assert modes == ["rb", "rb", "ab", "ab"]


class Model:
    """A list of what was appended, each record with its segment; steps are done to it and to the segments alike."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self.count = 0
        self.unread: list[tuple[Record, int]] = []
        self.read: list[tuple[Record, int]] = []
        self.segments = opened(folder, max_bytes)

    def append(self, sizes: list[int], sent: int) -> None:
        records = [record(self.count + n, size) for n, size in enumerate(sizes)]
        sent = 0 if self.unread else min(sent, len(records))
        self.count += len(records)
        before = taken(self.folder)
        numbers = self.segments.append(records, sent)
        assert len(numbers) == len(records)
        new = list(zip(records, numbers, strict=True))
        self.read += new[:sent]
        self.unread += new[sent:]
        here = {int(path.name) for path in self.folder.glob("*")}
        gone = [entry for entry in self.unread if entry[1] not in here]
        assert self.unread[: len(gone)] == gone, "not the oldest were dropped"
        assert self.segments.dropped == len(gone)
        self.segments.dropped = 0
        self.unread = self.unread[len(gone) :]
        self.read = [entry for entry in self.read if entry[1] in here]
        if before + sum(len(encoded(*entry)) for entry in records) <= self.max_bytes:
            assert taken(self.folder) >= before, "dropped without need"

    def next(self) -> None:
        entry = self.segments.next()
        if not self.unread:
            assert entry is None
        else:
            self.read.append(self.unread.pop(0))
            assert entry is not None
            assert ((entry[0], entry[1]), entry[2]) == self.read[-1]

    def release(self, in_flight: set[int]) -> None:
        self.segments.release(in_flight)
        keep = in_flight | {number for _, number in self.unread}
        self.read = [entry for entry in self.read if entry[1] in keep]
        assert {int(path.name) for path in self.folder.glob("*")} == {number for _, number in self.read + self.unread}
        assert self.segments.empty == (not self.read and not self.unread)

    def restart(self) -> None:
        self.segments = opened(self.folder, self.max_bytes)
        self.unread = self.read + self.unread
        self.read = []


SIZES = st.integers(0, 300) | st.sampled_from([2000, 4000, 4078, 4084, 4090, 5000])
STEPS = st.one_of(
    st.tuples(st.just("append"), st.lists(SIZES, min_size=1, max_size=30), st.integers(0, 8)),
    st.tuples(st.just("next"), st.integers(1, 40)),
    st.tuples(st.just("release"), st.sets(st.integers(0, 5), max_size=2)),
    st.tuples(st.just("restart")),
)


@settings(deadline=None)
@given(max_bytes=st.integers(5100, 20000), steps=st.lists(STEPS, max_size=25))
def test_any_sequence_of_steps_does_what_a_list_would_do(max_bytes: int, steps: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as parent:
        model = Model(Path(parent) / "outbox", max_bytes)
        for word, *arguments in steps:
            if word == "next":
                for _ in range(arguments[0]):
                    model.next()
            else:
                getattr(model, word)(*arguments)
            assert taken(model.folder) <= max_bytes
        model.restart()
        for _ in range(len(model.unread) + 1):
            model.next()
        assert model.segments.corrupt == 0
        model.release(set())
        assert model.segments.empty


@contextmanager
def limited_flash(limit: int) -> Iterator[None]:
    """A flash that takes so many bytes more, then refuses; what it took stays, as on FAT."""
    left = limit

    class Limited(io.FileIO):
        def write(self, data: Any) -> int:
            nonlocal left
            taken = min(left, len(data))
            super().write(bytes(data)[:taken])
            left -= taken
            if taken < len(data):
                raise OSError(errno.ENOSPC, "no space left")
            return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open", Limited, raising=False)
        yield


@settings(deadline=None)
@given(
    limits=st.lists(st.integers(0, 9000), max_size=6),
    sizes=st.lists(SIZES, min_size=1, max_size=60),
    before=st.integers(0, 30),
    sent=st.integers(0, 8),
)
def test_a_full_flash_keeps_the_first_records_and_tells_how_many(
    limits: list[int], sizes: list[int], before: int, sent: int
) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "outbox"
        segments = opened(folder, 1 << 20)
        if before:
            segments.append([record(1000 + n) for n in range(before)])
            assert len(read_all(segments)) == before
        records = [record(n, size) for n, size in enumerate(sizes)]
        kept = 0
        for limit in limits:
            with limited_flash(limit):
                try:
                    kept += len(segments.append(records[kept:], max(sent - kept, 0)))
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        segments.append(records[kept:], max(sent - kept, 0))
        assert read_all(segments) == records[sent:]
        assert (segments.corrupt, segments.dropped) == (0, 0)
        # What was half taken may come again after a restart on such a flash, but nothing is missing or torn.
        again = read_all(opened(folder, 1 << 20))
        assert [entry for entry in dict.fromkeys(again) if entry in records] == list(dict.fromkeys(records))


NAMES = ["00000000", "00000001", "00000007", "99999999", "100000000", "-0000001", *FOREIGN]
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.integers(0, 5000).map(bytes),
    st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=5000)).map(lambda v: struct.pack(">I", v[0]) + v[1]),
    st.binary(max_size=100).map(lambda tail: encoded(b"whole", 5) + tail),
    st.none(),  # a folder
)


@settings(deadline=None)
@given(rubbish=st.dictionaries(st.sampled_from(NAMES), CONTENTS), first=st.booleans())
def test_rubbish_is_no_record_and_in_nobodys_way(rubbish: dict[str, bytes | None], first: bool) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "outbox"
        folder.mkdir()
        for name, data in rubbish.items():
            if data is None:
                (folder / name).mkdir()
            else:
                (folder / name).write_bytes(data)
        segments = opened(folder)
        mine = [record(n) for n in range(40)]
        if first:
            segments.append(mine)
            found = read_all(segments)
        else:
            found = read_all(segments)
            segments.append(mine)
            found += read_all(segments)
        assert found[-40:] == mine
        assert set(found[:-40]) <= {(b"whole", 5)}
        segments.release([])
        assert segments.empty
        left = {path.name for path in folder.iterdir()}
        assert left >= {name for name in rubbish if name in FOREIGN}


# On real MicroPython, on a littlefs in memory that counts what it erases.
LITTLEFS = """
import os, vfs
from mqtt443.flash_log import Segments

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
            self.data[argument] = bytearray(b"\\xff" * 4096)
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


def test_a_full_littlefs_keeps_all_that_it_took(micropython: Interpreter, tmp_path: Path) -> None:
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


def test_a_folder_called_as_a_segment_is_not_appended_to(micropython: Interpreter, tmp_path: Path) -> None:
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
def test_wear_of_flash_is_what_the_documentation_says(tmp_path: Path, count: int, most: float) -> None:
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


def test_a_long_outage_in_little_memory_drops_the_oldest_on_micropython(
    micropython: Interpreter, tmp_path: Path
) -> None:
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
