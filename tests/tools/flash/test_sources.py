"""Images by release and by version: the right file for a chip, from the right address, with the right sum."""

import hashlib

import pytest
from mqtt443_tools.flash.flash_errors import ImageError
from mqtt443_tools.flash.image_sources import OURS, STOCK, STOCK_DATES, Release, Stock, check_sha256
from mqtt443_tools.support.download import DownloadError, Downloads
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.paths import ROOT

from tests.support.chip.esp_image import image
from tests.support.chip.file_server import Server
from tests.support.chip.rom_chip import CHIPS, ESP32_S3

IMAGE = image(ESP32_S3)
SHA256 = hashlib.sha256(IMAGE).hexdigest()
OTHER = "0" * 64


def released(server: Server, sums: bytes) -> Release:
    folder = "/someone/mqtt443/releases/download/v1.0"
    server.pages |= {f"{folder}/SHA256SUMS": sums, f"{folder}/MQTT443_ESP32_S3.bin": IMAGE}
    return Release("someone/mqtt443", "v1.0", server.url)


@pytest.mark.parametrize("line", ["{} *MQTT443_ESP32_S3.bin", "{}  MQTT443_ESP32_S3.bin", "{}  ./MQTT443_ESP32_S3.bin"])
def test_image_of_a_release_is_checked_against_its_sums(server: Server, downloads: Downloads, line: str) -> None:
    release = released(server, f"{OTHER}  MQTT443_ESP32.bin\n{line.format(SHA256)}\n".encode())
    found = release.get("ESP32-S3", downloads)
    assert (found.name, found.data) == ("MQTT443_ESP32_S3.bin", IMAGE)


def test_image_of_a_release_with_another_sum_is_refused(server: Server, downloads: Downloads) -> None:
    release = released(server, f"{OTHER}  MQTT443_ESP32_S3.bin\n".encode())
    with pytest.raises(DownloadError, match=f"expected {OTHER}"):
        release.get("ESP32-S3", downloads)


def test_release_whose_sums_do_not_list_the_image_is_refused(server: Server, downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match=r"SHA256SUMS does not list MQTT443_ESP32_S3\.bin: is the tag right"):
        released(server, b"\xff\n" + SHA256.encode() + b"  other.bin\n").get("ESP32-S3", downloads)


def test_given_sum_is_checked_for_a_release_too(server: Server, downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match=f"MQTT443_ESP32_S3.bin of v1.0 has SHA-256 {SHA256}, expected {OTHER}"):
        released(server, f"{SHA256}  MQTT443_ESP32_S3.bin\n".encode()).get("ESP32-S3", downloads, OTHER)


def test_stock_micropython_is_found_by_its_version(server: Server, downloads: Downloads) -> None:
    server.pages["/resources/firmware/ESP32_GENERIC_S3-20250911-v1.26.1.bin"] = IMAGE
    assert Stock("1.26.1", server.url).get("ESP32-S3", downloads).data == IMAGE
    assert Stock("1.26.1", server.url).get("ESP32-S3", downloads, SHA256).data == IMAGE
    assert len(server.asked) == 1


def test_stock_micropython_with_another_sum_is_refused(server: Server, downloads: Downloads) -> None:
    server.pages["/resources/firmware/ESP32_GENERIC_S3-20250911-v1.26.1.bin"] = IMAGE
    with pytest.raises(DownloadError, match=f"expected {OTHER}"):
        Stock("1.26.1", server.url).get("ESP32-S3", downloads, OTHER)


def test_downloaded_page_is_not_an_image(server: Server, downloads: Downloads) -> None:
    server.pages["/resources/firmware/ESP32_GENERIC-20250911-v1.26.1.bin"] = b"<html>" + bytes(100)
    with pytest.raises(ImageError, match="is not an ESP32 image"):
        Stock("1.26.1", server.url).get("ESP32", downloads)


def test_chip_without_an_image_lists_the_supported_chips(downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match=r"no image for the ESP32-H2, only for ESP32, ESP32-S2.*add --image FILE"):
        Stock("1.26.1").get("ESP32-H2", downloads)


@pytest.mark.parametrize("version", ["1.26", "latest", "../../x"])
def test_unknown_version_lists_the_known(version: str) -> None:
    with pytest.raises(UsageError, match=r"known are 1.24.1, .*; for another, download its .bin"):
        Stock(version)


@pytest.mark.parametrize(("repository", "tag"), [("mqtt443", "v1"), ("a/b/c", "v1"), ("a/b", "../v1"), ("a/b", "")])
def test_impossible_release_is_wrong_use(repository: str, tag: str) -> None:
    with pytest.raises(UsageError, match=r"expected (OWNER/NAME|the tag)"):
        Release(repository, tag)


def test_malformed_sum_is_wrong_use() -> None:
    assert check_sha256(SHA256.upper()) == SHA256
    with pytest.raises(UsageError, match="expected 64 hexadecimal digits"):
        check_sha256("abc")


def test_image_names_match_the_workflow() -> None:
    workflow = (ROOT / ".github/workflows/image.yml").read_text()
    assert f"board: [{', '.join(OURS.values())}]" in workflow
    assert set(OURS) == {chip.name for chip in CHIPS}
    assert set(OURS) <= set(STOCK)
    assert "1.26.1" in STOCK_DATES
    assert (ROOT / "firmware/image/build.sh").read_text().count("micropython=v1.26.1") == 1
