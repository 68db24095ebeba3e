"""The chips that the fake ROM loader emulates: the registers that esptool reads, and the SPI flash.

Register addresses: the technical reference manuals, as esptool's targets have them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SECTOR = 4096
MAC = bytes.fromhex("240ac4123456")
_MAC_LOW, _MAC_HIGH = int.from_bytes(MAC[2:]), int.from_bytes(MAC[:2])

RDID, RDSFDP = 0x9F, 0x5A
SFDP_SIGNATURE = 0x50444653
WINBOND = 0xEF
COMMAND_USR = 1 << 18


class NorFlash:
    """SPI flash: erasing sets bits, programming only clears them. `stuck` is a byte that has worn out."""

    def __init__(self, size: int = 4 << 20) -> None:
        self.data = bytearray(b"\xff" * size)
        self.stuck: int | None = None
        self.programmed = 0

    def erase(self, offset: int, size: int) -> None:
        start, end = offset // SECTOR * SECTOR, -(-(offset + size) // SECTOR) * SECTOR
        self.data[start:end] = b"\xff" * (end - start)

    def program(self, offset: int, new: bytes) -> None:
        old = self.data[offset : offset + len(new)]
        both = int.from_bytes(old) & int.from_bytes(new)
        self.data[offset : offset + len(new)] = both.to_bytes(len(new))
        if self.stuck is not None:
            self.data[self.stuck] = 0
        self.programmed += len(new)

    @property
    def id(self) -> int:
        """The answer to RDID as esptool reads it: vendor, type, log2 of the size."""
        return (len(self.data).bit_length() - 1) << 16 | 0x40 << 8 | WINBOND


@dataclass(frozen=True)
class ChipModel:
    """One kind of chip; `chip_id` is None for those whose ROM has no security info (ESP32)."""

    name: str
    chip_id: int | None
    image_chip_id: int
    image_offset: int
    revision: int
    spi_base: int
    spi_usr2: int
    spi_w0: int
    spi_address_shift: int
    registers: dict[int, int] = field(repr=False)
    security_flags: int = 0


def _efuse_block1(base: int, minor: int) -> dict[int, int]:
    return {base + 0x44: _MAC_LOW, base + 0x48: _MAC_HIGH, base + 0x44 + 12: minor << 18}


ESP32 = ChipModel(
    "ESP32",
    None,
    image_chip_id=0,
    image_offset=0x1000,
    revision=301,
    spi_base=0x3FF42000,
    spi_usr2=0x24,
    spi_w0=0x80,
    spi_address_shift=8,
    registers={
        0x40001000: 0x00F01D83,
        0x3FF5A004: _MAC_LOW,
        0x3FF5A008: _MAC_HIGH,
        0x3FF5A00C: 1 << 15 | 1 << 9,  # revision bit 0; package ESP32-D0WD
        0x3FF5A014: 1 << 20 | 1 << 24,  # revision bit 1; minor version
        0x3FF6607C: 1 << 31,  # revision bit 2
    },
)
ESP32_S3 = ChipModel(
    "ESP32-S3",
    9,
    image_chip_id=9,
    image_offset=0,
    revision=2,
    spi_base=0x60002000,
    spi_usr2=0x20,
    spi_w0=0x58,
    spi_address_shift=0,
    registers=_efuse_block1(0x60007000, minor=2),
)
ESP32_C3 = ChipModel(
    "ESP32-C3",
    5,
    image_chip_id=5,
    image_offset=0,
    revision=4,
    spi_base=0x60002000,
    spi_usr2=0x20,
    spi_w0=0x58,
    spi_address_shift=0,
    registers=_efuse_block1(0x60008800, minor=4),
)
ESP32_C6 = ChipModel(
    "ESP32-C6",
    13,
    image_chip_id=13,
    image_offset=0,
    revision=1,
    spi_base=0x60003000,
    spi_usr2=0x20,
    spi_w0=0x58,
    spi_address_shift=0,
    registers=_efuse_block1(0x600B0800, minor=1),
)
ESP8266 = ChipModel(
    "ESP8266",
    None,
    image_chip_id=-1,
    image_offset=0,
    revision=0,
    spi_base=0x60000200,
    spi_usr2=0x24,
    spi_w0=0x40,
    spi_address_shift=0,
    registers={0x40001000: 0xFFF0C101},
)
CHIPS = (ESP32, ESP32_S3, ESP32_C3, ESP32_C6)


class Registers:
    """A chip's memory-mapped registers; a user command to its SPI controller is carried out on the flash."""

    def __init__(self, chip: ChipModel, flash: NorFlash) -> None:
        self._chip, self._flash = chip, flash
        self._values = dict(chip.registers)

    def read(self, address: int) -> int:
        return self._values.get(address, 0)

    def write(self, address: int, value: int, mask: int) -> None:
        self._values[address] = self.read(address) & ~mask | value & mask
        if address == self._chip.spi_base and value & COMMAND_USR:
            self._values[address] = 0  # done at once
            self._values[self._chip.spi_base + self._chip.spi_w0] = self._spi_command()

    def _spi_command(self) -> int:
        command = self.read(self._chip.spi_base + self._chip.spi_usr2) & 0xFFFF
        if command == RDID:
            return self._flash.id
        if command == RDSFDP:
            address = self.read(self._chip.spi_base + 4) >> self._chip.spi_address_shift
            return {0: SFDP_SIGNATURE, 0x10: WINBOND}[address]
        return 0
