"""Flashing a board: every check first, then the question, then the one irreversible step. The library of `flash`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from mqtt443_tools.flash.contents import held
from mqtt443_tools.flash.image import Bundle, Image, megabytes
from mqtt443_tools.flash.loader import AGAIN, Board
from mqtt443_tools.flash.partitions import file_system

NEXT = "mqtt443 device add NAME --out config.json, then mqtt443 push"
NEXT_WITH_FILES = "mqtt443 monitor"


class View(Protocol):
    """Who is told and asked, see `screen.Screen`."""

    def say(self, line: str) -> None:
        """Tell what happens."""

    def writing(self) -> AbstractContextManager[None]:
        """Show progress for the time of the block."""

    def progress(self, done: int, total: int) -> None:
        """Tell how far a part is."""

    def ask_erase(self, files: Sequence[str]) -> None:
        """Ask whether files may go; raises CommandError if not."""


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
    view: View,
    *,
    files: Bundle | None = None,
    ask: bool = True,
) -> Flashed:
    """Put an image on a board, and a file system behind it if one is given.

    Args:
        board: connected, see `board.connect`.
        get_image: gives the image for a chip (ESP32-S3).
        view: who is told and asked.
        files: what MicroPython is to find in its file system.
        ask: False to erase files without a question.

    Raises:
        FlashError: what went wrong; before WriteError nothing was erased.
    """
    view.say(f"{board.description}, {megabytes(board.flash_bytes)} of flash, MAC {board.mac}")
    image = get_image(board.chip)
    image.check(board)
    parts = [(board.image_offset, image.data)]
    if files is not None:
        room = file_system(image.partitions(board.image_offset), board.flash_bytes)
        parts.append((files.offset(room), files.data))
    erased = held(board.read, board.partitions(), board.flash_bytes)
    if erased and ask:
        view.ask_erase(erased)
    view.say(f"erasing the board, then writing {_named(image, files)}")
    try:
        with view.writing():
            board.write(parts, view.progress)
    except KeyboardInterrupt:
        view.say(f"stopped in the middle, so the board holds no whole image now; {AGAIN}")
        raise
    view.say("verified: the flash holds what was sent")
    restarted = board.restart()
    view.say("the board restarts" if restarted else "press RESET (or EN) on the board: it did not restart by itself")
    view.say(f"next: {NEXT if files is None else NEXT_WITH_FILES}")
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
