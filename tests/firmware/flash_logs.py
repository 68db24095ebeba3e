"""Segments on CPython's file system, as the tests of `mqtt443.flash_log` share them."""

import struct
import zlib
from pathlib import Path

from mqtt443.flash_log import Segments

SEGMENT_BYTES = 4096
FOREIGN = ["0000001", "notes.txt", "\u0660" * 8]  # eight digits, too, but not ours
Record = tuple[bytes, int]


def record(number: int, size: int = 150) -> Record:
    return b"%d " % number + b"x" * size, number


def encoded(payload: bytes, expires: int) -> bytes:
    body = struct.pack(">I", expires) + payload
    return struct.pack(">II", len(payload), zlib.crc32(body)) + body


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
