"""A virtual board: its flash, its power, its watchdog. Starts the interpreter, and acts as a chip's reset logic.

The board's root is a folder with the unchanged boot.py, main.py and lib/mqtt443, the config and its CA; after a reset,
deep sleep or watchdog timeout its program starts again, with the reset cause that a chip would report. What the chip's
modules (`shims/`) need from outside comes through two paths in the environment, described in shims/_world.py.
"""

import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.compile_mpy import compile_package
from mqtt443_tools.support.config_file import MAX_BYTES, refuse_endless_ca
from mqtt443_tools.support.config_text import BYTE_ORDER_MARK
from mqtt443_tools.support.errors import CommandError, MissingFile
from mqtt443_tools.support.paths import FIRMWARE, ROOT, UMQTT
from mqtt443_tools.support.read_file import read_file
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.ntp_server import NtpServer

HERE = Path(__file__).resolve().parent
STOP_S = 3.0  # from Ctrl-C, after which the board sends DISCONNECT, to the kill
MAX_LINE_BYTES = 4096

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
REQUESTS = {
    "power_cut": PWRON_RESET,
    "reset": HARD_RESET,
    "deepsleep": DEEPSLEEP_RESET,
    "soft_reset": SOFT_RESET,
}


def lay_out(root: Path, config: Path, *, compiled: bool = False) -> None:
    """Put onto a board's flash what a push would: our files, the config and its CA.

    Args:
        root: an empty folder, the board's root.
        config: a config.json; a relative `ca` in it, and the user's own code, must be beside it.
        compiled: install the package as .mpy files, as on a board (MicroPython only).

    Raises:
        CommandError: the config or its CA cannot be read.
    """
    for name in ("boot.py", "main.py"):
        shutil.copy(ROOT / name, root / name)
    installed = root / "lib" / "mqtt443"
    if compiled:
        compile_package(FIRMWARE, installed)
    else:
        shutil.copytree(FIRMWARE, installed, ignore=shutil.ignore_patterns("__pycache__", "*.pyi", "py.typed"))
    try:
        text = read_file(config, MAX_BYTES).removeprefix(BYTE_ORDER_MARK)  # as push does
    except MissingFile as error:
        raise CommandError(f"{error}; create one with `mqtt443 device add CLIENT_ID --out {config}`") from error
    for name, content in own_code(config.parent, check=False).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    copy = root / "config.json"
    copy.touch(mode=0o600)
    copy.write_bytes(text)
    with contextlib.suppress(ValueError, RecursionError, AttributeError):  # the board reports what is wrong in it
        ca = Path(str(json.loads(text).get("ca", "ca.der")))
        refuse_endless_ca(config.parent / ca)
        if not ca.is_absolute() and (config.parent / ca).is_file():
            shutil.copy(config.parent / ca, root / ca.name)


class _ResetLogic:
    """What the board's program asked of its chip, and when its watchdog bites."""

    def __init__(self) -> None:
        self.cause: int | None = None
        self.sleep_s = 0.0
        self.bites_at: float | None = None

    def obey(self, request: str) -> None:
        """Handle one line of the program (see shims/machine.py)."""
        word, _, value = request.partition(" ")
        if word == "watchdog":
            self.bites_at = time.monotonic() + int(value) / 1000
        else:
            self.cause = REQUESTS[word]
            self.sleep_s = int(value or 0) / 1000

    def patience_s(self) -> float | None:
        """Return the time until the watchdog bites; None without a watchdog."""
        return None if self.bites_at is None else max(0.0, self.bites_at - time.monotonic())

    def bite(self) -> bool:
        """Return whether the watchdog's time is up, which is then the cause of the reset."""
        if self.cause is not None or self.patience_s() != 0.0:
            return False
        self.cause = WDT_RESET
        return True


class _Lines:
    """Splits the output of a pipe into lines of bounded length."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.ended = False
        self._rest = b""

    def read(self) -> list[str]:
        """Return the lines that are complete now; at the end of the output, also the last one."""
        data = os.read(self.descriptor, MAX_LINE_BYTES)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._rest and (self.ended or len(self._rest) >= MAX_LINE_BYTES):
            lines.append(self._rest)
            self._rest = b""
        return [line.decode(errors="replace").rstrip("\r") for line in lines]


class VirtualBoard:
    """One board under power; use it as a context manager.

    Args:
        interpreter: what runs the board's program.
        root: the board's flash, laid out.
        on_line: called with each line that the board prints, from this object's thread.
        world: how the surroundings behave, see shims/; `set_world` changes it.
        environment: more environment variables for the program.
        flash: a file that is the board's flash (see shims/_flash.py; MicroPython only); created from `root` if it is
            missing. None: the board works in `root` itself.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        root: Path,
        on_line: Callable[[str], None],
        *,
        world: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        flash: Path | None = None,
    ) -> None:
        self.interpreter = interpreter
        self.root = root
        self.exit_code: int | None = None
        self.resets: list[int] = []
        self._on_line = on_line
        self._world = dict(world or {})
        self._world_lock = threading.Lock()
        self._environment = environment or {}
        self._flash = flash
        self._folder = Path(tempfile.mkdtemp(prefix="mqtt443-board-"))
        self._pipe_path = self._folder / "supervisor"
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: Exception | None = None
        self._ntp_port = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="virtual board", daemon=True)

    def __enter__(self) -> "VirtualBoard":
        """Switch the power on."""
        os.mkfifo(self._pipe_path, 0o600)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the program, and delete everything but the flash."""
        self.stop()
        shutil.rmtree(self._folder)

    def set_world(self, **changes: Any) -> None:
        """Change how the surroundings behave from now on."""
        with self._world_lock:  # the board's thread writes the reset cause here, too
            self._world.update(changes)
            new = self._folder / "world.json.new"
            new.write_text(json.dumps(self._world))
            new.rename(self._folder / "world.json")

    def stop(self) -> None:
        """Interrupt the program like Ctrl-C on a board's console; kill it if it does not react."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(2)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(STOP_S)

    def cut_power(self) -> None:
        """Kill the program, whatever it is doing."""
        self._stopping.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join(STOP_S)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the board is at its prompt; return whether it is. Raises what `on_line` raised."""
        self._thread.join(timeout_s)
        if self._problem is not None:
            raise self._problem
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with NtpServer() as ntp:
                self._ntp_port = ntp.port
                self._live()
        except Exception as error:
            self._problem = error

    def _live(self) -> None:
        cause: int | None = PWRON_RESET
        while cause is not None and not self._stopping.is_set():
            self.resets.append(cause)
            self.set_world(reset_cause=cause, start=len(self.resets))
            cause = self._one_life()
            if cause == PWRON_RESET:
                (self._folder / "rtc.bin").unlink(missing_ok=True)  # RTC memory, see shims/machine.py
                if not self._world.get("power_returns", True):
                    return
                self.set_world(power_cut_at_write=0)  # the power came back, to stay

    def _one_life(self) -> int | None:
        """Run the program until it ends; return the cause of the reset that follows, if any."""
        environment = {
            "MICROPYPATH": ".frozen",
            "MQTT443_WORLD": str(self._folder),
            "MQTT443_SUPERVISOR": str(self._pipe_path),
            "MQTT443_NTP": str(self._ntp_port),
            **self._environment,
        }
        chip = _ResetLogic()
        requests = _Lines(os.open(self._pipe_path, os.O_RDWR))  # both ends: no end of file between two writers
        try:
            self._process = subprocess.Popen(
                [
                    *self.interpreter.command,
                    str(HERE / "startup.py"),
                    str(self._flash or ""),
                    str(UMQTT),
                    str(HERE / "shims"),
                ],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                umask=0o077,  # the board's files hold its secrets
                start_new_session=True,  # Ctrl-C in a terminal reaches the board only through stop()
            )
            with self._process as process:
                if self._stopping.is_set():
                    process.kill()
                try:
                    self._watch(process, requests, chip)
                except BaseException:
                    process.kill()
                    raise
            self.exit_code = process.returncode
        finally:
            os.close(requests.descriptor)
        if chip.cause == DEEPSLEEP_RESET:
            self._stopping.wait(chip.sleep_s or None)
        return chip.cause

    def _watch(self, process: subprocess.Popen[bytes], requests: _Lines, chip: _ResetLogic) -> None:
        """Pass on the program's lines and act as its chip until its output ends."""
        if process.stdout is None:
            raise AssertionError("the program has a pipe for its output")
        output = _Lines(process.stdout.fileno())
        while not output.ended:
            ready, _, _ = select.select([output.descriptor, requests.descriptor], [], [], chip.patience_s())
            if requests.descriptor in ready:
                for request in requests.read():
                    chip.obey(request)
                if chip.cause is not None:
                    process.kill()
            if output.descriptor in ready:
                for line in output.read():
                    self._on_line(line)
            if chip.bite():
                self._on_line("(the watchdog bit: it was not fed in time)")
                process.kill()
