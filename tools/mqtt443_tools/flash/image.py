"""Reads an image's headers, and checks that it fits a chip before anything is erased.

A MicroPython image is bootloader, partition table and application in one file, as in flash, starting at the chip's
boot offset. Format of the headers: esptool documentation, "Firmware Image Format".
"""

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mqtt443_tools.flash.flash_errors import ImageError
from mqtt443_tools.flash.partitions import APP, SECTOR_BYTES, TABLE_BYTES, TABLE_OFFSET, Partition, parse_table
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.read_file import read_file

MAGIC = 0xE9
HEADER = struct.Struct("<BBBBIB3sHBHH4sB")  # ends with hash_appended; 24 bytes
MAX_BYTES = 32 << 20  # larger than any flash
NO_MAX_REVISION = 0xFFFF

CHIPS = {"ESP32": 0, "ESP32-S2": 2, "ESP32-C3": 5, "ESP32-S3": 9, "ESP32-C2": 12, "ESP32-C6": 13, "ESP32-C5": 23}
"""Chip ids in an image's header; other chips are named by number."""


class Target(Protocol):
    """What an image must fit; `revision` is major times 100 plus minor, `image_offset` where its boot ROM looks."""

    chip: str
    chip_id: int
    revision: int
    image_offset: int
    flash_bytes: int


@dataclass(frozen=True)
class Image:
    """An image and what its first header says.

    `flash_bytes` is the flash it was built for, `min_revision` and `max_revision` the chips, as major times 100 plus
    minor.
    """

    name: str
    data: bytes = field(repr=False)
    chip_id: int
    flash_bytes: int
    min_revision: int
    max_revision: int

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    def partitions(self, image_offset: int) -> tuple[Partition, ...]:
        """Return its partition table, given the flash address of its first byte."""
        start = TABLE_OFFSET - image_offset
        return parse_table(self.data[start : start + TABLE_BYTES])

    def check(self, target: Target) -> None:
        """Raise ImageError if this image would not run on the target."""
        if self.chip_id != target.chip_id:
            raise ImageError(f"{self.name} is for {chip_name(self.chip_id)}, and this board has an {target.chip}")
        if not self.min_revision <= target.revision <= self.max_revision:
            raise ImageError(
                f"{self.name} is for revisions {_version(self.min_revision)} to {_version(self.max_revision)} of the "
                f"{target.chip}, and this one is {_version(target.revision)}: use another build"
            )
        if self.flash_bytes > target.flash_bytes:
            raise ImageError(
                f"{self.name} is built for {megabytes(self.flash_bytes)} of flash, and this board has "
                f"{megabytes(target.flash_bytes)}: use a build for smaller flash"
            )
        self._check_layout(target)

    def _check_layout(self, target: Target) -> None:
        """Check that all three parts are in place, and all partitions within the flash."""
        partitions = self.partitions(target.image_offset)
        app = next((partition for partition in partitions if partition.type == APP), None)
        if app is None:
            raise ImageError(
                f"{self.name} has no partition table at 0x{TABLE_OFFSET:x}: it is only a part of an image; "
                "use the whole (bootloader, partitions and application in one file)"
            )
        end = max(target.image_offset + len(self.data), *(partition.end for partition in partitions))
        if end > target.flash_bytes:
            raise ImageError(
                f"{self.name} takes {megabytes(end)} of flash, and this board has {megabytes(target.flash_bytes)}"
            )
        start = app.offset - target.image_offset
        if self.data[start : start + 1] != bytes([MAGIC]) or target.image_offset + len(self.data) > app.end:
            raise ImageError(f"{self.name} has no complete application at 0x{app.offset:x}: is the file damaged?")


@dataclass(frozen=True)
class Bundle:
    """A littlefs image with the files of a board, as `push --bundle` makes it."""

    name: str
    data: bytes = field(repr=False)

    def offset(self, room: Partition | None) -> int:
        """Return the address to write it to, where MicroPython will mount it.

        littlefs refuses a file system whose block count is not that of the partition (`lfs2_mount`), and MicroPython
        would then stop at every boot. littlefs SPEC.md, "Superblock": version, block size, block count.

        Args:
            room: where MicroPython keeps its files, see `partitions.file_system`.

        Raises:
            ImageError: it is not a littlefs image, or made for another size.
        """
        if room is None:
            raise ImageError(f"{self.name}: this image leaves no room for files on this board")
        blocks, has = littlefs_blocks(self.data), room.size // SECTOR_BYTES
        if blocks is None:
            raise ImageError(f"{self.name} is not a littlefs image")
        if blocks != has or len(self.data) > room.size:
            raise ImageError(
                f"{self.name} is made for {blocks} blocks of {SECTOR_BYTES} bytes, but with this image the board has "
                f"{has}: make it again with `mqtt443 push --bundle --blocks {has}`"
            )
        return room.offset


def read_bundle(path: Path) -> Bundle:
    """Return the files in a littlefs image; raises ImageError."""
    return Bundle(path.name, _read(path))


def read_image(path: Path) -> Image:
    """Return the image in a file; raises ImageError."""
    return parse_image(path.name, _read(path))


def _read(path: Path) -> bytes:
    """Return the content of a file that fits into some flash; raises ImageError."""
    try:
        return read_file(path, MAX_BYTES)
    except CommandError as error:
        raise ImageError(str(error)) from error


def parse_image(name: str, data: bytes) -> Image:
    """Return an image from its bytes; raises ImageError if they are not an image.

    Args:
        name: used in messages.
        data: the whole file.
    """
    if len(data) < HEADER.size or data[0] != MAGIC:
        raise ImageError(f"{name} is not an ESP32 image (it does not begin with 0x{MAGIC:02x})")
    fields = HEADER.unpack_from(data)
    size_code, chip_id, min_revision, max_revision = fields[3] >> 4, fields[7], fields[9], fields[10]
    return Image(name, data, chip_id, (1 << 20) << size_code, min_revision, max_revision or NO_MAX_REVISION)


def littlefs_blocks(data: bytes) -> int | None:
    """Return the block count in a littlefs superblock of 4,096-byte blocks; None if there is no superblock."""
    if data[8:16] != b"littlefs" or len(data) < SECTOR_BYTES:
        return None
    _version, block_bytes, count = struct.unpack_from("<III", data, 20)
    return count if block_bytes == SECTOR_BYTES else None


def chip_name(chip_id: int) -> str:
    """Return the name of the chip with this id, such as ESP32-S3."""
    return next((name for name, number in CHIPS.items() if number == chip_id), f"a chip with id {chip_id}")


def _version(revision: int) -> str:
    return "any" if revision == NO_MAX_REVISION else f"v{revision // 100}.{revision % 100}"


def megabytes(size: int) -> str:
    """Return a size in bytes for people, such as 4 MB."""
    return f"{size / (1 << 20):.4g} MB"
