"""What a board would lose is found by reading little of it, and never by writing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.flash.contents import MAX_NAMES, held
from mqtt443_tools.flash.flash_errors import PortError
from mqtt443_tools.flash.partitions import SECTOR_BYTES, Partition, parse_table

from tests.support.chip.esp_image import WITH_VFS, WITHOUT_VFS, file_system, table

FLASH = 4 << 20
PLACE = 0x200000
OLD, NEW = parse_table(table(WITH_VFS)), parse_table(table(WITHOUT_VFS))


class Flash:
    """Flash in memory that counts what is read."""

    def __init__(self, files: bytes, place: int = PLACE) -> None:
        self.data = bytearray(b"\xff" * FLASH)
        self.data[place : place + len(files)] = files
        self.read_bytes = 0

    def read(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= FLASH
        self.read_bytes += size
        return bytes(self.data[offset : offset + size])


@pytest.mark.parametrize("table", [OLD, NEW], ids=["up to 1.25", "since 1.26"])
def test_files_and_folders_are_named(table: tuple[Partition, ...]) -> None:
    flash = Flash(file_system({"boot.py": b"1", "main.py": b"2" * 9000, "lib/mqtt443/__init__.py": b"3"}))
    assert held(flash.read, table, FLASH) == ["boot.py", "lib/", "main.py"]


@pytest.mark.parametrize("partitions", [(), OLD, NEW], ids=["no table", "up to 1.25", "since 1.26"])
def test_erased_flash_holds_nothing(partitions: tuple[Partition, ...]) -> None:
    assert held(Flash(b"").read, partitions, FLASH) == []


def test_empty_file_system_holds_nothing() -> None:
    assert held(Flash(file_system({})).read, NEW, FLASH) == []


def test_listing_reads_few_blocks_of_a_full_file_system() -> None:
    flash = Flash(file_system({f"data/{n}.bin": bytes(40_000) for n in range(40)} | {"main.py": b"x"}))
    assert held(flash.read, NEW, FLASH) == ["data/", "main.py"]
    assert flash.read_bytes <= 8 * SECTOR_BYTES


def test_long_listing_is_shortened() -> None:
    flash = Flash(file_system({f"{n:03}.txt": b"" for n in range(100)}))
    names = held(flash.read, NEW, FLASH)
    assert names == [f"{n:03}.txt" for n in range(MAX_NAMES)] + ["and more"]


def test_half_written_superblock_falls_back_to_its_copy() -> None:
    files = bytearray(file_system({"main.py": b"x"}))
    files[:SECTOR_BYTES] = b"\xff" * SECTOR_BYTES
    assert held(Flash(bytes(files)).read, NEW, FLASH) == ["main.py"]


def test_broken_littlefs_counts_as_data() -> None:
    files = bytearray(file_system({"main.py": b"x"}))
    for block in (0, SECTOR_BYTES):
        files[block + 40 : block + SECTOR_BYTES] = bytes(SECTOR_BYTES - 40)
    assert held(Flash(bytes(files)).read, NEW, FLASH) == ["data in partition vfs that is not a readable littlefs"]


def test_other_file_systems_count_as_data() -> None:
    rows = ((1, 0x82, 0x290000, 0x100000, "spiffs\x1b[2J"),)
    found = held(Flash(b"\xeb\x3c\x90MSDOS5.0", 0x290000).read, parse_table(table(rows)), FLASH)
    assert found == ["data in partition spiffs\\x1b[2J that is not a readable littlefs"]


def test_partition_beyond_the_flash_is_not_read() -> None:
    rows = ((1, 0x81, 0x3FF000, 0x200000, "vfs"),)
    assert held(Flash(b"").read, parse_table(table(rows)), FLASH) == []


def test_board_unplugged_during_a_listing_is_an_error() -> None:
    flash = Flash(file_system({"main.py": b"x"}))

    def read(offset: int, size: int) -> bytes:
        if size == SECTOR_BYTES:  # littlefs's own reads
            raise PortError("was unplugged")
        return flash.read(offset, size)

    with pytest.raises(PortError, match="was unplugged"):
        held(read, NEW, FLASH)


def test_listing_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    flash = Flash(file_system({"main.py": b"x"}))
    before = bytes(flash.data)
    held(flash.read, NEW, FLASH)
    assert flash.data == before
    assert capfd.readouterr() == ("", "")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3 * SECTOR_BYTES), st.binary(min_size=1, max_size=300)), max_size=5))
def test_damaged_file_system_never_crashes_the_listing(damage: list[tuple[int, bytes]]) -> None:
    files = bytearray(file_system({"boot.py": b"1", "lib/x.py": b"2"}, 512))
    for at, patch in damage:
        files[at : at + len(patch)] = patch
    for name in held(Flash(bytes(files)).read, NEW, FLASH):
        assert name.isprintable()
