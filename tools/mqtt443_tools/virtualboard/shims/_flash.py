"""A board's flash: a littlefs on a block device that is a file of the host, so that a power cut is a real one.

Nothing is cached here: what a write returned from is in the file, as on a chip. Keys of world.json:
`power_cut_at_write` (the n-th write since a start is torn in the middle, and the power is gone; it comes back at once
unless `power_returns` is False), `power_cut_in_start` (the number of the start that this is about, from 1; without it,
every one).
"""

import os

import _world
import vfs

BLOCK_BYTES = 4096
BLOCKS = 192
FOLDER = "/flash"
ERASED = b"\xff" * 256  # a whole block at once would take heap that a chip's driver does not

_IOCTL_BLOCK_COUNT = 4
_IOCTL_BLOCK_SIZE = 5
_IOCTL_BLOCK_ERASE = 6


class Flash:
    """The extended block device that VfsLfs2 wants, over the file `path`."""

    def __init__(self, path):
        self._file = open(path, "r+b")
        self._writes = 0

    def readblocks(self, number, buffer, offset=0):
        """Fill `buffer` from block `number`."""
        self._file.seek(number * BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        """Program `buffer` into block `number`, which littlefs has erased before."""
        self._writes += 1
        self._file.seek(number * BLOCK_BYTES + offset)
        if _world.look("power_cut_at_write", 0) == self._writes and _world.look("power_cut_in_start", 0) in (
            0,
            _world.look("start", 0),
        ):
            self._file.write(memoryview(buffer)[: len(buffer) // 2])
            _world.tell(b"power_cut\n")
            _world.wait_for_the_end()
        self._file.write(buffer)

    def ioctl(self, operation, argument):
        """Answer what VfsLfs2 asks a block device."""
        if operation == _IOCTL_BLOCK_COUNT:
            return BLOCKS
        if operation == _IOCTL_BLOCK_SIZE:
            return BLOCK_BYTES
        if operation == _IOCTL_BLOCK_ERASE:
            self._file.seek(argument * BLOCK_BYTES)
            for _ in range(BLOCK_BYTES // len(ERASED)):
                self._file.write(ERASED)
        return 0


def mount(path):
    """Mount the flash in the file `path` and work in it; a new one gets what is in the working directory."""
    new = path.rpartition("/")[2] not in os.listdir(path.rpartition("/")[0])
    if new:
        with open(path, "wb") as file:
            for _ in range(BLOCKS):
                file.write(b"\xff" * BLOCK_BYTES)
    flash = Flash(path)
    if new:
        vfs.VfsLfs2.mkfs(flash)
    vfs.mount(vfs.VfsLfs2(flash), FOLDER)
    if new:
        _copy(".", FOLDER)
    os.chdir(FOLDER)


def _copy(source, target):
    for name, kind, *_ in os.ilistdir(source):
        if kind == 0x4000:
            os.mkdir(target + "/" + name)
            _copy(source + "/" + name, target + "/" + name)
        else:
            with open(source + "/" + name, "rb") as data, open(target + "/" + name, "wb") as copy:
                while True:
                    piece = data.read(512)
                    if not piece:
                        break
                    copy.write(piece)
