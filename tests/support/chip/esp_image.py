"""Images for the fake boards: small, with everything a real MicroPython image has (and no code that would run)."""

from __future__ import annotations

import hashlib
import struct

from littlefs import LittleFS

from tests.support.chip.rom_chip import ESP32_C3, ChipModel

APP_OFFSET = 0x10000
APP, DATA = 0, 1
Row = tuple[int, int, int, int, str]
WITHOUT_VFS: tuple[Row, ...] = (
    (DATA, 0x02, 0x9000, 0x6000, "nvs"),
    (DATA, 0x01, 0xF000, 0x1000, "phy_init"),
    (APP, 0x00, APP_OFFSET, 0x1F0000, "factory"),
)
"""MicroPython's table since 1.26 (ports/esp32/partitions-4MiBplus.csv)."""
WITH_VFS: tuple[Row, ...] = (*WITHOUT_VFS, (DATA, 0x81, 0x200000, 0x200000, "vfs"))
"""MicroPython's table up to 1.25."""


def app(
    chip: ChipModel = ESP32_C3, *, flash_mb: int = 4, revisions: tuple[int, int] = (0, 0xFFFF), code: bytes = b""
) -> bytes:
    """Return a bootloader or an application: header, one segment, checksum, SHA-256."""
    code = code or b"no code at all! "
    code += bytes(-len(code) % 4)
    size_code = flash_mb.bit_length() - 1
    header = struct.pack("<BBBBI", 0xE9, 1, 2, size_code << 4, 0x40080000)
    header += struct.pack("<B3sHBHH4sB", 0xEE, bytes(3), chip.image_chip_id, 0, *revisions, bytes(4), 1)
    body = header + struct.pack("<II", 0x40080000, len(code)) + code
    checksum = 0xEF
    for byte in code:
        checksum ^= byte
    body += bytes(15 - len(body) % 16) + bytes([checksum])
    return body + hashlib.sha256(body).digest()


def table(rows: tuple[Row, ...]) -> bytes:
    """Return a partition table with its MD5 entry, padded as in flash."""
    entries = b"".join(
        struct.pack("<2sBBII16sI", b"\xaa\x50", kind, subtype, offset, size, label.encode(), 0)
        for kind, subtype, offset, size, label in rows
    )
    return (entries + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries).digest()).ljust(0xC00, b"\xff")


def image(
    chip: ChipModel = ESP32_C3,
    *,
    rows: tuple[Row, ...] = WITHOUT_VFS,
    flash_mb: int = 4,
    code: bytes = b"",
    revisions: tuple[int, int] = (0, 0xFFFF),
) -> bytes:
    """Return a whole image, from the chip's boot offset on."""
    flash = bytearray(b"\xff" * APP_OFFSET)
    parts = {chip.image_offset: app(chip, flash_mb=flash_mb, revisions=revisions), 0x8000: table(rows)}
    for offset, part in parts.items():
        flash[offset : offset + len(part)] = part
    return bytes(flash[chip.image_offset :]) + app(chip, flash_mb=flash_mb, revisions=revisions, code=code)


def file_system(files: dict[str, bytes], blocks: int = 0x200000 // 4096) -> bytes:
    """Return a littlefs with these files and a number of blocks of 4,096 bytes, as MicroPython creates it."""
    fs = LittleFS(block_size=4096, block_count=blocks)
    for path, content in files.items():
        if "/" in path:
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        with fs.open(path, "wb") as file:
            file.write(content)
    return bytes(fs.context.buffer)
