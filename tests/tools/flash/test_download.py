"""Downloads over real HTTPS, from a server on this machine: whole, checked, kept, and never anything else."""

import hashlib
from pathlib import Path

import pytest
from mqtt443_tools.support import download
from mqtt443_tools.support.download import DownloadError, Downloads, https_opener

from tests.support.chip.esp_image import image
from tests.support.chip.file_server import Server

IMAGE = image()
SHA256 = hashlib.sha256(IMAGE).hexdigest()
OTHER = "0" * 64


def test_file_is_downloaded_once_and_then_cached(
    server: Server, downloads: Downloads, said: list[str], tmp_path: Path
) -> None:
    server.pages["/a.bin"] = IMAGE
    for _ in range(2):
        assert downloads.fetch(f"{server.url}/a.bin", SHA256) == IMAGE
    assert server.asked == ["/a.bin"]
    assert said == [f"downloading {server.url}/a.bin"]
    (kept,) = (tmp_path / "cache").glob("[!.]*")
    assert kept.name.endswith("-a.bin")


def test_file_with_another_sum_is_refused_and_not_kept(server: Server, downloads: Downloads, tmp_path: Path) -> None:
    server.pages["/a.bin"] = IMAGE
    with pytest.raises(DownloadError, match=rf"has SHA-256 {SHA256}, expected {OTHER}: it was damaged or replaced"):
        downloads.fetch(f"{server.url}/a.bin", OTHER)
    assert not (tmp_path / "cache").exists()


def test_damaged_cache_is_downloaded_again(server: Server, downloads: Downloads, tmp_path: Path) -> None:
    server.pages["/a.bin"] = IMAGE
    downloads.fetch(f"{server.url}/a.bin", SHA256)
    (kept,) = (tmp_path / "cache").glob("[!.]*")
    kept.write_bytes(IMAGE[:-1])
    assert downloads.fetch(f"{server.url}/a.bin", SHA256) == IMAGE
    assert kept.read_bytes() == IMAGE


def test_same_name_from_two_addresses_is_two_files(server: Server, downloads: Downloads) -> None:
    server.pages |= {"/1/a.bin": b"one", "/2/a.bin": b"two"}
    assert downloads.fetch_pinned(f"{server.url}/1/a.bin") == b"one"
    assert downloads.fetch_pinned(f"{server.url}/2/a.bin") == b"two"


def test_first_download_without_a_sum_pins_it(server: Server, downloads: Downloads, tmp_path: Path) -> None:
    server.pages["/a.bin"] = IMAGE
    assert downloads.fetch_pinned(f"{server.url}/a.bin") == IMAGE
    server.pages["/a.bin"] = b"another"
    assert downloads.fetch_pinned(f"{server.url}/a.bin") == IMAGE
    next(path for path in (tmp_path / "cache").iterdir() if path.suffix == ".bin").unlink()
    with pytest.raises(DownloadError, match=f"expected {SHA256}"):
        downloads.fetch_pinned(f"{server.url}/a.bin")


def test_missing_file_is_named_with_its_status(server: Server, downloads: Downloads) -> None:
    with pytest.raises(DownloadError, match=r"/none.bin cannot be downloaded \(404 Not Found\): check the name"):
        downloads.download(f"{server.url}/none.bin")


def test_truncated_download_is_an_error(server: Server, downloads: Downloads) -> None:
    server.pages["/a.bin"] = (200, {"Content-Length": "1000"})
    with pytest.raises(DownloadError, match=r"/a.bin (ended after 10 of 1000 bytes|.*IncompleteRead)"):
        downloads.download(f"{server.url}/a.bin")


def test_endless_file_is_cut(server: Server, downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    server.pages["/a.bin"] = bytes(1001)
    with pytest.raises(DownloadError, match="larger than 0 MiB"):
        downloads.download(f"{server.url}/a.bin")


def test_slow_download_ends_at_its_deadline(server: Server, said: list[str], tmp_path: Path) -> None:
    server.pages["/a.bin"] = IMAGE
    clock = iter([0.0, 599.0, 601.0, 602.0])
    slow = Downloads(tmp_path, https_opener(server.context), said.append, lambda: next(clock))
    with pytest.raises(DownloadError, match="takes longer than 10 minutes"):
        slow.download(f"{server.url}/a.bin")


def test_redirect_is_followed_over_https_alone(server: Server, downloads: Downloads) -> None:
    server.pages |= {"/a": (302, {"Location": "/b"}), "/b": b"there", "/c": (302, {"Location": "http://localhost:9/"})}
    assert downloads.download(f"{server.url}/a") == b"there"
    with pytest.raises(DownloadError, match="unknown url type: http"):
        downloads.download(f"{server.url}/c")


def test_server_with_an_unknown_certificate_gets_no_request(server: Server, said: list[str], tmp_path: Path) -> None:
    server.pages["/a.bin"] = IMAGE
    strict = Downloads(tmp_path, https_opener(), said.append)
    with pytest.raises(DownloadError, match=r"cannot download .*CERTIFICATE_VERIFY_FAILED.*add --image FILE"):
        strict.download(f"{server.url}/a.bin")
    assert server.asked == []


def test_unreachable_host_says_what_to_do(downloads: Downloads) -> None:
    with pytest.raises(
        DownloadError, match=r"cannot download https://localhost:9/a.bin \(.*refused.*\): check the net"
    ):
        downloads.download("https://localhost:9/a.bin")


def test_cache_that_cannot_be_written_is_one_line(server: Server, said: list[str], tmp_path: Path) -> None:
    server.pages["/a.bin"] = IMAGE
    (tmp_path / "file").touch()
    blocked = Downloads(tmp_path / "file" / "cache", https_opener(server.context), said.append)
    with pytest.raises(DownloadError, match=r"cannot write to the cache .*\(Not a directory\)"):
        blocked.fetch(f"{server.url}/a.bin", SHA256)
