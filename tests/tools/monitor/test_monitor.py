"""`mqtt443 monitor` at a terminal of its own, before a board that is real MicroPython."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from io import StringIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.monitor.monitor_command import BoardLog
from mqtt443_tools.push import board_tree
from mqtt443_tools.support.paths import ROOT
from rich.console import Console

from tests.support.board import interpreters
from tests.support.chip.repl import SerialBoard

PlugBoard = Callable[..., SerialBoard]
GOLDEN = Path(__file__).parent / "golden"
WAIT_S = 20.0
TALKS = b"import time\nn = 0\nwhile True:\n  print('[    1.000] line', n)\n  n += 1\n  time.sleep(0.05)\n"


class Terminal:
    """The command, started in a terminal."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        command: list[str | Path] = [Path(sys.executable).with_name("mqtt443"), "monitor", *arguments]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.shown = ""

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for(self, pattern: str) -> None:
        end = time.monotonic() + WAIT_S
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self.master], [], [], end - time.monotonic())
            assert ready, f"never showed {pattern!r} but:\n{self.shown}"
            self.shown += os.read(self.master, 4096).decode()

    def close(self) -> int:
        os.close(self.master)
        return self.process.wait(WAIT_S)


Start = Callable[..., Terminal]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def start(*arguments: str) -> Terminal:
            terminal = Terminal(*arguments)
            stack.callback(terminal.process.wait)
            stack.callback(terminal.process.kill)
            return terminal

        yield start


@pytest.fixture
def board(tmp_path: Path) -> Iterator[PlugBoard]:
    with ExitStack() as stack:
        yield lambda **files: stack.enter_context(SerialBoard(tmp_path, interpreters.need("alpn"), **files))


def test_log_has_time_stamps_and_ctrl_bracket_quits(board: PlugBoard, start: Start) -> None:
    plugged = board(files={"main.py": TALKS})
    terminal = start("--port", str(plugged.port))
    terminal.wait_for(r"\d\d:\d\d:\d\d\.\d{3} .*\[    1\.000\] line \d+\r\n")
    terminal.type(b"\x1d")
    assert terminal.process.wait(WAIT_S) == 0


def test_monitor_waits_for_a_board_that_resets(board: PlugBoard, start: Start) -> None:
    plugged = board(files={"main.py": TALKS})
    terminal = start("--port", str(plugged.port))
    terminal.wait_for("line")
    plugged.unplug()
    terminal.wait_for("is gone; waiting for it")
    plugged.plug()
    terminal.wait_for(r"(?s)is back.*line \d+\r\n")
    terminal.type(b"\x1d")
    assert terminal.process.wait(WAIT_S) == 0


def test_monitor_quits_while_it_waits(board: PlugBoard, start: Start) -> None:
    plugged = board(files={"main.py": TALKS})
    terminal = start("--port", str(plugged.port))
    terminal.wait_for("line")
    plugged.unplug()
    terminal.wait_for("is gone")
    terminal.type(b"\x1d")
    assert terminal.process.wait(WAIT_S) == 0


def test_keys_including_ctrl_c_go_to_the_board(board: PlugBoard, start: Start) -> None:
    plugged = board(files={"main.py": TALKS})
    terminal = start("--port", str(plugged.port))
    terminal.wait_for("line")
    terminal.type(b"\x03")
    terminal.wait_for("KeyboardInterrupt")
    terminal.wait_for(">>> ")
    terminal.type(b"print(6 * 7)\r")
    terminal.wait_for(r"\d\d:\d\d:\d\d\.\d{3} .*42\r\n")
    terminal.type(b"\x1d")
    assert terminal.process.wait(WAIT_S) == 0


def test_traceback_in_compiled_code_shows_file_line_and_source(board: PlugBoard, start: Start) -> None:
    main = b"from mqtt443 import http\nhttp.read_head(None)\n"
    plugged = board(files={**board_tree.program(source=False), "main.py": main})
    terminal = start("--port", str(plugged.port))
    terminal.wait_for("quits")
    terminal.type(b"\x03")
    terminal.wait_for(">>> ")
    terminal.type(b"\x04")  # a soft reset
    lines = (ROOT / "firmware" / "mqtt443" / "http.py").read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "stream.read(1)" in line)
    terminal.wait_for(rf'File "mqtt443.http", line {number}, in read_head')
    terminal.wait_for(rf"mqtt443/http\.py:{number}: {re.escape(lines[number - 1].strip())}")
    terminal.wait_for("AttributeError")


def test_piped_monitor_prints_json_without_colour(board: PlugBoard) -> None:
    plugged = board(files={"main.py": TALKS})
    command: list[str | Path] = [
        Path(sys.executable).with_name("mqtt443"),
        "monitor",
        "--port",
        plugged.port,
        "--json",
        "--seconds",
        "1",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=WAIT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    note, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert note["note"].endswith("Ctrl-] quits")
    assert any(re.fullmatch(r"\[    1\.000\] line \d+", line["line"]) for line in lines)
    assert "\x1b" not in done.stdout


def test_ctrl_c_without_a_terminal_ends_the_monitor(board: PlugBoard) -> None:
    plugged = board(files={"main.py": TALKS})
    command: list[str | Path] = [Path(sys.executable).with_name("mqtt443"), "monitor", "--port", plugged.port]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 130


def now() -> datetime:
    """Return a time of day that stands still."""
    return datetime(2026, 11, 23, 10, 11, 12, 345678)


def view(*, colours: bool = False, as_json: bool = False) -> tuple[BoardLog, StringIO]:
    file = StringIO()
    console = Console(file=file, force_terminal=colours, color_system="standard" if colours else None, soft_wrap=True)
    return BoardLog(console, as_json=as_json, now=now), file


LOG = b"""[    0.006] transport alpn: this image can send ALPN mqtt\r
[    0.411] connected to localhost\r
[   10.002] ConnectionLost: the server closed the connection\r
[   10.003] next attempt in 1.8 s\r
Traceback (most recent call last):\r
  File "main.py", line 8, in <module>\r
  File "own.py", line 3, in f\r
ValueError: \x1b[2Jbad\r
>>> """


def test_board_output_is_shown_line_by_line() -> None:
    shown, file = view(colours=True)
    shown.feed(LOG)
    shown.flush()
    shown.note("gone")
    expected = (GOLDEN / "log.txt").read_text()
    assert file.getvalue() == expected, f"golden/log.txt should hold:\n{file.getvalue()!r}"


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_escape_of_the_board_reaches_the_terminal(pieces: list[bytes]) -> None:
    shown, file = view()
    for piece in pieces:
        shown.feed(piece)
        shown.flush()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", file.getvalue())


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5), st.booleans())
def test_lines_do_not_depend_on_how_they_arrive(pieces: list[bytes], flushed: bool) -> None:
    whole, together = view(as_json=True)
    whole.feed(b"".join(pieces) + b"\n")
    cut, apart = view(as_json=True)
    for piece in pieces:
        cut.feed(piece)
        if flushed:
            cut.flush()
    cut.feed(b"\n")
    assert [json.loads(line) for line in apart.getvalue().splitlines()] == [
        json.loads(line) for line in together.getvalue().splitlines()
    ]
