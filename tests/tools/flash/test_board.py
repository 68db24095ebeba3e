"""A board over the real esptool: what it is, its flash written and verified, and every way in which that fails."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import esptool.loader
import pytest
import serial
from mqtt443_tools.flash.flash_errors import BoardError, NoAnswerError, PortError, WriteError
from mqtt443_tools.flash.loader import connect
from mqtt443_tools.flash.ports import open_port

from tests.support.chip.esp_image import image, table
from tests.support.chip.rom import FLASH_MD5, Faults
from tests.support.chip.rom_chip import CHIPS, ESP32, ESP32_C3, ESP32_S3, ESP8266, ChipModel, NorFlash
from tests.tools.flash.conftest import Connect, Plug

NOISE = os.urandom(50_000)  # does not compress, so every byte is on the wire


def nothing(done: int, total: int) -> None:
    pass


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_board_says_what_it_is(connected: Connect, chip: ChipModel) -> None:
    _, board = connected(chip)
    assert (board.chip, board.chip_id, board.image_offset) == (chip.name, chip.image_chip_id, chip.image_offset)
    assert board.revision == chip.revision
    assert board.mac == "24:0a:c4:12:34:56"
    assert board.flash_bytes == 4 << 20


@pytest.mark.parametrize("size_mb", [2, 8, 16])
def test_flash_size_is_detected(connected: Connect, size_mb: int) -> None:
    _, board = connected(ESP32_S3, NorFlash(size_mb << 20))
    assert board.flash_bytes == size_mb << 20


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_write_erases_everything_first(connected: Connect, chip: ChipModel) -> None:
    rom, board = connected(chip)
    rom.flash.program(0x3FFF00, b"old files")
    whole = image(chip, code=NOISE)
    board.write([(chip.image_offset, whole)], nothing)
    expected = bytearray(b"\xff" * (4 << 20))
    expected[chip.image_offset : chip.image_offset + len(whole)] = whole
    assert rom.flash.data == expected
    assert FLASH_MD5 in rom.commands


def test_two_parts_are_both_written(connected: Connect) -> None:
    rom, board = connected()
    board.write([(0x1000, b"image" * 100), (0x200000, b"files" * 100)], nothing)
    assert rom.flash.data[0x1000:0x1005] == b"image"
    assert rom.flash.data[0x200000:0x200005] == b"files"


def test_progress_grows_to_the_end(connected: Connect) -> None:
    _, board = connected()
    seen = []
    board.write([(0x1000, NOISE)], lambda done, total: seen.append((done, total)))
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_partition_table_is_read_from_the_board(connected: Connect) -> None:
    rom, board = connected()
    rows = ((0, 0, 0x10000, 0x100000, "factory"),)
    rom.flash.program(0x8000, table(rows))
    assert [(p.type, p.subtype, p.offset, p.size, p.label) for p in board.partitions()] == list(rows)


def test_output_of_esptool_is_passed_on_if_wanted(plug: Plug) -> None:
    rom = plug()
    lines: list[str] = []
    with connect(open_port(rom.port), attempts=1, log=lines.append) as board:
        board.read(0, 16)
    assert "Uploading stub flasher..." in lines
    assert lines == [line.strip() for line in lines if line.strip()]


def test_esptool_prints_nothing_by_itself(connected: Connect, capfd: pytest.CaptureFixture[str]) -> None:
    _, board = connected()
    board.write([(0x1000, NOISE)], nothing)
    board.restart()
    assert capfd.readouterr() == ("", "")


def test_second_connection_finds_the_stub_still_running(connected: Connect) -> None:
    rom, board = connected()
    uploaded = dict(rom.ram)
    with contextlib.suppress(OSError):
        board._esp._port.close()
    rom.ram.clear()
    with connect(open_port(rom.port), attempts=1) as again:
        assert again.chip == "ESP32-C3"
    assert uploaded
    assert rom.ram == {}


def test_silent_board_gets_the_advice_to_hold_boot(plug: Plug) -> None:
    rom = plug(faults=Faults(silent=True))
    with pytest.raises(NoAnswerError, match=rf"no ESP32 answers on {rom.port}: hold its BOOT button, press and let go"):
        connect(open_port(rom.port), attempts=1)


def test_chatty_board_gets_the_advice_to_hold_boot(plug: Plug) -> None:
    rom = plug(faults=Faults(says=b"published telemetry/b1\r\n"))
    with pytest.raises(NoAnswerError, match="hold its BOOT button"):
        connect(open_port(rom.port), attempts=1)


def test_port_is_free_again_after_a_silent_board(plug: Plug) -> None:
    rom = plug(faults=Faults(silent=True))
    port = open_port(rom.port)
    with pytest.raises(NoAnswerError):
        connect(port, attempts=1)
    open_port(rom.port).close()


def test_port_that_goes_away_while_connecting_is_named(plug: Plug) -> None:
    rom = plug()
    port = open_port(rom.port)
    rom.unplug()
    with pytest.raises(PortError, match=rf"{rom.port} was unplugged: check the cable"):
        connect(port, attempts=1)


def test_unsupported_rate_is_named(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    rom = plug()
    port = open_port(rom.port)

    known = type(port).baudrate

    def set_rate(port: serial.Serial, rate: int) -> None:
        if rate > 115200:
            raise OSError(22, "Invalid argument")
        known.fset(port, rate)

    monkeypatch.setattr(type(port), "baudrate", property(known.fget, set_rate))
    with pytest.raises(PortError, match=f"{rom.port} does not support 460800 bits per second: add --baud 115200"):
        connect(port, attempts=1)


@pytest.mark.parametrize("after", [0, 40_000, 0x10000 + 40_000])
def test_pulled_cable_gives_advice_and_flashing_can_be_repeated(connected: Connect, after: int) -> None:
    rom, board = connected(faults=Faults(unplug_after=after))
    whole = image(code=NOISE)
    with pytest.raises(WriteError, match=r"was unplugged while it was written: check the cable, then run the same"):
        board.write([(0, whole)], nothing)
    assert rom.flash.data[: len(whole)] != whole
    rom_again, board_again = connected(flash=rom.flash)
    board_again.write([(0, whole)], nothing)
    assert rom_again.flash.data[: len(whole)] == whole


def test_other_board_on_the_port_of_an_unplugged_one_is_left_alone(plug: Plug, tmp_path: Path) -> None:
    first, second = plug(faults=Faults(unplug_after=0x10000 + 40_000)), plug()
    name = tmp_path / "ttyUSB0"
    name.symlink_to(first.port)

    def swap(done: int, total: int) -> None:
        name.unlink(missing_ok=True)
        name.symlink_to(second.port)

    with connect(open_port(str(name)), attempts=1) as board, pytest.raises(WriteError, match="was unplugged"):
        board.write([(0, image(code=NOISE))], swap)
    assert second.commands == []


def test_chip_that_stops_answering_while_writing_says_what_to_do(
    connected: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(esptool.loader, "WRITE_BLOCK_ATTEMPTS", 1)  # one wait of 3 s instead of three
    _, board = connected(faults=Faults(hang_after=20_000))
    with pytest.raises(WriteError, match=r"stopped answering while it was written \(.+\): check the cable"):
        board.write([(0x1000, NOISE)], nothing)


def test_flash_that_loses_data_is_detected(connected: Connect) -> None:
    rom, board = connected()
    rom.flash.stuck = 0x2345
    with pytest.raises(WriteError, match=r"verifying failed: .* run this again with --baud 115200; if it fails again"):
        board.write([(0x1000, NOISE)], nothing)


def test_flash_that_cannot_be_written_is_detected(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    rom, board = connected()
    monkeypatch.setattr(rom.flash, "program", nothing)
    with pytest.raises(WriteError, match="verifying failed"):
        board.write([(0x1000, NOISE)], nothing)


def test_chip_without_flash_is_reported(plug: Plug, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NorFlash, "id", 0xFFFFFF)
    with pytest.raises(BoardError, match="cannot reach its flash: disconnect what is wired"):
        connect(open_port(plug().port), attempts=1)


@pytest.mark.parametrize(
    "chip",
    [
        replace(ESP32_S3, security_flags=1 << 2),  # secure download mode
        replace(ESP32, registers={**ESP32.registers, 0x3FF5A000: 1 << 20}),  # flash encryption
        replace(ESP32, registers={**ESP32.registers, 0x3FF5A018: 1 << 4}),  # secure boot v1
        replace(ESP32_C3, registers={**ESP32_C3.registers, 0x60008838: 1 << 20}),  # secure boot
    ],
    ids=["secure download", "flash encryption", "secure boot v1", "secure boot"],
)
def test_locked_chip_is_left_alone(plug: Plug, chip: ChipModel) -> None:
    rom = plug(chip)
    with pytest.raises(BoardError, match="is permanently locked by its maker"):
        connect(open_port(rom.port), attempts=1)
    assert not rom.is_stub


def test_esp8266_is_refused_by_name(plug: Plug) -> None:
    with pytest.raises(BoardError, match="ESP8266, which is too small"):
        connect(open_port(plug(ESP8266).port), attempts=1)


def test_failed_restart_is_not_an_error(connected: Connect) -> None:
    _, board = connected()
    assert board.restart()
    board._esp._port.close()
    board._esp._port.open = lambda: (_ for _ in ()).throw(serial.SerialException("gone"))
    assert not board.restart()
