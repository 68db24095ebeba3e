"""A whole board on one serial port: the chip's loader for esptool, and the flashed program in MicroPython.

A thread passes bytes between the outer port and the part that is awake: FakeRom, or SerialBoard with the file system of
the flash. A pseudo terminal has no DTR and RTS, so the resets between the two are recognised by what follows them:
esptool's SYNC wakes the loader, and a closed port, or a byte that begins no SLIP frame, starts what was flashed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import select
import threading
import time
import tty
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mqtt443_tools.flash.partitions import TABLE_BYTES, TABLE_OFFSET, file_system, parse_table
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.support.chip.repl import SerialBoard, filesystem
from tests.support.chip.rom import END, FakeRom, Faults
from tests.support.chip.rom_chip import ESP32, ChipModel, NorFlash

SYNC = END + b"\x00\x08\x24\x00"
POLL_MS = 5
WAIT_S = 20.0
Part = FakeRom | SerialBoard


class WholeBoard:
    """A board on a cable; a context manager.

    Args:
        folder: for its files; `port` in it is the port, or `at` if given.
        interpreter: what runs it once it is flashed.
        chip: its model.
        at: the path of the port.
        world: the surroundings, see the shims' _world.py.
        faults: of its loader.
        dead: it never starts what was flashed.
        environment: more environment variables for the interpreter.
    """

    def __init__(
        self,
        folder: Path,
        interpreter: Interpreter,
        *,
        chip: ChipModel = ESP32,
        at: Path | None = None,
        world: Mapping[str, Any] | None = None,
        faults: Faults | None = None,
        dead: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "world.json").write_text(json.dumps(dict(world or {})))
        self.port = at or folder / "outer"
        self.flash = NorFlash()
        self.said = b""
        self.starts = 0
        self._folder, self._interpreter, self._chip, self._environment = folder, interpreter, chip, environment
        self._faults = faults
        self._dead = dead
        self._part: Part | None = None
        self._inner = -1
        self._in_frame = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="whole board")
        self.errors: list[BaseException] = []

    def __enter__(self) -> Self:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        partial = self.port.with_suffix(".new")
        partial.symlink_to(os.ttyname(slave))
        partial.rename(self.port)
        os.close(slave)  # so that a port that nobody has open is seen as closed
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()
        if kind is None:
            assert self.errors == []

    def files(self) -> dict[str, bytes]:
        """Return the content of its file system, while it has no power."""
        assert not self._thread.is_alive()
        from tests.support.chip.repl import files_of

        offset, size = self._room()
        return files_of(bytes(self.flash.data[offset : offset + size]))

    def _run(self) -> None:
        try:
            self._start()
            while not self._stop.is_set():
                self._step()
        except BaseException as error:  # the test sees it at the end
            self.errors.append(error)
        finally:
            self._power_off()
            self.port.unlink(missing_ok=True)
            os.close(self._master)

    def _step(self) -> None:
        """Pass on bytes from either side, or switch between loader and program."""
        polling = select.poll()
        polling.register(self._master, select.POLLIN)
        if self._inner >= 0:
            polling.register(self._inner, select.POLLIN)
        events = dict(polling.poll(POLL_MS))
        outer = events.get(self._master, 0)
        if outer & select.POLLIN:
            data = os.read(self._master, 4096)
            if isinstance(self._part, SerialBoard) and SYNC in data:
                self._switch(self._load)
            elif isinstance(self._part, FakeRom) and self._part.is_stub and data[:1] == b"\r" and not self._in_frame:
                self._switch(self._start)
            self._in_frame ^= data.count(END) % 2 == 1
            if self._inner >= 0:
                self._pass_on(data)
        elif outer & select.POLLHUP:
            if isinstance(self._part, FakeRom) and self._part.is_stub:
                self._switch(self._start)
            time.sleep(POLL_MS / 1000)
        if events.get(self._inner, 0) & select.POLLIN:
            data = os.read(self._inner, 4096)
            self.said += data
            with contextlib.suppress(BlockingIOError):  # nobody listens: what the board says is lost, as on USB
                os.write(self._master, data)
        elif self._inner >= 0 and events.get(self._inner, 0) & select.POLLHUP:
            self._stop.set()  # the fault of a part: its cable was pulled

    def _pass_on(self, data: bytes) -> None:
        try:
            os.write(self._inner, data)
        except OSError as error:
            if error.errno != errno.EIO:  # a fault of the part: its cable was pulled in this moment
                raise
            self._stop.set()

    def _switch(self, wake: Any) -> None:
        self._in_frame = False
        self._power_off()
        wake()

    def _load(self) -> None:
        self._part = FakeRom(self._chip, self.flash, self._faults)
        self._open(self._part.port)

    def _start(self) -> None:
        """Start what was flashed; a chip without an application stays in its loader."""
        if self.flash.data[self._chip.image_offset] != 0xE9 or self._dead:
            self._load()
            return
        self.starts += 1
        offset, size = self._room()
        image = bytes(self.flash.data[offset : offset + size])
        if not image.strip(b"\xff"):  # the first start makes a file system
            image = filesystem({"boot.py": b"# This file is executed on every boot\n"}, size // 4096)
        part = SerialBoard(self._next_folder(), self._interpreter, image=image, environment=self._environment)
        self._part = part
        part.__enter__()
        self._open(str(part.port.resolve()))

    def _next_folder(self) -> Path:
        folder = self._folder / f"life{self.starts}"
        folder.mkdir()
        (folder / "world.json").symlink_to(self._folder / "world.json")
        return folder

    def _open(self, port: str) -> None:
        self._inner = os.open(port, os.O_RDWR | os.O_NOCTTY)

    def _power_off(self) -> None:
        part, self._part = self._part, None
        if self._inner >= 0:
            os.close(self._inner)
            self._inner = -1
        if isinstance(part, SerialBoard):
            part.__exit__(None, None, None)
            offset, size = self._room()
            self.flash.data[offset : offset + size] = part.flash.read_bytes()
        elif part is not None:
            part.__exit__(None, None, None)

    def _room(self) -> tuple[int, int]:
        """Where MicroPython has its file system."""
        table = bytes(self.flash.data[TABLE_OFFSET : TABLE_OFFSET + TABLE_BYTES])
        room = file_system(parse_table(table), len(self.flash.data))
        assert room is not None
        return room.offset, room.size
