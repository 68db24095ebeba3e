"""Flashing a board: every check first, then the question, then the one irreversible step. The library of `flash`."""

from collections.abc import Callable
from dataclasses import dataclass

from mqtt443_tools.flash.contents import held
from mqtt443_tools.flash.flash_errors import KeptError
from mqtt443_tools.flash.image import Bundle, Image, megabytes
from mqtt443_tools.flash.loader import AGAIN, Board
from mqtt443_tools.flash.partitions import file_system
from mqtt443_tools.support.console import Console


@dataclass(frozen=True)
class Flashed:
    """What was done, for scripts."""

    chip: str
    mac: str
    flash_bytes: int
    image: str
    sha256: str
    files: str | None
    erased: list[str]
    restarted: bool


def flash(
    board: Board,
    get_image: Callable[[str], Image],
    console: Console,
    *,
    files: Bundle | None = None,
) -> Flashed:
    """Put an image on a board, and a file system behind it if one is given.

    Args:
        board: connected, see `board.connect`.
        get_image: gives the image for a chip (ESP32-S3).
        console: for output, and to ask before files are erased.
        files: what MicroPython will find in its file system.

    Raises:
        FlashError: what went wrong; before WriteError nothing was erased.
    """
    console.say(f"{board.description}, {megabytes(board.flash_bytes)} of flash, MAC {board.mac}")
    image = get_image(board.chip)
    image.check(board)
    parts = [(board.image_offset, image.data)]
    if files is not None:
        room = file_system(image.partitions(board.image_offset), board.flash_bytes)
        parts.append((files.offset(room), files.data))
    erased = held(board.read, board.partitions(), board.flash_bytes)
    if erased:
        names = ", ".join(erased)
        if not console.confirm(f"This board holds {names}. Erase it?", f"erasing this board would delete {names}"):
            raise KeptError("nothing was erased")
    console.say(f"erasing the board, then writing {_named(image, files)}")
    try:
        with console.progress("writing") as advance:
            board.write(parts, advance)
    except KeyboardInterrupt:
        console.say(f"stopped halfway: the board holds no complete image now; {AGAIN}")
        raise
    console.say("verified: the flash holds what was sent")
    restarted = board.restart()
    console.say("the board restarts" if restarted else "press RESET (or EN) on the board: it did not restart by itself")
    return Flashed(
        chip=board.chip,
        mac=board.mac,
        flash_bytes=board.flash_bytes,
        image=image.name,
        sha256=image.sha256,
        files=None if files is None else files.name,
        erased=erased,
        restarted=restarted,
    )


def _named(image: Image, files: Bundle | None) -> str:
    text = f"{image.name} ({len(image.data):,} bytes, SHA-256 {image.sha256[:16]}…)"
    return text if files is None else f"{text} and {files.name} ({len(files.data):,} bytes)"
