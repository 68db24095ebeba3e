"""Segments against a plain list, on full flash and among foreign bytes, with steps that Hypothesis picks."""

import errno
import io
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443 import flash_log as module

from tests.firmware.flash_logs import FOREIGN, Record, encoded, opened, read_all, record, taken


class Model:
    """A list of the appended records with their segments; every step is applied to it and to the real segments."""

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
    """A flash that accepts a number of bytes and then refuses; what it accepted stays, as on FAT."""
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
def test_full_flash_keeps_the_first_records_and_returns_how_many(
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
def test_rubbish_is_not_a_record_and_does_no_harm(rubbish: dict[str, bytes | None], first: bool) -> None:
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
