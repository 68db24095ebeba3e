"""How the pinned sources are obtained: from the folder of downloads, or with apt from its mirrors."""

import hashlib
import shutil
from pathlib import Path

import pytest
from mqtt443_tools.micropython.sources import (
    APT_HELPER,
    BuildError,
    Source,
    apt_download,
    fetch,
    mirrors,
    parse_mirrors,
)

CONTENT = b"a tarball"
NEW = Source("thing", "2.0", "pool/main/t/thing/thing_2.0+ds.orig.tar.xz", hashlib.sha256(CONTENT).hexdigest())
OLD = Source("thing", "1.9", "pool/main/t/thing/thing_1.9.orig.tar.xz", hashlib.sha256(CONTENT).hexdigest())

needs_apt = pytest.mark.skipif(not APT_HELPER.exists(), reason="no apt on this system")


def mirror(folder: Path, *sources: Source, content: bytes = CONTENT) -> str:
    """Lay out a mirror in a folder; returns its root as apt knows it."""
    for source in sources:
        path = folder / source.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return f"copy:{folder}"


def no_mirrors() -> list[str]:
    raise AssertionError("nobody may be asked for what is here")


def test_one_line_and_deb822_sources_give_the_same_mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("no apt on this system")
    (tmp_path / "one-line").mkdir()
    (tmp_path / "one-line" / "a.list").write_text(
        "deb http://mirror.invalid/debian/ bookworm main\n"
        "# deb http://commented.invalid/debian bookworm main\n"
        "deb-src http://mirror.invalid/debian bookworm main\n"
        "deb http://security.invalid/debian-security bookworm-security main\n"
    )
    (tmp_path / "deb822").mkdir()
    (tmp_path / "deb822" / "a.sources").write_text(
        "Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main\n\n"
        "Types: deb deb-src\nURIs: http://security.invalid/debian-security/\nSuites: bookworm-security\n"
        "Components: main\n"
    )
    for name in ("one-line", "deb822"):
        configuration = tmp_path / f"{name}.conf"
        configuration.write_text(f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{tmp_path / name}";\n')
        monkeypatch.setenv("APT_CONFIG", str(configuration))
        assert sorted(mirrors()) == ["http://mirror.invalid/debian", "http://security.invalid/debian-security"]


@needs_apt
def test_apt_without_an_archive_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "apt.conf"
    configuration.write_text(f'Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "{tmp_path}";\n')
    monkeypatch.setenv("APT_CONFIG", str(configuration))
    with pytest.raises(BuildError, match="apt has no archive"):
        mirrors()


def test_mirror_is_named_once_however_many_suites_it_serves() -> None:
    listing = (
        "'http://mirror.invalid/debian/dists/trixie/InRelease' mirror.invalid_InRelease 0 \n"
        "'http://mirror.invalid/debian/dists/trixie-updates/InRelease' mirror.invalid_InRelease 0 \n"
        "'file:/srv/mirror/dists/sid/InRelease' _srv_InRelease 0 \n"
        "Reading package lists...\n"
    )
    assert parse_mirrors(listing) == ["http://mirror.invalid/debian", "file:/srv/mirror"]


def test_local_tarball_is_used_without_a_download(tmp_path: Path) -> None:
    (tmp_path / OLD.file_name).write_bytes(CONTENT)
    assert fetch([NEW, OLD], tmp_path, find_mirrors=no_mirrors) == (OLD, tmp_path / OLD.file_name)


@needs_apt
def test_apt_fetches_the_tarball_from_the_first_mirror_that_has_it(tmp_path: Path) -> None:
    roots = [mirror(tmp_path / "empty"), mirror(tmp_path / "full", NEW)]
    source, path = fetch([NEW], tmp_path / "downloads", find_mirrors=lambda: roots)
    assert (source, path.read_bytes()) == (NEW, CONTENT)
    assert list((tmp_path / "downloads").iterdir()) == [path]


@needs_apt
def test_damaged_download_is_fetched_again(tmp_path: Path) -> None:
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    (downloads / NEW.file_name).write_bytes(CONTENT[:4])
    root = mirror(tmp_path / "mirror", NEW)
    assert fetch([NEW], downloads, find_mirrors=lambda: [root])[1].read_bytes() == CONTENT


@needs_apt
def test_older_version_is_used_if_the_newer_is_gone(tmp_path: Path) -> None:
    root = mirror(tmp_path / "mirror", OLD)
    assert fetch([NEW, OLD], tmp_path / "downloads", find_mirrors=lambda: [root])[0] == OLD


@needs_apt
@pytest.mark.parametrize("content", [b"something else", None], ids=["other content", "gone"])
def test_unavailable_source_is_named_in_one_line_with_the_way_out(tmp_path: Path, content: bytes | None) -> None:
    root = mirror(tmp_path / "mirror", *([NEW] if content else []), content=content or b"")
    downloads = tmp_path / "downloads"
    with pytest.raises(BuildError) as refusal:
        fetch([NEW], downloads, find_mirrors=lambda: [root])
    text = str(refusal.value)
    assert "\n" not in text
    assert all(word in text for word in ("thing 2.0", NEW.file_name, NEW.sha256, str(downloads), "sources.py"))
    assert ("Hash Sum mismatch" if content else "No such file") in text
    assert list(downloads.iterdir()) == []


def test_download_is_checked_whatever_the_downloader_says(tmp_path: Path) -> None:
    def careless(uri: str, target: Path, sha256: str) -> None:
        target.write_bytes(b"something else")

    with pytest.raises(BuildError, match="not the pinned file"):
        fetch([NEW], tmp_path, find_mirrors=lambda: ["copy:/nowhere"], download=careless)


@needs_apt
def test_apt_failure_is_one_line(tmp_path: Path) -> None:
    reason = apt_download(f"copy:{tmp_path}/none", tmp_path / "target", NEW.sha256)
    assert reason == "Failed to stat - stat (2: No such file or directory)"
