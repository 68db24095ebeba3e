"""The release script: refuses a tag that does not fit, gives the notes, and bundles what a board needs."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mqtt443_tools.support.paths import ROOT

VERSION = "0.7.3"
CHANGELOG = f"""# Changelog

## [Unreleased]

## [{VERSION}] - 2026-12-24

### Added

- A bell.

## [0.1.0] - 2026-11-24

- All.
"""


class Checkout:
    """A folder with the files of a release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("firmware/mqtt443", ".ci"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("boot.py", "main.py", "config.example.json"):
            shutil.copy(ROOT / name, folder)
        (folder / "package.json").write_text(json.dumps({"version": VERSION}))
        (folder / "CHANGELOG.md").write_text(CHANGELOG)
        versioned = folder / "firmware/mqtt443/_port.py"
        text, count = re.subn(r'^VERSION = ".+"$', f'VERSION = "{VERSION}"', versioned.read_text(), flags=re.MULTILINE)
        assert count == 1
        versioned.write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ".ci/release.py", *arguments],
            cwd=self.folder, capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_notes_are_the_section_of_the_version(checkout: Checkout) -> None:
    assert checkout.run("check", f"v{VERSION}").returncode == 0
    assert checkout.run("notes", f"v{VERSION}").stdout == "### Added\n\n- A bell.\n"


@pytest.mark.parametrize(
    ("file", "old", "new", "mistake"),
    [
        ("package.json", VERSION, "0.7.2", "package.json says 0.7.2"),
        ("firmware/mqtt443/_port.py", VERSION, "0.7.4", "expected v0.7.4"),
        ("CHANGELOG.md", f"[{VERSION}]", "[0.7.2]", "CHANGELOG.md needs one section"),
        ("CHANGELOG.md", " - 2026-12-24", "", "CHANGELOG.md needs one section"),
        ("CHANGELOG.md", "### Added\n\n- A bell.\n", "", "CHANGELOG.md needs one section"),
        ("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n- Late.\n", "entries under Unreleased"),
    ],
)
def test_disagreement_is_named(checkout: Checkout, file: str, old: str, new: str, mistake: str) -> None:
    path = checkout.folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    done = checkout.run("check", f"v{VERSION}")
    assert done.returncode == 1
    assert mistake in done.stderr


def test_wrong_tag_is_named(checkout: Checkout) -> None:
    done = checkout.run("check", VERSION)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"expected v{VERSION}" in done.stderr


def test_bundle_is_a_boards_file_system_with_sums(checkout: Checkout, tmp_path: Path) -> None:
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "MQTT443_ESP32.bin").write_bytes(b"image")
    archive = folder / f"mqtt443-{VERSION}-mpy.zip"
    contents = set()
    for _ in range(2):
        assert checkout.run("bundle", str(folder)).returncode == 0
        contents.add(archive.read_bytes())
    assert len(contents) == 1, "the same files give the same bytes"
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        assert opened.read("lib/mqtt443/__init__.mpy")[:1] == b"M"
    assert {"boot.py", "main.py", "config.example.json", "lib/mqtt443/client.mpy"} < names
    assert "lib/mqtt443/_host.mpy" not in names
    sums = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "MQTT443_ESP32.bin", archive)
    }


def test_version_of_this_checkout_is_the_same_everywhere() -> None:
    metadata = subprocess.run(
        [sys.executable, "-c", "from importlib.metadata import version; print(version('mqtt443'), end='')"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    ).stdout  # fmt: skip
    listed = json.loads((ROOT / "package.json").read_text())["version"]
    assert (metadata, f"## [{listed}] - " in (ROOT / "CHANGELOG.md").read_text()) == (listed, True)
