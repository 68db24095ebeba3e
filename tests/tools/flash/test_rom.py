"""The fake ROM loader is itself held to account: by esptool's own checks, its stub, and the rules of NOR flash."""

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import esptool
import pytest
from esptool.targets import ROM_LIST
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.flash.esplog import FatalError, cmds
from mqtt443_tools.flash.loader import ROM_BAUD
from mqtt443_tools.flash.ports import open_port

from tests.support.chip.rom import ERASE_FLASH, FakeRom
from tests.support.chip.rom_chip import CHIPS, ESP32, ESP32_S3, SECTOR, ChipModel, NorFlash
from tests.tools.flash.conftest import Connect, Plug


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_chips_are_those_that_esptool_knows(chip: ChipModel) -> None:
    known = next(rom for rom in ROM_LIST if chip.name == rom.CHIP_NAME)
    assert (chip.image_chip_id, chip.image_offset) == (known.IMAGE_CHIP_ID, known.BOOTLOADER_FLASH_OFFSET)
    assert (chip.chip_id is None) == known.USES_MAGIC_VALUE


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_stub_arrives_in_ram_as_esptool_ships_it(connected: Connect, chip: ChipModel) -> None:
    rom, _ = connected(chip)
    name = chip.name.lower().replace("-", "")
    shipped = json.loads((Path(esptool.__file__).parent / f"targets/stub_flasher/2/{name}.json").read_text())
    assert rom.is_stub
    assert rom.ram[shipped["text_start"]] == base64.b64decode(shipped["text"])
    assert rom.ram[shipped["data_start"]] == base64.b64decode(shipped["data"])


def test_rom_without_the_stub_writes_too(plug: Plug) -> None:
    rom = plug(ESP32_S3)
    data = hashlib.sha256(b"not to be compressed").digest() * 64
    with cmds.detect_chip(open_port(rom.port), ROM_BAUD, connect_attempts=1) as esp:
        cmds.attach_flash(esp)
        cmds.write_flash(esp, [(0x10000, data)])
    assert not rom.is_stub
    assert rom.flash.data[0x10000 : 0x10000 + len(data)] == data


def test_rom_without_the_stub_refuses_what_only_the_stub_can(plug: Plug) -> None:
    rom = plug(ESP32)
    with (
        cmds.detect_chip(open_port(rom.port), ROM_BAUD, connect_attempts=1) as esp,
        pytest.raises(FatalError, match="not supported"),
    ):
        esp.check_command("erase", ERASE_FLASH)
    assert rom.flash.programmed == 0


def test_block_with_a_wrong_checksum_is_refused(plug: Plug) -> None:
    rom = plug()
    with cmds.detect_chip(open_port(rom.port), ROM_BAUD, connect_attempts=1) as esp:
        esp.checksum = {b"block": 0}.get
        with pytest.raises(FatalError, match="Checksum error"):
            esp.mem_block(b"block", 0)


def test_block_out_of_order_is_refused(plug: Plug) -> None:
    rom = plug()
    with cmds.detect_chip(open_port(rom.port), ROM_BAUD, connect_attempts=1) as esp:
        esp.mem_begin(8, 2, 4, 0x40080000)
        with pytest.raises(FatalError, match="the running result is wrong"):
            esp.mem_block(b"data", 1)


def test_read_flash_returns_any_size(connected: Connect) -> None:
    rom, board = connected()
    rom.flash.data[0x1FF0 : 0x1FF0 + 40_000] = bytes(byte % 251 for byte in range(40_000))
    for size in (1, SECTOR - 1, SECTOR, SECTOR + 1, 40_000):
        assert board.read(0x1FF0, size) == rom.flash.data[0x1FF0 : 0x1FF0 + size]


def test_registers_of_another_chip_are_another_chip(plug: Plug) -> None:
    stranger = replace(ESP32, registers={0x40001000: 0x12345678})
    with pytest.raises(FatalError, match="Unexpected chip magic value 0x12345678"):
        cmds.detect_chip(open_port(plug(stranger).port), ROM_BAUD, connect_attempts=1)


def test_error_in_the_fake_fails_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    rom = FakeRom()
    monkeypatch.setattr(rom.flash, "erase", None)  # a bug in the fake
    with (
        pytest.raises(AssertionError),
        rom,
        cmds.detect_chip(open_port(rom.port), ROM_BAUD, connect_attempts=1) as esp,
        pytest.raises((FatalError, OSError)),
    ):
        esp.flash_begin(4, 0)


@given(st.binary(min_size=1, max_size=64), st.binary(min_size=1, max_size=64), st.integers(0, SECTOR - 64))
def test_programming_only_clears_bits_and_erasing_sets_them_all(first: bytes, second: bytes, offset: int) -> None:
    flash = NorFlash(2 * SECTOR)
    flash.program(offset, first)
    assert flash.data[offset : offset + len(first)] == first
    flash.program(offset, second)
    for index in range(min(len(first), len(second))):
        assert flash.data[offset + index] == first[index] & second[index]
    flash.erase(offset, 1)
    assert flash.data == b"\xff" * (2 * SECTOR)
