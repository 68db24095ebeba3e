"""A virtual board in a test: its config, its flash, the lines it prints."""

import json
import re
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import VirtualBoard, lay_out

WAIT_S = 30.0


class Board:
    """A board under power; a context manager.

    Args:
        folder: an empty folder for its files.
        interpreter: what runs it.
        ca: the CA certificate it trusts, PEM.
        compiled: run the package as .mpy files.
        files: more of its files by name, such as sensors.py.
        world, environment, flash: see VirtualBoard; flash True puts its root on a block device.
        config: keys of its config.json.
    """

    def __init__(
        self,
        folder: Path,
        interpreter: Interpreter,
        ca: bytes,
        *,
        compiled: bool = False,
        world: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        flash: bool = False,
        files: dict[str, bytes] | None = None,
        **config: Any,
    ) -> None:
        self.lines: list[str] = []
        self._more = threading.Condition()
        root = folder / "root"
        root.mkdir(parents=True)
        (folder / "ca.pem").write_bytes(ca)
        config = {"endpoint": "localhost", "ca": "ca.pem", "interval_s": 1, **config}
        (folder / "config.json").write_text(json.dumps(config))
        lay_out(root, folder / "config.json", compiled=compiled)
        for name, content in (files or {}).items():
            (root / name).write_bytes(content)
        self.flash = folder / "flash.img" if flash else None
        self.interpreter = interpreter
        self.root = root
        self._world = world
        self._environment = environment
        self.virtual = self._make(world)

    def _make(self, world: dict[str, Any] | None) -> VirtualBoard:
        return VirtualBoard(
            self.interpreter, self.root, self._take, world=world, environment=self._environment, flash=self.flash
        )

    def __enter__(self) -> "Board":
        self.virtual.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.virtual.__exit__(kind, error, trace)

    def power_on(self, **world: Any) -> None:
        """Switch the power on again, after a power cut or once the board is at its prompt; `lines` starts empty.

        world: changes to the initial surroundings, for this start only.
        """
        self.virtual.__exit__(None, None, None)
        self.lines.clear()
        self.virtual = self._make({**(self._world or {}), **world})
        self.virtual.__enter__()

    def _take(self, line: str) -> None:
        with self._more:
            self.lines.append(line)
            self._more.notify_all()

    def wait_for(self, pattern: str, timeout_s: float = WAIT_S) -> str:
        """Return the first line that holds `pattern` (a regular expression); raises AssertionError if none comes."""
        deadline = time.monotonic() + timeout_s
        with self._more:
            seen = 0
            while True:
                for line in self.lines[seen:]:
                    if re.search(pattern, line):
                        return line
                seen = len(self.lines)
                if not self._more.wait(deadline - time.monotonic()):
                    raise AssertionError(f"the board never said {pattern!r}; it said:\n" + "\n".join(self.lines))
