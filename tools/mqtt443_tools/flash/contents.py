"""Lists the files on a board, so that a command can ask before it erases them. Reads only; knows no ports.

Reads only the blocks of the root folder: the whole file system would take minutes over a serial line.
"""

from collections.abc import Callable, Sequence
from itertools import islice

from littlefs import LFSStat, LittleFS, LittleFSError, UserContext
from littlefs.lfs import LFSConfig

from mqtt443_tools.flash.flash_errors import FlashError
from mqtt443_tools.flash.image import littlefs_blocks
from mqtt443_tools.flash.partitions import DATA, FILE_SUBTYPES, SECTOR_BYTES, Partition, file_system
from mqtt443_tools.support.printable import printable

MAX_NAMES = 12
IO_ERROR = LittleFSError.Error.LFS_ERR_IO
Read = Callable[[int, int], bytes]
"""Reads flash: address and size in bytes; raises FlashError."""


def held(read: Read, partitions: Sequence[Partition], flash_bytes: int) -> list[str]:
    """Return the names of what a board's file systems hold; empty if nothing.

    Args:
        read: reads its flash.
        partitions: the board's table; if it is empty there is nothing to find.
        flash_bytes: size of its flash.

    Raises:
        FlashError: the board cannot be read.
    """
    places = {p for p in partitions if p.type == DATA and p.subtype in FILE_SUBTYPES}
    mounted = file_system(partitions, flash_bytes)
    if mounted is not None:
        places.add(mounted)
    found: list[str] = []
    for place in sorted(places, key=lambda partition: partition.offset):
        if place.end <= flash_bytes:
            found += _in_partition(read, place)
    return found


def _in_partition(read: Read, place: Partition) -> list[str]:
    head = read(place.offset, min(2 * SECTOR_BYTES, place.size))
    if not head.strip(b"\xff"):
        return []
    copies = (head[:SECTOR_BYTES], head[SECTOR_BYTES:])  # the superblock is kept twice, one may be half written
    if any(littlefs_blocks(copy) is not None for copy in copies):
        names = _names(_OnBoard(read, place))
        if names is not None:
            return names
    return [f"data in partition {printable(place.label)} that is not a readable littlefs"]


def _names(flash: "_OnBoard") -> list[str] | None:
    """Return the names in the root folder, or None if the file system is broken."""
    fs = LittleFS(flash, mount=False, block_size=SECTOR_BYTES, block_count=0)  # 0: the count in the superblock
    try:
        fs.mount()
        entries = list(islice(fs.scandir("/"), MAX_NAMES + 1))
    except (LittleFSError, UnicodeDecodeError):
        if flash.failure is not None:
            raise flash.failure from None
        return None
    names = [printable(entry.name) + "/" * (entry.type == LFSStat.TYPE_DIR) for entry in entries]
    return names if len(names) <= MAX_NAMES else [*names[:MAX_NAMES], "and more"]


class _OnBoard(UserContext):
    """Gives littlefs the board's flash block by block, reads each once, and never writes.

    littlefs is C and loses exceptions, so the first is kept in `failure`, and littlefs gets zeros.
    """

    def __init__(self, read: Read, place: Partition) -> None:
        super().__init__(buffer=bytearray())
        self.failure: FlashError | None = None
        self._read, self._place = read, place
        self._blocks: dict[int, bytes] = {}

    def read(self, cfg: LFSConfig, block: int, off: int, size: int) -> bytearray:  # noqa: ARG002 - littlefs calls it
        """Read from one block."""
        is_inside = block < self._place.size // SECTOR_BYTES
        if is_inside and block not in self._blocks and self.failure is None:
            try:
                self._blocks[block] = self._read(self._place.offset + block * SECTOR_BYTES, SECTOR_BYTES)
            except FlashError as error:
                self.failure = error
        return bytearray(self._blocks.get(block, bytes(SECTOR_BYTES))[off : off + size])

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:  # noqa: ARG002
        """Refuse: this only reads."""
        return IO_ERROR

    def erase(self, cfg: LFSConfig, block: int) -> int:  # noqa: ARG002
        """Refuse: this only reads."""
        return IO_ERROR
