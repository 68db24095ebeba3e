"""What a release needs: `check TAG` that all versions agree, `notes TAG` from the changelog, `bundle FOLDER` of files.

`check` and `notes` need the standard library alone; `bundle` needs the project installed, as `make demo` does.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "firmware" / "mqtt443"
VERSIONED = PACKAGE / "_port.py"
BESIDE = ("boot.py", "main.py", "config.example.json")
SUMS = "SHA256SUMS"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold: the same files give the same bytes


def version() -> str:
    """Return the project's version, which stands in the board's package."""
    found = re.search(r'^VERSION = "(.+)"$', VERSIONED.read_text(), re.MULTILINE)
    if found is None:
        raise SystemExit(f"{VERSIONED} has no VERSION")
    return found[1]


def sections() -> dict[str, str]:
    """Return the changelog's sections: heading, such as "[0.1.0] - 2026-11-27", and text."""
    _, *parts = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    return {heading.strip(): text.strip() for heading, _, text in (part.partition("\n") for part in parts)}


def notes(tag: str) -> str:
    """Return the changelog's text for a tag.

    Raises:
        SystemExit: tag, version, changelog and package.json do not agree; lists every mistake.
    """
    mistakes = []
    if tag != f"v{version()}":
        mistakes.append(f"the tag is {tag}, and firmware/mqtt443/_port.py says {version()}: expected v{version()}")
    listed = json.loads((ROOT / "package.json").read_text())["version"]
    if listed != version():
        mistakes.append(f"package.json says {listed}, and firmware/mqtt443/_port.py {version()}")
    heading = re.compile(rf"\[{re.escape(version())}\] - \d{{4}}-\d\d-\d\d")
    texts = [text for title, text in sections().items() if heading.fullmatch(title)]
    if len(texts) != 1 or not texts[0]:
        mistakes.append(f"CHANGELOG.md needs one section '## [{version()}] - YYYY-MM-DD' with text")
    if sections().get("[Unreleased]"):
        mistakes.append("CHANGELOG.md has entries under Unreleased: move them to the section of this version")
    if mistakes:
        raise SystemExit("\n".join(mistakes))
    return texts[0]


def bundle(folder: Path) -> None:
    """Add mqtt443-VERSION-mpy.zip to a folder, laid out as a board's file system, and the sums of all files there."""
    from mqtt443_tools.support.compile_mpy import compile_package  # noqa: PLC0415  `check` runs without it

    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        zipfile.ZipFile(folder / f"mqtt443-{version()}-mpy.zip", "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        compile_package(PACKAGE, Path(scratch))
        files = {f"lib/mqtt443/{path.name}": path for path in sorted(Path(scratch).iterdir())}
        for name, path in {**{name: ROOT / name for name in BESIDE}, **files}.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    attached = sorted(path for path in folder.iterdir() if path.name != SUMS)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in attached]
    (folder / SUMS).write_text("".join(sums))


def main(arguments: list[str]) -> None:
    """Run one of the three."""
    match arguments:
        case ["check", tag]:
            notes(tag)
        case ["notes", tag]:
            print(notes(tag))
        case ["bundle", folder]:
            bundle(Path(folder))
        case _:
            print("usage: release.py check TAG | notes TAG | bundle FOLDER", file=sys.stderr)
            raise SystemExit(2)


main(sys.argv[1:])
