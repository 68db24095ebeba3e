"""`mqtt443 monitor`: a board's log with time stamps and colours, across resets; keys go to the board, Ctrl-] quits.

The board's output is untrusted: only the escape sequences of MicroPython's line editor reach the terminal.
"""

import codecs
import contextlib
import json
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import typer
from rich.console import Console as RichConsole
from rich.text import Text

from mqtt443_tools.support.console import Console, is_terminal, no_color, terminal
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.options import JsonOption, PortOption, SecondsOption
from mqtt443_tools.support.paths import FIRMWARE, ROOT
from mqtt443_tools.support.posix import needs_posix
from mqtt443_tools.support.printable import printable

LEAVE = b"\x1d"  # Ctrl-]
POLL_S = 0.05
BACK_S = 0.25
MAX_LINE_CHARS = 2000

STYLES = (
    (
        re.compile(r"Traceback|^\w*(Error|Exception)\b|\] \w+(Error|Refused|Lost|Timeout|Expired|WrongCa|WrongHost)"),
        "red",
    ),
    (re.compile(r"\] next attempt in"), "yellow"),
    (re.compile(r"\] connected to"), "green"),
)
TRACE = re.compile(r'^\s*File "(?:/?lib/)?((?:mqtt443/)?\w+\.py|mqtt443\.\w+)", line (\d+)')
UNFINISHED = re.compile(r"(\r|\x1b(\[\d*)?)\Z")
"""An incomplete sequence at the end of the data so far."""

EDITING = re.compile(r"(\x08|\x1b\[\d*[KD])")


class BoardLog:
    """Prints what a board sends.

    Args:
        console: where to.
        as_json: one object per line.
        now: local time.
    """

    def __init__(self, console: RichConsole, *, as_json: bool, now: Callable[[], datetime]) -> None:
        self._console = console
        self._as_json = as_json
        self._now = now
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._shown = 0

    def feed(self, data: bytes) -> None:
        """Take bytes, and print the lines that are complete."""
        *lines, rest = (self._line + self._decoder.decode(data)).replace("\r\n", "\n").split("\n")
        for line in lines:
            self._line = line
            self._end_line()
        self._line = rest
        if len(rest) > MAX_LINE_CHARS:
            self._end_line()

    def flush(self) -> None:
        """Print an incomplete line, such as a prompt."""
        text = UNFINISHED.sub("", self._line[self._shown :])
        if self._as_json or not text:
            return
        self._stamp()
        for piece in EDITING.split(text):
            if EDITING.fullmatch(piece) and self._console.is_terminal:
                self._console.file.write(_without_escape(piece) if no_color() else piece)
            else:
                self._console.print(Text(printable(piece, MAX_LINE_CHARS)), end="")
        self._console.file.flush()
        self._shown += len(text)

    def note(self, text: str) -> None:
        """Print a line of our own."""
        if self._line:
            self._end_line()
        if self._as_json:
            self._console.print(Text(json.dumps({"time": self._now().isoformat(), "note": text})))
        else:
            self._console.print(Text(f"-- {text}", style="cyan"))

    def _stamp(self) -> None:
        if not self._shown:
            self._console.print(Text(f"{self._now():%H:%M:%S.%f}"[:12] + " ", style="dim"), end="")

    def _end_line(self) -> None:
        line = EDITING.sub("", self._line[self._shown :]).rstrip("\r")
        whole = printable(EDITING.sub("", self._line).rstrip("\r"), MAX_LINE_CHARS)
        if self._as_json:
            self._console.print(Text(json.dumps({"time": self._now().isoformat(), "line": whole})))
        else:
            self._stamp()
            style = next((style for pattern, style in STYLES if pattern.search(whole)), "none")
            self._console.print(Text(printable(line, MAX_LINE_CHARS), style=style))
            self._show_source(whole)
        self._line, self._shown = "", 0
        self.end_line(whole)

    def end_line(self, whole: str) -> None:
        """Take a complete line that was shown; does nothing here."""

    def _show_source(self, line: str) -> None:
        """Below a traceback line, print the source line it refers to: the board holds no source."""
        found = TRACE.match(line)
        if found is None:
            return
        name = found[1] if found[1].endswith(".py") else found[1].replace(".", "/") + ".py"  # compiled: a module
        path = FIRMWARE.parent / name if "/" in name else ROOT / name
        with contextlib.suppress(OSError, IndexError, UnicodeDecodeError):  # not ours, or of another version
            source = path.read_text().splitlines()[int(found[2]) - 1].strip()
            self._console.print(Text(f"{'':13}    {name}:{found[2]}: {source}", style="dim"))


def _without_escape(editing: str) -> str:
    """Return what moves the cursor as an editing sequence does, with backspaces and spaces alone."""
    if editing == "\b":
        return editing
    count = int(re.sub(r"\D", "", editing) or 1)
    return "\b" * count if editing.endswith("D") else " \b"  # MicroPython erases one character at a time


class Left(Exception):
    """The person pressed Ctrl-], or time is up."""


def watch(
    device: str,
    connect: Callable[[str], Any],
    log: BoardLog,
    *,
    keys: Callable[[], bytes],
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show what a board sends, and send it keys, until Ctrl-] or the deadline; wait for it when it goes away.

    Args:
        device: the port.
        connect: opens it for this process alone, as pyserial; raises PortError.
        log: takes what the board sends.
        keys: returns the keys pressed since the last call.
        deadline: by `clock`, in seconds.
        clock: seam: monotonic seconds.
    """
    connection = connect(device)
    log.note(f"{device}; Ctrl-] quits")
    try:
        while True:
            try:
                _pass(connection, log, keys, deadline, clock)
            except OSError:  # serial.SerialException is one
                _close(connection)
                log.note(f"{device} is gone; waiting for it")
                connection = _wait_for(device, connect, keys, deadline, clock)
                log.note(f"{device} is back")
    except Left:
        log.flush()
    finally:
        _close(connection)


def _pass(
    connection: Any, log: BoardLog, keys: Callable[[], bytes], deadline: float, clock: Callable[[], float]
) -> None:
    connection.timeout = POLL_S
    while True:
        data = connection.read(connection.in_waiting or 1)
        if data:
            log.feed(data)
        else:
            log.flush()
        _look_at_keys(keys, deadline, clock, connection.write)


def _look_at_keys(
    keys: Callable[[], bytes], deadline: float, clock: Callable[[], float], send: Callable[[bytes], object]
) -> None:
    pressed = keys()
    before, leave, _ = pressed.partition(LEAVE)
    if before:
        send(before)
    if leave or clock() >= deadline:
        raise Left


def _wait_for(
    device: str, connect: Callable[[str], Any], keys: Callable[[], bytes], deadline: float, clock: Callable[[], float]
) -> Any:
    while True:
        _look_at_keys(keys, deadline, clock, lambda _: None)
        with contextlib.suppress(CommandError):
            return connect(device)
        time.sleep(BACK_S)


def _close(connection: Any) -> None:
    with contextlib.suppress(OSError):  # it is gone already
        connection.close()


@contextlib.contextmanager
def keyboard() -> Iterator[Callable[[], bytes]]:
    """Yield a function that reads the terminal's keys one by one, even Ctrl-C; without a terminal there are none."""
    if not is_terminal(sys.stdin):
        yield lambda: b""
        return
    import termios  # noqa: PLC0415 - POSIX only

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    changed = termios.tcgetattr(descriptor)
    changed[0] &= ~(termios.ICRNL | termios.IXON)
    changed[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)

    def pressed() -> bytes:
        return os.read(descriptor, 1024) if select.select([descriptor], [], [], 0)[0] else b""

    try:
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def monitor(
    *,
    port: PortOption = None,
    seconds: SecondsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a board's log, and send it your keys, across resets. Ctrl-] quits."""
    needs_posix("mqtt443 monitor")
    from mqtt443_tools.flash import ports  # noqa: PLC0415 - loads pyserial

    device = port or ports.choose(ports.usb_ports(), Console(to_stderr=as_json)).device
    log = BoardLog(terminal(), as_json=as_json, now=lambda: datetime.now().astimezone())
    deadline = float("inf") if seconds is None else time.monotonic() + seconds
    with keyboard() as keys:
        try:
            watch(device, ports.open_port, log, keys=keys, deadline=deadline)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
