"""esptool with its output redirected: the one place that imports it, so that our logger is installed first.

Some classes of esptool bind the logger when they are imported. Ours passes on the progress, and everything else only
with `--verbose`.
"""

import threading
from collections.abc import Callable
from typing import Any

from esp_pylib.logger import EspLog, EspLogBase
from rich.text import Text

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


class Relay(EspLogBase):
    """The logger that esptool gets; `log` takes its lines, `progress_to` its progress, either may be None.

    Each thread has its own of both, as several boards may be flashed at once.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @property
    def log(self) -> Callable[[str], None] | None:
        """What takes esptool's lines."""
        return getattr(self._of_thread, "log", None)

    @log.setter
    def log(self, log: Callable[[str], None] | None) -> None:
        self._of_thread.log = log

    @property
    def progress_to(self) -> Progress | None:
        """What takes the progress of a write."""
        return getattr(self._of_thread, "progress_to", None)

    @progress_to.setter
    def progress_to(self, progress: Progress | None) -> None:
        self._of_thread.progress_to = progress

    def print(self, *args: Any, **_: Any) -> None:
        """Pass on a line."""
        if self.log is not None:
            line = Text.from_markup(" ".join(str(arg) for arg in args)).plain.strip()
            if line:
                self.log(line)

    def err(self, *args: Any, suggestion: str | None = None) -> None:  # noqa: ARG002 - the base class's
        """Pass on an error."""
        self.print(*args)

    def warn(self, *args: Any, suggestion: str | None = None) -> None:  # noqa: ARG002 - the base class's
        """Pass on a warning."""
        self.print(*args)

    def note(self, *args: Any) -> None:
        """Pass on a note."""
        self.print(*args)

    def hint(self, *args: Any) -> None:
        """Pass on a hint."""
        self.print(*args)

    def debug(self, *args: Any) -> None:
        """Drop what only esptool's makers need."""

    def set_verbosity(self, mode: int | str) -> None:
        """Ignore: `log` is the verbosity."""

    def progress_bar(
        self,
        cur_iter: int,
        total_iters: int,
        prefix: str = "",  # noqa: ARG002 - the base class's
        suffix: str = "",  # noqa: ARG002
        bar_length: int = 30,  # noqa: ARG002
    ) -> None:
        """Pass on how far a write is."""
        if self.progress_to is not None:
            self.progress_to(cur_iter, total_iters)


RELAY = Relay()
EspLog.instance = RELAY

import esptool.cmds as cmds  # noqa: E402, PLR0402 - binds the logger that it finds
from esptool.util import FatalError, flash_size_bytes  # noqa: E402

__all__ = ["RELAY", "FatalError", "Progress", "cmds", "flash_size_bytes"]
