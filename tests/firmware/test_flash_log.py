"""Segments: appended records are read once and in order, within the bound, whatever fails."""

import errno
import io
import os
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import flash_log as module

from tests.firmware.flash_logs import FOREIGN, encoded, opened, read_all, record, taken


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "outbox"


def test_record_lies_on_flash_as_documented(folder: Path) -> None:
    opened(folder).append([(b"hello", 7), (b"", 0)])
    assert (folder / "00000000").read_bytes() == encoded(b"hello", 7) + encoded(b"", 0)


def test_nothing_is_made_before_the_first_append(folder: Path) -> None:
    segments = opened(folder)
    assert segments.empty
    assert segments.next() is None
    segments.release([])
    assert not folder.exists()


def test_record_larger_than_a_segment_has_one_of_its_own(folder: Path) -> None:
    records = [record(1), record(2, 20000), record(3)]
    assert opened(folder).append(records) == [0, 1, 2]
    assert read_all(opened(folder)) == records


def test_oversized_record_is_refused_without_side_effects(folder: Path) -> None:
    segments = opened(folder, 2000)
    segments.append([record(1)])
    with pytest.raises(OSError, match="a record of 3014 bytes"):
        segments.append([record(2, 3000)])
    assert (read_all(segments), segments.dropped) == ([record(1)], 0)


def test_records_before_one_that_is_refused_are_kept(folder: Path) -> None:
    segments = opened(folder, 2000)
    assert segments.append([record(1), record(2), record(3, 3000), record(4)]) == [0, 0]
    assert read_all(segments) == [record(1), record(2)]


def test_start_looks_at_no_contents(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder).append([record(n) for n in range(100)])
    monkeypatch.setattr(module, "open", None, raising=False)
    assert not opened(folder).empty


def test_restart_reads_the_oldest_remaining_segment_first(folder: Path) -> None:
    segments = opened(folder)
    numbers = segments.append([record(n) for n in range(60)])
    for _ in range(numbers.count(0) + 3):
        segments.next()
    segments.release([])
    assert read_all(opened(folder)) == [record(n) for n in range(60) if numbers[n] > 0]


def test_segment_with_something_in_flight_stays(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(n) for n in range(60)])
    read_all(segments)
    segments.release([1])
    assert [path.name for path in folder.iterdir()] == ["00000001"]
    segments.release([])
    assert segments.empty


def test_records_appended_after_a_segment_in_flight_are_read(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(n) for n in range(60)])
    read_all(segments)
    segments.release([0])  # those after it are gone, and it takes more
    segments.append([record(60)])
    assert read_all(segments) == [record(60)]


def test_records_in_flight_are_kept_but_not_read(folder: Path) -> None:
    segments = opened(folder)
    segments.append([record(1), record(2), record(3)], 2)
    assert read_all(segments) == [record(3)]
    assert read_all(opened(folder)) == [record(1), record(2), record(3)]


def test_partly_appended_records_in_flight_are_not_read(folder: Path) -> None:
    segments = opened(folder, 2000)
    assert segments.append([record(1), record(2), record(3, 3000)], 3) == [0, 0]
    assert segments.next() is None


def test_torn_record_ends_its_segment(folder: Path) -> None:
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


def test_undeletable_segment_is_reread_only_after_a_restart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_bound_that_was_lowered_holds_from_the_next_append_on(folder: Path) -> None:
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
def test_folder_size_reported_by_littlefs_is_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    (folder / "00000000").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda _: (0x4000, 0, 0, 0, 0, 0, size, 0, 0, 0))
        segments = opened(folder, 20000)
    assert segments.append([record(1)]) == [1]
    assert (folder / "00000000").is_dir()


def test_only_the_first_append_after_a_start_reads_the_segment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_record_that_does_not_fit_into_memory_is_skipped_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class File(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if size == 2000:
                raise MemoryError
            return super().read(size)

    module.Segments(str(tmp_path), 65536).append([(b"1", 0), (b"2" * 2000, 0), (b"3", 0)])
    monkeypatch.setattr(module, "open", lambda name, _: File(Path(name).read_bytes()), raising=False)
    log = module.Segments(str(tmp_path), 65536)
    assert [record[0] for record in iter(log.next, None)] == [b"1", b"3"]
    assert (log.dropped, log.corrupt) == (1, 0)
