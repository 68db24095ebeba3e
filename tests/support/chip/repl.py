"""A board on a serial cable: real MicroPython with a real littlefs, a REPL that mpremote drives, a cable to pull.

The interpreter runs repl_board.py with pipes. A thread of this object is the cable and the chip's reset logic: it
passes bytes between the pipes and a PTY, turns Ctrl-C into a signal and line feeds into what a terminal wants, and
restarts the interpreter when its program resets the board.
"""

import math
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time
import tty
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from littlefs import LittleFS
from mqtt443_tools.support.paths import ROOT, UMQTT
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.ntp_server import NtpServer

PROGRAM = Path(__file__).with_name("repl_board.py")
SHIMS = ROOT / "tools" / "mqtt443_tools" / "virtualboard" / "shims"
BLOCK_BYTES = 4096  # as shims/_flash.py
BLOCKS = 256
SOFT_RESET_RAW, SOFT_RESET = 10, 11  # as repl_board.py
UP, CTRL_C = b"\0", b"\x03"
WAIT_S = 20.0
LONG_S = 3600.0


class SerialBoard:
    """A board on a cable; a context manager.

    Args:
        folder: for its flash and its port; the port's name stays the same when the board goes and comes.
        interpreter: what runs it; MicroPython.
        files: what is on its flash, by path.
        image: the whole flash instead, as littlefs.
        built_in: folders that stand for what the image has frozen in; umqtt if not given.
        environment: more environment variables for the interpreter.
    """

    def __init__(
        self,
        folder: Path,
        interpreter: Interpreter,
        *,
        files: Mapping[str, bytes] | None = None,
        image: bytes | None = None,
        built_in: Iterable[Path] = (UMQTT,),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port = folder / "port"
        self.flash = folder / "flash.img"
        self.said = b""
        self._interpreter = interpreter
        self._built_in = [str(path) for path in built_in]
        self._pipe = folder / "supervisor"  # as the virtual board's: what the chip's modules ask for
        chip = {"MQTT443_WORLD": f"/host{folder}", "MQTT443_SUPERVISOR": f"/host{self._pipe}"}
        self._ntp = NtpServer()
        chip["MQTT443_NTP"] = str(self._ntp.port)
        self._environment = {**os.environ, **chip, **(environment or {})}
        self._cut_after: int | None = None
        self._more = threading.Condition()
        self._stop_read, self._stop_write = os.pipe()
        self._thread: threading.Thread | None = None
        os.mkfifo(self._pipe)
        self.flash.write_bytes(image if image is not None else filesystem(files or {}))

    def __enter__(self) -> "SerialBoard":
        self._ntp.__enter__()
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()
        self._ntp.__exit__(None, None, None)
        os.close(self._stop_read)
        os.close(self._stop_write)

    def plug(self) -> None:
        """Connect the cable and so the power: boot.py and main.py run, and the port exists."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        partial = self.port.with_suffix(".new")
        partial.symlink_to(os.ttyname(slave))
        partial.rename(self.port)
        self._thread = threading.Thread(target=self._run, args=(master, slave), name="cable")
        self._thread.start()

    def unplug(self) -> None:
        """Pull the cable, which is also the board's power."""
        thread, self._thread = self._thread, None
        if thread is not None:
            os.write(self._stop_write, b"x")
            thread.join(WAIT_S)
            assert not thread.is_alive()
            os.read(self._stop_read, 1)
            self._cut_after = None

    def cut_after(self, count: int) -> None:
        """Pull the cable after this number of further bytes to the board."""
        self._cut_after = count

    def files(self) -> dict[str, bytes]:
        """The files on its flash; only while it has no power or is idle."""
        return files_of(self.flash.read_bytes())

    def wait_for(self, pattern: str, timeout_s: float = WAIT_S) -> re.Match[bytes]:
        """Wait until the board's output matches a pattern."""
        with self._more:
            found = self._more.wait_for(lambda: re.search(pattern.encode(), self.said), timeout_s)
            assert found, f"the board never said {pattern!r} but:\n{self.said.decode(errors='replace')}"
            return found

    def _run(self, master: int, slave: int) -> None:
        how = "run"
        try:
            while how:
                how = self._power(master, how)
        finally:
            self.port.unlink(missing_ok=True)
            os.close(master)
            os.close(slave)

    def _power(self, master: int, how: str) -> str:
        """Run the interpreter until it resets ("run" or "raw" is how to go on) or the cable is pulled ("")."""
        command = [*self._interpreter.command, str(PROGRAM), how, str(self.flash), str(SHIMS), *self._built_in]
        with (
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment, start_new_session=True
            ) as process,
            self._pipe.open("r+b", 0) as chip,
        ):
            assert process.stdin
            assert process.stdout
            output, up, bites_at = process.stdout.fileno(), False, math.inf
            while True:
                sources = [output, self._stop_read, chip.fileno(), *([master] if up else [])]
                left_s = min(bites_at - time.monotonic(), LONG_S)
                ready, _, _ = select.select(sources, [], [], max(left_s, 0))
                if self._stop_read in ready:
                    process.kill()
                    return ""
                if time.monotonic() >= bites_at:
                    process.kill()
                    return "run"
                if chip.fileno() in ready:
                    order, _, number = chip.readline().decode().strip().partition(" ")
                    if order == "watchdog":
                        bites_at = time.monotonic() + int(number) / 1000
                        continue
                    process.kill()
                    return "" if order == "power_cut" else "run"
                if output in ready:
                    data = os.read(output, 4096)
                    if not data:
                        break
                    if not up:
                        up, data = UP in data, data.replace(UP, b"", 1)
                    self._say(master, data)
                elif master in ready and not self._listen(os.read(master, 256), process):
                    process.kill()
                    return ""
        return {SOFT_RESET_RAW: "raw"}.get(process.returncode, "run")

    def _say(self, master: int, data: bytes) -> None:
        with self._more:
            self.said += data
            self._more.notify_all()
        os.write(master, data.replace(b"\n", b"\r\n"))

    def _listen(self, data: bytes, process: "subprocess.Popen[bytes]") -> bool:
        """Pass bytes on to the board; returns False if the cable is pulled in the middle of them."""
        whole = True
        if self._cut_after is not None:
            whole = self._cut_after > len(data)
            data = data[: self._cut_after]
            self._cut_after -= len(data)
        assert process.stdin
        for piece in re.split(b"(\x03)", data):
            if piece == CTRL_C:
                process.send_signal(signal.SIGINT)
            elif piece:
                os.write(process.stdin.fileno(), piece)
        return whole


def files_of(image: bytes) -> dict[str, bytes]:
    """Return the files in a littlefs image, by path."""
    fs = LittleFS(block_size=BLOCK_BYTES, block_count=len(image) // BLOCK_BYTES, mount=False)
    fs.context.buffer = bytearray(image)
    fs.mount()
    return {
        f"{folder}/{name}".lstrip("/"): fs.open(f"{folder}/{name}", "rb").read()
        for folder, _, names in fs.walk("/")
        for name in names
    }


def filesystem(files: Mapping[str, bytes], blocks: int = BLOCKS) -> bytes:
    """Make a flash with these files."""
    fs = LittleFS(block_size=BLOCK_BYTES, block_count=blocks)
    for name, content in files.items():
        fs.makedirs(str(Path(name).parent), exist_ok=True)
        with fs.open(name, "wb") as file:
            file.write(content)
    return bytes(fs.context.buffer)
