"""Images are read from their bytes, and refused for a board they would not run on."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.flash.flash_errors import ImageError
from mqtt443_tools.flash.image import MAX_BYTES, Bundle, Image, parse_image, read_image
from mqtt443_tools.flash.partitions import TABLE_OFFSET, Partition, parse_table
from mqtt443_tools.flash.partitions import file_system as place_of_files

from tests.support.chip.esp_image import APP, WITH_VFS, WITHOUT_VFS, Row, app, file_system, image
from tests.support.chip.rom_chip import CHIPS, ESP32, ESP32_C3, ESP32_S3, ChipModel


@dataclass
class Chip:
    chip: str = "ESP32-C3"
    chip_id: int = 5
    revision: int = 4
    image_offset: int = 0
    flash_bytes: int = 4 << 20


ON = {c.name: Chip(c.name, c.image_chip_id, c.revision, c.image_offset) for c in CHIPS}


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
@pytest.mark.parametrize("rows", [WITHOUT_VFS, WITH_VFS], ids=["since 1.26", "up to 1.25"])
def test_image_fits_its_own_chip(chip: ChipModel, rows: tuple[Row, ...]) -> None:
    whole = parse_image("a.bin", image(chip, rows=rows))
    whole.check(ON[chip.name])
    assert [p.label for p in whole.partitions(chip.image_offset)] == [row[4] for row in rows]


@pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)
def test_image_for_another_chip_names_both(chip: ChipModel) -> None:
    other = ESP32 if chip is not ESP32 else ESP32_S3
    with pytest.raises(ImageError, match=rf"a.bin is for {chip.name}, and this board has an {other.name}$"):
        parse_image("a.bin", image(chip)).check(ON[other.name])


def test_image_for_an_unknown_chip_gives_its_number() -> None:
    stranger = replace(ESP32_C3, image_chip_id=77)
    with pytest.raises(ImageError, match="is for a chip with id 77"):
        parse_image("a.bin", image(stranger)).check(Chip())


@pytest.mark.parametrize(
    ("revisions", "said"), [((100, 0xFFFF), "v1.0 to any"), ((0, 3), r"v0.0 to v0.3")], ids=["too old", "too new"]
)
def test_image_for_another_revision_names_the_range(revisions: tuple[int, int], said: list[str]) -> None:
    with pytest.raises(ImageError, match=rf"is for revisions {said} of the ESP32-C3, and this one is v0.4"):
        parse_image("a.bin", image(revisions=revisions)).check(Chip())


def test_old_image_without_a_revision_fits_all() -> None:
    assert parse_image("a.bin", image(revisions=(0, 0))).max_revision == 0xFFFF
    parse_image("a.bin", image(revisions=(0, 0))).check(Chip())


def test_image_built_for_more_flash_is_refused() -> None:
    with pytest.raises(ImageError, match="built for 8 MB of flash, and this board has 4 MB"):
        parse_image("a.bin", image(flash_mb=8)).check(Chip())


def test_partitions_beyond_the_flash_are_refused() -> None:
    with pytest.raises(ImageError, match="takes 4 MB of flash, and this board has 2 MB"):
        parse_image("a.bin", image(rows=WITH_VFS, flash_mb=2)).check(Chip(flash_bytes=2 << 20))


def test_file_larger_than_the_flash_is_refused() -> None:
    rows = ((APP, 0, 0x10000, 0x1F0000, "factory"),)
    big = image(rows=rows, flash_mb=2) + b"\xff" * (2 << 20)
    with pytest.raises(ImageError, match=r"takes 2.063 MB of flash, and this board has 2 MB"):
        parse_image("a.bin", big).check(Chip(flash_bytes=2 << 20))


def test_application_alone_is_distinguished_from_a_whole_image() -> None:
    with pytest.raises(ImageError, match="has no partition table at 0x8000: it is only a part of an image"):
        parse_image("micropython.bin", app(code=bytes(100_000))).check(Chip())


@pytest.mark.parametrize("keep", [0x9000, 0x10000], ids=["no application", "not a byte of it"])
def test_truncated_image_is_refused(keep: int) -> None:
    with pytest.raises(ImageError, match="has no complete application at 0x10000: is the file damaged"):
        parse_image("a.bin", image()[:keep]).check(Chip())


def test_application_larger_than_its_partition_is_refused() -> None:
    rows = ((APP, 0, 0x10000, 0x1000, "factory"), (1, 0x81, 0x11000, 0x100000, "vfs"))
    with pytest.raises(ImageError, match="has no complete application"):
        parse_image("a.bin", image(rows=rows, code=bytes(0x2000))).check(Chip())


@pytest.mark.parametrize("data", [b"", b"\xe9", b"<!DOCTYPE html>" + bytes(100), b"\xff" * 4096])
def test_other_file_is_not_an_image(data: bytes) -> None:
    with pytest.raises(ImageError, match=r"a.bin is not an ESP32 image"):
        parse_image("a.bin", data)


@given(st.binary(max_size=64), st.binary(max_size=200), st.integers(0, 0x11000))
def test_any_bytes_parse_or_raise_an_image_error(head: bytes, patch: bytes, at: int) -> None:
    whole = bytearray(image())
    whole[: len(head)] = head
    whole[at : at + len(patch)] = patch
    try:
        parsed = parse_image("a.bin", bytes(whole))
        assert isinstance(parsed, Image)
        parsed.check(Chip())
    except ImageError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=4000))
def test_any_bytes_parse_to_complete_partitions(data: bytes) -> None:
    for partition in parse_table(data):
        assert partition.end == partition.offset + partition.size
    assert len(parse_table(b"\xaa\x50" * 4000)) <= 96


def test_missing_file_and_huge_file_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none.bin: No such file or directory"):
        read_image(tmp_path / "none.bin")
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ImageError, match="larger than 33,554,432 bytes"):
        read_image(huge)


def test_files_are_in_the_partition_or_in_the_remaining_flash() -> None:
    with_vfs, without = (parse_image("a", image(rows=rows)).partitions(0) for rows in (WITH_VFS, WITHOUT_VFS))
    assert place_of_files(with_vfs, 16 << 20) == Partition(1, 0x81, 0x200000, 0x200000, "vfs")
    assert place_of_files(without, 16 << 20) == Partition(1, 0x81, 0x200000, 14 << 20, "vfs")
    assert place_of_files(without, 2 << 20) is None
    assert place_of_files((), 4 << 20) is None


def test_bundle_goes_where_micropython_looks() -> None:
    room = Partition(1, 0x81, 0x200000, 0x200000, "vfs")
    assert Bundle("files.bin", file_system({"main.py": b"1"})).offset(room) == 0x200000


@pytest.mark.parametrize("blocks", [128, 511, 513])
def test_bundle_of_another_size_is_refused(blocks: int) -> None:
    room = Partition(1, 0x81, 0x200000, 0x200000, "vfs")
    with pytest.raises(ImageError, match=rf"made for {blocks} blocks of 4096 bytes, but .* the board has 512: make it"):
        Bundle("files.bin", file_system({"main.py": b"1"}, blocks)).offset(room)


@pytest.mark.parametrize("data", [b"", bytes(8) + b"littlefs", image(), b"\xff" * 8192])
def test_other_file_is_not_a_bundle(data: bytes) -> None:
    with pytest.raises(ImageError, match="is not a littlefs image"):
        Bundle("files.bin", data).offset(Partition(1, 0x81, 0x200000, 0x200000, "vfs"))


def test_bundle_without_room_is_refused() -> None:
    with pytest.raises(ImageError, match="leaves no room for files"):
        Bundle("files.bin", file_system({})).offset(None)


def test_partition_table_offset_is_that_of_esptool() -> None:
    assert image()[TABLE_OFFSET : TABLE_OFFSET + 2] == b"\xaa\x50"
    assert image(ESP32)[TABLE_OFFSET - 0x1000 :][:2] == b"\xaa\x50"
