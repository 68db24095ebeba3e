"""The record of a factory run: one CSV line for each event, appended whole, so that a run can be resumed anywhere.

An incomplete line (after a power cut) is ignored, and terminated before the next line.
"""

import csv
import io
import os
import threading
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.read_file import read_file

MAX_BYTES = 64 * 1024 * 1024
STARTED, OK, FAILED = "started", "ok", "failed"


@dataclass(frozen=True)
class Entry:
    """One event.

    Attributes:
        time: ISO 8601, UTC.
        client_id: of the device.
        mac: of the board.
        port: where the board was.
        result: `started` before the device is registered, then `ok` or `failed`.
        detail: why it failed.
    """

    time: str
    client_id: str
    mac: str
    port: str
    result: str
    detail: str = ""


HEADER = tuple(field.name for field in fields(Entry))


class Record:
    """The file of a run. Raises CommandError if it cannot be read, or is another file.

    Args:
        path: of the file; made if it is missing.

    `entries` are those of earlier runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self.entries: list[Entry] = []
        try:
            content = read_file(path, MAX_BYTES) if path.exists() else b""
        except CommandError as error:
            raise CommandError(f"{error}; choose another with --record") from error
        whole = content[: content.rfind(b"\n") + 1]
        try:
            rows = list(csv.reader(io.StringIO(whole.decode("utf-8", "replace"), newline="")))
        except csv.Error:
            rows = [[]]
        if rows and tuple(rows[0]) != HEADER:
            raise CommandError(f"{path}: not the record of a factory run; choose another with --record")
        self.entries = [Entry(*row) for row in rows[1:] if len(row) == len(HEADER)]
        if not rows:
            self._append(HEADER)
        elif whole != content:
            self._write(b"\n")

    def add(self, entry: Entry) -> None:
        """Append an entry; it is on the disk when this returns. Raises CommandError."""
        self._append(astuple(entry))

    def _append(self, cells: tuple[str, ...]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\n").writerow(" ".join(cell.split()) for cell in cells)
        self._write(line.getvalue().encode())

    def _write(self, line: bytes) -> None:
        try:
            with self._lock, self.path.open("ab", buffering=0) as file:
                file.write(line)
                os.fsync(file.fileno())
        except OSError as error:
            raise CommandError(f"{self.path}: {error.strerror}: nothing more was flashed") from error
