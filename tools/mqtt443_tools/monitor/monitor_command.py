"""`mqtt443 monitor`: a board's log with time stamps and colours, through resets; keys go to the board, Ctrl-] leaves.

What the board says is foreign: no escape sequence of it reaches the terminal but those of MicroPython's line editor.
"""

import codecs
import contextlib
import json
import os
import re
import select
import sys
import termios
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from mqtt443_tools.flash.progress import Screen
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT
from mqtt443_tools.support.printable import printable

EXAMPLE = "Example: mqtt443 monitor --port /dev/ttyUSB0"
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
TRACE = re.compile(r'^\s*File "(?:/?lib/)?((?:mqtt443/)?\w+\.py)", line (\d+)')
UNFINISHED = re.compile(r"(\r|\x1b(\[\d*)?)\Z")
"""At the end of what came so far; its meaning is in what comes next."""

EDITING = re.compile(r"(\x08|\x1b\[\d*[KD])")


class View:
    """Turns a board's bytes into what is shown.

    Args:
        console: to print to.
        as_json: one object a line.
        now: local time.
    """

    def __init__(self, console: Console, *, as_json: bool, now: Callable[[], datetime]) -> None:
        self._console = console
        self._as_json = as_json
        self._now = now
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._shown = 0

    def feed(self, data: bytes) -> None:
        """Take bytes; every line that ends in them is shown."""
        *lines, rest = (self._line + self._decoder.decode(data)).replace("\r\n", "\n").split("\n")
        for line in lines:
            self._line = line
            self._end_line()
        self._line = rest
        if len(rest) > MAX_LINE_CHARS:
            self._end_line()

    def flush(self) -> None:
        """Show a line that has not ended, such as a prompt."""
        text = UNFINISHED.sub("", self._line[self._shown :])
        if self._as_json or not text:
            return
        self._stamp()
        for piece in EDITING.split(text):
            if EDITING.fullmatch(piece) and self._console.is_terminal:
                self._console.file.write(piece)
            else:
                self._console.print(Text(printable(piece, MAX_LINE_CHARS)), end="")
        self._console.file.flush()
        self._shown += len(text)

    def note(self, text: str) -> None:
        """Show a line of our own."""
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

    def _show_source(self, line: str) -> None:
        """Under a line of a traceback, show the line of our source that it means; a board has none of it."""
        found = TRACE.match(line)
        if found is None:
            return
        name = f"firmware/{found[1]}" if "/" in found[1] else found[1]
        with contextlib.suppress(OSError, IndexError, UnicodeDecodeError):  # not ours, or of another version
            source = (ROOT / name).read_text().splitlines()[int(found[2]) - 1].strip()
            self._console.print(Text(f"{'':13}    {name}:{found[2]}: {source}", style="dim"))


class Left(Exception):
    """The person pressed Ctrl-], or the time is over."""


def watch(
    device: str,
    connect: Callable[[str], Any],
    view: View,
    *,
    keys: Callable[[], bytes],
    deadline: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Show what a board says, and pass keys on to it, until Ctrl-] or the deadline; wait for it when it goes away.

    Args:
        device: the port.
        connect: opens it for this process alone, as pyserial; raises PortError.
        view: takes what the board says.
        keys: returns the keys that were pressed since the last call.
        deadline: by `clock`, in seconds.
    """
    connection = connect(device)
    view.note(f"{device}; Ctrl-] leaves")
    try:
        while True:
            try:
                _pass(connection, view, keys, deadline, clock)
            except OSError:  # serial.SerialException is one
                _close(connection)
                view.note(f"{device} is gone; waiting for it")
                connection = _wait_for(device, connect, keys, deadline, clock)
                view.note(f"{device} is back")
    except Left:
        view.flush()
    finally:
        _close(connection)


def _pass(connection: Any, view: View, keys: Callable[[], bytes], deadline: float, clock: Callable[[], float]) -> None:
    connection.timeout = POLL_S
    while True:
        data = connection.read(connection.in_waiting or 1)
        if data:
            view.feed(data)
        else:
            view.flush()
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
    """Give what reads the keys of the terminal one by one, Ctrl-C too; without a terminal there are none."""
    if not sys.stdin.isatty():
        yield lambda: b""
        return
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
    port: Annotated[
        str | None, typer.Option(help="The board's serial port; without it, it is looked for.", show_default=False)
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show a board's log, and pass keys on to it. Ctrl-] leaves; a board that resets is waited for."""
    try:
        from mqtt443_tools.flash import ports  # noqa: PLC0415 - the set-up for `make demo` has no pyserial
    except ModuleNotFoundError as error:
        raise CommandError(
            f"monitor needs {error.name}, which is not installed: .venv/bin/pip install --editable '.[board]'"
        ) from error
    ask = Screen(as_json=as_json).ask_port if sys.stdin.isatty() else None
    device = port or ports.choose(ports.usb_ports(), ask).device
    console = Console(highlight=False, soft_wrap=True)
    view = View(console, as_json=as_json, now=lambda: datetime.now().astimezone())
    deadline = float("inf") if seconds is None else time.monotonic() + seconds
    with keyboard() as keys:
        try:
            watch(device, ports.open_port, view, keys=keys, deadline=deadline)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


monitor.__doc__ = f"{monitor.__doc__}\n\n{EXAMPLE}"
