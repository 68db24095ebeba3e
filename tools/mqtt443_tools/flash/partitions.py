"""The partition table of an ESP32's flash, and where MicroPython keeps its files.

Format: ESP-IDF Programming Guide, "Partition Tables": at 0x8000, entries of 32 bytes that begin with AA 50, ended by
an MD5 entry (EB EB) or by erased flash.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

TABLE_OFFSET = 0x8000
TABLE_BYTES = 0xC00
SECTOR_BYTES = 4096

APP, DATA = 0x00, 0x01
FILE_SUBTYPES = frozenset({0x81, 0x82, 0x83})
"""Data subtypes for file systems: FAT (MicroPython's littlefs also goes by it), SPIFFS, littlefs."""
FILE_LABELS = ("vfs", "ffat")
"""The partitions that MicroPython mounts (ports/esp32/modules/flashbdev.py)."""

_ENTRY = struct.Struct("<2sBBII16sI")
_MAGIC = b"\xaa\x50"


@dataclass(frozen=True)
class Partition:
    """A part of the flash: its `type` and `subtype` in ESP-IDF's numbers, `offset` and `size` in bytes, its `label`."""

    type: int
    subtype: int
    offset: int
    size: int
    label: str

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.size


def parse_table(table: bytes) -> tuple[Partition, ...]:
    """Return the partitions of a table, up to the first entry that is not one; empty if there is no table."""
    partitions = []
    for start in range(0, min(len(table), TABLE_BYTES) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, subtype, offset, size, label, _flags = _ENTRY.unpack_from(table, start)
        if magic != _MAGIC:
            break
        partitions.append(Partition(kind, subtype, offset, size, label.rstrip(b"\0").decode("ascii", "replace")))
    return tuple(partitions)


def file_system(partitions: Sequence[Partition], flash_bytes: int) -> Partition | None:
    """Return where MicroPython keeps its files, None if there is no room for any.

    Up to 1.25 that is the partition "vfs"; since 1.26 most images have none, and MicroPython uses all flash after
    the last partition (`ports/esp32/main.c`).

    Args:
        partitions: the table; empty if there is none.
        flash_bytes: size of the flash chip.
    """
    for label in FILE_LABELS:
        for partition in partitions:
            if partition.type == DATA and partition.label == label:
                return partition
    end = max((partition.end for partition in partitions), default=flash_bytes)
    if end >= flash_bytes:
        return None
    return Partition(DATA, 0x81, end, flash_bytes - end, FILE_LABELS[0])
