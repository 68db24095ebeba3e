"""Packages for a board: requirements.txt in mip's form, packages in its formats, and what hostile servers send."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mqtt443_tools.support import board_packages
from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.board_packages import required
from mqtt443_tools.support.download import Downloads, https_opener
from mqtt443_tools.support.errors import CommandError

from tests.support.chip.file_server import Server, serving

DRIVER = b"VALUE = 1\n"
SHORT = hashlib.sha256(DRIVER).hexdigest()[:8]


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that stands for the package index and for GitHub."""
    running.pages.clear()
    running.asked.clear()
    monkeypatch.setenv("MQTT443_MIP_INDEX", f"{running.url}/pi/v2/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(board_packages.HOSTS, "github", f"{running.url}/{{0}}/{{1}}/{{ref}}/{{path}}")
    monkeypatch.setattr(board_packages, "https_opener", lambda: https_opener(running.context))
    return running


@pytest.fixture
def install(tmp_path: Path, server: Server) -> Callable[[str], dict[str, bytes]]:
    """Write a requirements.txt; return the files of its packages."""

    def install(text: str) -> dict[str, bytes]:
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        downloads = Downloads(tmp_path / "cache", https_opener(server.context), lambda _: None, instead="do it by hand")
        return required(path, downloads)

    return install


def manifest(server: Server, path: str, **content: object) -> None:
    server.pages[path] = json.dumps(content).encode()


def test_package_of_the_index_brings_its_dependencies(install: Callable[..., object], server: Server) -> None:
    manifest(server, "/pi/v2/package/6/driver/1.2.json", hashes=[["driver.mpy", SHORT]], deps=[["base", "latest"]])
    manifest(
        server, "/pi/v2/package/6/base/latest.json", hashes=[["base/__init__.mpy", SHORT]], deps=[["driver", "1.2"]]
    )
    server.pages[f"/pi/v2/file/{SHORT[:2]}/{SHORT}"] = DRIVER
    expected = {"lib/driver.mpy": DRIVER, "lib/base/__init__.mpy": DRIVER}
    assert install("# the driver\n\ndriver@1.2  # and its version\n") == expected


def test_repository_and_single_file_are_installed_at_their_commit(
    install: Callable[..., object], server: Server
) -> None:
    urls = [["a.py", "github:o/r/src/a.py"], ["b.py", "src/b.py"], ["c.py", f"{server.url}/c.py"]]
    manifest(server, "/o/r/v2/package.json", urls=urls)
    server.pages |= {"/o/r/v2/src/a.py": b"a = 1\n", "/c.py": b"c = 1\n", "/o/r/v2/src/b.py": b"b = 1\n"}
    server.pages["/o/r/HEAD/x/d.py"] = b"d = 1\n"
    found = install("github:o/r@v2\ngithub:o/r/x/d.py\n")
    assert found == {f"lib/{name}.py": f"{name} = 1\n".encode() for name in "abcd"}


def test_second_push_downloads_nothing(install: Callable[..., object], server: Server) -> None:
    server.pages["/o/r/HEAD/d.py"] = b"d = 1\n"
    first = install("github:o/r/d.py")
    server.pages.clear()
    assert install("github:o/r/d.py") == first
    assert server.asked == ["/o/r/HEAD/d.py"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("requests>=2.32", "'requests>=2.32' is not what mip installs: expected NAME, NAME@VERSION"),
        ("-r other.txt", "is not what mip installs"),
        ("http://example.com/d.py", "is not what mip installs"),
        ("file:///etc/passwd", "is not what mip installs"),
        ("../secret.json", "is not what mip installs"),
        ("none", r"6/none/latest.json cannot be downloaded \(404 Not Found\)"),
        ("https://localhost:9/d.py", r"cannot download .*: check the network, or do it by hand"),
    ],
)
def test_line_that_is_no_package_is_named(install: Callable[..., object], line: str, reason: str) -> None:
    with pytest.raises(CommandError, match=rf"requirements\.txt line 2: .*{reason}"):
        install(f"# mine\n{line}\n")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"hashes": [["d.py", "0" * 8]]}, "another SHA-256 than 00000000"),
        ({"hashes": [["d.py", "../../x"]]}, "is not a hash"),
        ({"urls": [["../main.py", "d.py"]]}, "names a file outside lib/: '../main.py'"),
        ({"urls": [["/boot.py", "d.py"]]}, "names a file outside lib/"),
        ({"urls": [["a\x1b[2J.py", "d.py"]]}, "names a file outside lib/"),
        ({"urls": [["d.py", "http://localhost:9/d.py"]]}, "unknown url type: http"),
        ({"urls": [["d.py", "file:///etc/passwd"]]}, "unknown url type: file"),
        ({"urls": [["d.py"]]}, "urls is not a list of pairs"),
        ({"deps": {"a": "b"}}, "deps is not a list of pairs"),
        ({"deps": [["file:///etc/passwd", "latest"]]}, "is not what mip installs"),
        ([], "hashes is not a list of pairs"),
        ({"urls": [[f"{number}.py", "d.py"] for number in range(201)]}, "more than 200 files"),
    ],
)
def test_hostile_package_is_refused_in_one_line(
    install: Callable[..., object], server: Server, content: object, reason: str
) -> None:
    server.pages |= {"/o/r/HEAD/package.json": json.dumps(content).encode(), "/o/r/HEAD/d.py": DRIVER}
    server.pages["/pi/v2/file/00/00000000"] = DRIVER
    with pytest.raises(CommandError, match=reason) as refusal:
        install("github:o/r")
    assert "\n" not in str(refusal.value)


def test_packages_that_never_end_are_refused(install: Callable[..., object], server: Server) -> None:
    for number in range(60):
        manifest(server, f"/pi/v2/package/6/p{number}/latest.json", deps=[[f"p{number + 1}", "latest"]])
    with pytest.raises(CommandError, match="more than 50 packages depend on each other"):
        install("p0")


def test_page_that_is_no_json_is_refused(install: Callable[..., object], server: Server) -> None:
    server.pages["/o/r/HEAD/package.json"] = b"<html>"
    with pytest.raises(CommandError, match=r"package\.json is not a package\.json"):
        install("github:o/r")


def test_packages_go_to_the_board_beside_the_own_code(tmp_path: Path, server: Server) -> None:
    server.pages["/o/r/HEAD/d.py"] = b"\xef\xbb\xbfd = 1\n"
    board = tmp_path / "board"
    board.mkdir()
    (board / "requirements.txt").write_text("github:o/r/d.py\n")
    (board / "sensors.py").write_text("import d\n")
    assert own_code(tmp_path) == {"sensors.py": b"import d\n", "lib/d.py": b"d = 1\n"}

    (board / "lib").mkdir()
    (board / "lib" / "d.py").write_text("mine = 1\n")
    with pytest.raises(CommandError, match=r"a package brings lib/d\.py, which is there already"):
        own_code(tmp_path)


def test_package_that_does_not_compile_is_named_with_its_line(tmp_path: Path, server: Server) -> None:
    server.pages["/o/r/HEAD/d.py"] = b"d = 1\nd = (\n"
    (tmp_path / "requirements.txt").write_text("github:o/r/d.py\n")
    with pytest.raises(CommandError, match=r"requirements\.txt: lib/d\.py line \d: SyntaxError"):
        own_code(tmp_path)


def test_package_in_the_place_of_our_own_is_refused(tmp_path: Path, server: Server) -> None:
    manifest(server, "/o/r/HEAD/package.json", urls=[["mqtt443/app.py", "d.py"]])
    server.pages["/o/r/HEAD/d.py"] = DRIVER
    (tmp_path / "requirements.txt").write_text("github:o/r\n")
    with pytest.raises(CommandError, match=r"a package brings lib/mqtt443/app\.py, which is there already"):
        own_code(tmp_path)
