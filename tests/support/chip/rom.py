"""A fake board for esptool: the loader in a chip's ROM, and esptool's own stub, on a pseudo terminal.

It speaks the serial protocol (esptool documentation, "Serial Protocol"): SLIP frames, the ROM's commands, then, once
esptool has put its stub into RAM and started it, the stub's. Written data ends up in a `NorFlash`, and requests in
`commands`. It can misbehave: see `Faults`. A pseudo terminal has no DTR and RTS, so resets are not emulated.
"""

from __future__ import annotations

import hashlib
import os
import select
import struct
import threading
import tty
import zlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.support.chip.rom_chip import ESP32_C3, ChipModel, NorFlash, Registers

END, ESC = b"\xc0", b"\xdb"
FRAME_LIMIT = 1 << 17

FLASH_BEGIN, FLASH_DATA, FLASH_END = 0x02, 0x03, 0x04
MEM_BEGIN, MEM_END, MEM_DATA, SYNC = 0x05, 0x06, 0x07, 0x08
WRITE_REG, READ_REG, SPI_SET_PARAMS, SPI_ATTACH, CHANGE_BAUDRATE = 0x09, 0x0A, 0x0B, 0x0D, 0x0F
DEFL_BEGIN, DEFL_DATA, DEFL_END, FLASH_MD5, SECURITY_INFO = 0x10, 0x11, 0x12, 0x13, 0x14
ERASE_FLASH, READ_FLASH = 0xD0, 0xD2
STUB_ONLY = {ERASE_FLASH, READ_FLASH}
ROM_SYNC_VALUE = 0x20120707
INVALID_MESSAGE = b"\x01\x05"
BAD_CHECKSUM = b"\x01\x07"
WRONG_RESULT = b"\x01\x06"
NO_SUCH_COMMAND = 0xFF


@dataclass
class Faults:
    """How the board misbehaves.

    Attributes:
        silent: never answer.
        says: sent instead of an answer, as by a running program.
        unplug_after: bytes programmed to flash before the cable is pulled.
        hang_after: bytes programmed to flash before the chip stops.
    """

    silent: bool = False
    says: bytes = b""
    unplug_after: int | None = None
    hang_after: int | None = None


class _Unplugged(Exception):
    """The cable is out, or the test is over."""


class FakeRom:
    """A board in its loader; a context manager. `port` is the device to open."""

    def __init__(self, chip: ChipModel = ESP32_C3, flash: NorFlash | None = None, faults: Faults | None = None) -> None:
        self.chip = chip
        self.flash = flash or NorFlash()
        self.faults = faults or Faults()
        self.commands: list[int] = []
        self.errors: list[BaseException] = []
        self.ram: dict[int, bytes] = {}
        self.is_stub = False
        self._registers = Registers(chip, self.flash)
        self._master, self._slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stop, self._stopper = os.pipe()
        self._received = b""
        self._segment = 0
        self._write_at = 0
        self._sequence = 0
        self._inflate = zlib.decompressobj()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.unplug()
        for descriptor in (self._slave, self._stop, self._stopper):
            os.close(descriptor)
        if kind is None:
            assert self.errors == []

    def unplug(self) -> None:
        """Pull the cable."""
        os.write(self._stopper, b"x")
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                self._handle(self._frame())
        except _Unplugged:
            pass
        except BaseException as error:  # the test sees it at the end
            self.errors.append(error)
        finally:
            os.close(self._master)

    def _frame(self) -> bytes:
        """Return the next SLIP frame, unescaped; bytes between frames are line noise."""
        while True:
            start = self._received.find(END)
            end = self._received.find(END, start + 1) if start >= 0 else -1
            if end > start + 1:
                frame, self._received = self._received[start + 1 : end], self._received[end + 1 :]
                return frame.replace(ESC + b"\xdc", END).replace(ESC + b"\xdd", ESC)
            if end >= 0:  # the end of one frame and the start of the next
                self._received = self._received[end:]
                continue
            assert len(self._received) < FRAME_LIMIT
            readable, _, _ = select.select([self._master, self._stop], [], [])
            if self._stop in readable:
                raise _Unplugged
            self._received += os.read(self._master, 65536)

    def _send(self, frame: bytes) -> None:
        data = END + frame.replace(ESC, ESC + b"\xdd").replace(END, ESC + b"\xdc") + END
        while data:
            readable, writable, _ = select.select([self._stop], [self._master], [])
            if readable:
                raise _Unplugged
            assert writable
            data = data[os.write(self._master, data[:4096]) :]

    def _answer(self, command: int, *, value: int = 0, data: bytes = b"", status: bytes = b"\0\0") -> None:
        padding = b"" if self.is_stub else b"\0\0"
        body = data + status + padding
        self._send(struct.pack("<BBHI", 1, command, len(body), value) + body)

    def _handle(self, frame: bytes) -> None:
        if self.faults.says:
            os.write(self._master, self.faults.says)
        if self.faults.silent or self.faults.says:
            return
        direction, command, size, checksum = struct.unpack_from("<BBHI", frame)
        data = frame[8:]
        assert direction == 0
        assert size == len(data)
        self.commands.append(command)
        if (command in STUB_ONLY and not self.is_stub) or (command == SECURITY_INFO and self.chip.chip_id is None):
            self._answer(NO_SUCH_COMMAND, status=INVALID_MESSAGE)
        elif command in {MEM_DATA, FLASH_DATA, DEFL_DATA}:
            self._handle_block(command, data, checksum)
        else:
            self._handle_command(command, data)

    def _handle_command(self, command: int, data: bytes) -> None:
        words = struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])
        if command == SYNC:
            for _ in range(8):
                self._answer(SYNC, value=0 if self.is_stub else ROM_SYNC_VALUE)
        elif command == MEM_END:
            self._start_stub(words[1])
        elif command == READ_FLASH:
            self._read_flash(*words)
        elif command == READ_REG:
            self._answer(command, value=self._registers.read(words[0]))
        elif command == SECURITY_INFO:
            info = struct.pack("<IB7sII", self.chip.security_flags, 0, bytes(7), self.chip.chip_id, 0)
            self._answer(command, data=info)
        elif command == FLASH_MD5:
            digest = hashlib.md5(self.flash.data[words[0] : words[0] + words[1]])
            self._answer(command, data=digest.digest() if self.is_stub else digest.hexdigest().encode())
        else:
            self._carry_out(command, words)
            self._answer(command)

    def _carry_out(self, command: int, words: tuple[int, ...]) -> None:
        """Carry out a command that is answered only with its status."""
        if command == WRITE_REG:
            for start in range(0, len(words), 4):
                address, value, mask, _delay_us = words[start : start + 4]
                self._registers.write(address, value, mask)
        elif command == MEM_BEGIN:
            self._segment, self._sequence = words[3], 0
            self.ram[self._segment] = b""
        elif command in {FLASH_BEGIN, DEFL_BEGIN}:
            self._write_at, self._sequence, self._inflate = words[3], 0, zlib.decompressobj()
            self.flash.erase(words[3], words[0])
        elif command == ERASE_FLASH:
            self.flash.erase(0, len(self.flash.data))
        else:
            assert command in {SPI_ATTACH, SPI_SET_PARAMS, CHANGE_BAUDRATE, FLASH_END, DEFL_END}, hex(command)

    def _handle_block(self, command: int, data: bytes, checksum: int) -> None:
        size, sequence = struct.unpack_from("<II", data)
        block = data[16:]
        found = 0xEF
        for byte in block:
            found ^= byte
        if found != checksum or size != len(block):
            self._answer(command, status=BAD_CHECKSUM)
            return
        if sequence != self._sequence:
            self._answer(command, status=WRONG_RESULT)
            return
        self._sequence += 1
        if command == MEM_DATA:
            self.ram[self._segment] += block
        else:
            self._program(self._inflate.decompress(block) if command == DEFL_DATA else block)
        self._answer(command)

    def _program(self, data: bytes) -> None:
        limits = [n for n in (self.faults.unplug_after, self.faults.hang_after) if n is not None]
        left = max(0, min(limits, default=1 << 40) - self.flash.programmed)
        self.flash.program(self._write_at, data[:left])
        self._write_at += len(data)
        if len(data) > left:
            if self.faults.unplug_after is None:
                self.faults.silent = True
                self._frame_forever()
            raise _Unplugged

    def _frame_forever(self) -> None:
        while True:
            self._frame()

    def _start_stub(self, entry: int) -> None:
        assert any(start <= entry < start + len(code) for start, code in self.ram.items())
        self._answer(MEM_END)
        self.is_stub = True
        self._send(b"OHAI")

    def _read_flash(self, offset: int, size: int, block_size: int, max_in_flight: int) -> None:
        """Send blocks ahead of their acknowledgements, then the MD5 of all."""
        self._answer(READ_FLASH)
        data = bytes(self.flash.data[offset : offset + size])
        sent = acknowledged = 0
        while acknowledged < size:
            while sent < size and sent - acknowledged < max_in_flight * block_size:
                self._send(data[sent : sent + block_size])
                sent += min(block_size, size - sent)
            (acknowledged,) = struct.unpack("<I", self._frame())
        self._send(hashlib.md5(data).digest())
