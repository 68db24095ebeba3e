"""A board's files as a littlefs image for `mqtt443 flash --files`: everything that push would send.

The image has MicroPython's geometry, and the size of the board's file system.
"""

from collections.abc import Mapping
from pathlib import Path

from littlefs import LittleFS, LittleFSError
from mqtt443_authorizer.files import write_private

from mqtt443_tools.push.board_tree import Settings, folders
from mqtt443_tools.push.plan import PUSH_RECORD, push_record
from mqtt443_tools.support.errors import CommandError

BLOCK_BYTES = 4096
IO_BYTES = 32
"""Smallest read and write, as in MicroPython's VfsLfs2 (extmod/vfs_lfs.c)."""

DEFAULT_BLOCKS = 512
"""On a board with 4 MB of flash and a stock image: 2 MB."""


def contents(settings: Settings, own: Mapping[str, bytes], program: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return all files of a board: the program (board_tree.program), and its own (board_tree.own_files)."""
    return {**program, **own, PUSH_RECORD: push_record(settings, program)}


def image(files: Mapping[str, bytes], blocks: int) -> bytes:
    """Return a littlefs image.

    Args:
        files: content by path.
        blocks: size of the board's file system, in blocks of 4,096 bytes.

    Raises:
        CommandError: the files do not fit.
    """
    try:
        fs = LittleFS(block_size=BLOCK_BYTES, block_count=blocks, read_size=IO_BYTES, prog_size=IO_BYTES)
        for folder in folders(files):
            fs.mkdir(folder)
        for name, content in files.items():
            with fs.open(name, "wb") as file:
                file.write(content)
    except (LittleFSError, OSError) as error:
        raise CommandError(
            f"the files do not fit into {blocks} blocks of {BLOCK_BYTES:,} bytes: add --blocks with a larger number"
        ) from error
    return bytes(fs.context.buffer)


def write(path: Path, files: Mapping[str, bytes], blocks: int) -> int:
    """Write an image to a file that only its owner can read, because it holds a password; return its size in bytes.

    Raises CommandError.
    """
    data = image(files, blocks)
    try:
        write_private(path, data)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from error
    return len(data)
