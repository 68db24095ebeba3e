"""A board's REPL over its serial port: stop its program, run a few lines, write a file, start it again.

The only file that knows mpremote, whose API may change with each minor version (pyproject.toml pins the tested one).
board_programs.py has the programs.

CommandError
 └── LinkError          the board does not answer, or no longer
      └── OnBoardError  the board answers, but the request failed
"""

import contextlib
import io
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mpremote.transport import TransportError, TransportExecError
from mpremote.transport_serial import SerialTransport

from mqtt443_tools.flash.ports import open_port
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.printable import printable

READ_S = 2.0  # the prompt answers at once; a program may pause for ten seconds between bytes
WRITE_S = 10.0
# After each Ctrl-C: boot.py takes the first one if the board has just started, and a program may catch some.
PATIENCE_S = (1.0, 2.0, 5.0, 5.0)
QUIET_S = 0.5
CHUNK_BYTES = 512
# The pause lets the board acknowledge the program before its USB goes away.
RESET = "import machine, time\ntime.sleep_ms(100)\nmachine.reset()"
CTRL_C, NEVER = b"\r\x03", b"\xff"


class LinkError(CommandError):
    """The board does not answer."""


class OnBoardError(LinkError):
    """A program failed on the board."""


class Link:
    """A board at its raw prompt.

    Args:
        transport: mpremote's, connected.
        device: the port's name, for messages.
    """

    def __init__(self, transport: Any, device: str) -> None:
        self._transport = transport
        self._device = device

    def stop_program(self) -> None:
        """Interrupt the program, then restart the board with boot.py alone: safe mode, with an empty heap.

        Raises LinkError if it does not reach its prompt.
        """
        with self._reported():
            for patience_s in PATIENCE_S:
                with contextlib.suppress(TransportError):
                    self._enter(soft_reset=False, patience_s=patience_s)
                    break
            else:
                raise LinkError(
                    f"the board on {self._device} does not reach its prompt: press its RESET button and push again "
                    "at once; if it has no MicroPython yet, run `mqtt443 flash`"
                )
            try:
                self._enter(soft_reset=True)
            except TransportError:
                # An endless boot.py. Its output, and the prompt after it, must be read first.
                self._transport.serial.write(CTRL_C)
                self._transport.read_until(1, NEVER, timeout=QUIET_S, timeout_overall=PATIENCE_S[-1])
                self._enter(soft_reset=False)

    def run(self, source: str) -> str:
        """Run lines of Python on the board and return what they print. Raises LinkError."""
        with self._reported():
            printed: bytes = self._transport.exec(source)
            return printed.decode()

    def write(self, path: str, content: bytes, progress: Callable[[int], None]) -> None:
        """Write a file on the board; `progress` takes the bytes written so far. Raises LinkError."""
        with self._reported():
            try:
                self._transport.fs_writefile(path, content, CHUNK_BYTES, lambda done, _: progress(done))
            except OSError as error:
                if error.args[1:] != (path,):  # mpremote's own names the file
                    raise
                raise OnBoardError(f"the board cannot write {path}: {os.strerror(error.errno or 0)}") from error

    def restart(self) -> None:
        """Reset the board: boot.py and main.py run. Raises LinkError."""
        with self._reported():
            if not self._transport.in_raw_repl:
                self._enter(soft_reset=False)
            self._transport.exec_raw_no_follow(RESET)
            self._transport.in_raw_repl = False

    def leave(self) -> None:
        """Leave the board at its friendly prompt. Raises LinkError."""
        with self._reported():
            self._transport.exit_raw_repl()

    def _enter(self, *, soft_reset: bool, patience_s: float | None = None) -> None:
        self._transport.in_raw_repl = False
        with contextlib.redirect_stdout(io.StringIO()):  # mpremote prints output that it did not understand
            self._transport.enter_raw_repl(soft_reset=soft_reset, timeout_overall=patience_s or PATIENCE_S[-1])

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except TransportExecError as error:
            lines = error.error_output.strip().splitlines() or ["no reason"]
            raise OnBoardError(f"the board says {printable(lines[-1])}") from error
        except (TransportError, OSError, struct.error, ValueError, IndexError) as error:
            raise LinkError(
                f"the board on {self._device} is gone: is its cable plugged in? Its old files are intact; push again"
            ) from error


@contextlib.contextmanager
def open_link(device: str) -> Iterator[Link]:
    """Open a port and yield the board's REPL on it. Raises PortError, LinkError."""
    device = str(Path(device).resolve()) if os.path.exists(device) else device  # noqa: PTH110 - may be a URL
    try:
        transport = SerialTransport(device, timeout=READ_S)
    except TransportError:
        open_port(device).close()  # raises with the reason, which mpremote drops
        raise LinkError(f"{device} could not be opened; try again") from None
    transport.serial.write_timeout = WRITE_S
    try:
        yield Link(transport, device)
    finally:
        with contextlib.suppress(OSError):  # a port that is gone cannot be closed in order
            transport.close()
