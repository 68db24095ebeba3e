"""Packages for a board, named in a requirements.txt as for `mip install`, one per line.

The form of names, index and package.json is that of MicroPython's documentation, "Package management". The first
download of an address is trusted and kept in the user's cache; later pushes take it from there, so that two boards get
the same bytes. What a server sends is untrusted: sizes and counts are bounded, and no path leaves lib/.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mqtt443_tools.support.compile_mpy import MPY_VERSION
from mqtt443_tools.support.config_text import BYTE_ORDER_MARK
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.download import Downloads, https_opener
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import cache_folder
from mqtt443_tools.support.read_file import read_file

REQUIREMENTS = "requirements.txt"
INDEX = "https://micropython.org/pi/v2"
MAX_BYTES, MAX_FILE_BYTES = 64 * 1024, 1024 * 1024
MAX_FILES, MAX_PACKAGES = 200, 50
HOSTS = {
    "github": "https://raw.githubusercontent.com/{0}/{1}/{ref}/{path}",
    "gitlab": "https://gitlab.com/{0}/{1}/-/raw/{ref}/{path}",
    "codeberg": "https://codeberg.org/api/v1/repos/{0}/{1}/raw/{path}?ref={ref}",
}
_PACKAGE = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*|(?:github|gitlab|codeberg):[\w.-]+/[\w.-]+(?:/[\w.-]+)*/?|https://[^\s@]+)"
    r"(?:@(?P<version>[\w.+/-]+))?",
    re.ASCII,
)
_SHORT_HASH = re.compile(r"[0-9a-f]{8,64}")
_FORM = "expected NAME, NAME@VERSION, github:OWNER/REPOSITORY, or the https:// address of a .py file or package.json"


def required(path: Path, downloads: Downloads | None = None) -> dict[str, bytes]:
    """Return the files of all packages that a requirements.txt names, by their path on the board.

    Args:
        path: of the requirements.txt.
        downloads: seam; by default into the user's cache, with a line on standard error for each download.

    Raises:
        CommandError: a line is not a package, or a package is not available; the text names file and line.
    """
    if downloads is None:
        downloads = Downloads(
            cache_folder() / "mip", https_opener(), Console().warn, instead="put the package's files into lib/"
        )
    collected = _Collected(downloads, os.environ.get("MQTT443_MIP_INDEX", INDEX).rstrip("/"))
    for number, text in _lines(path):
        try:
            collected.install(text)
        except CommandError as error:
            raise CommandError(f"{path} line {number}: {error}") from error
    return collected.files


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that name a package, with their numbers."""
    try:
        text = read_file(path, MAX_BYTES).removeprefix(BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: not UTF-8; save the file as UTF-8") from error
    for number, line in enumerate(text.splitlines(), 1):
        if package := re.sub(r"(^|\s)#.*", "", line).strip():
            yield number, package


class _Collected:
    """The files of packages and their dependencies."""

    def __init__(self, downloads: Downloads, index: str) -> None:
        self.files: dict[str, bytes] = {}
        self._downloads = downloads
        self._index = index
        self._seen: set[tuple[str, str]] = set()

    def install(self, package: str, version: str = "") -> None:
        """Add a package. Raises CommandError."""
        matched = _PACKAGE.fullmatch(package)
        if matched is None:
            raise CommandError(f"{package!r} is not what mip installs: {_FORM}")
        name, version = matched["name"].rstrip("/"), matched["version"] or version
        if (name, version) in self._seen:
            return
        self._seen.add((name, version))
        if len(self._seen) > MAX_PACKAGES:
            raise CommandError(f"more than {MAX_PACKAGES} packages depend on each other")
        if ":" not in name:
            self._install_manifest(f"{self._index}/package/{MPY_VERSION}/{name}/{version or 'latest'}.json", version)
        elif name.endswith((".py", ".mpy")):
            self._add(PurePosixPath(name).name, self._downloads.fetch_pinned(_address(name, version)))
        else:
            self._install_manifest(name if name.endswith(".json") else f"{name}/package.json", version)

    def _install_manifest(self, name: str, version: str) -> None:
        address = _address(name, version)
        try:
            manifest = json.loads(self._downloads.fetch_pinned(address))
        except (ValueError, RecursionError) as error:
            raise CommandError(f"{address} is not a package.json: {error}") from error
        for target, short_hash in _pairs(manifest, "hashes", address):
            if not _SHORT_HASH.fullmatch(short_hash):
                raise CommandError(f"{address} is not a package.json: {short_hash!r} is not a hash")
            content = self._downloads.fetch_pinned(f"{self._index}/file/{short_hash[:2]}/{short_hash}")
            if not hashlib.sha256(content).hexdigest().startswith(short_hash):
                raise CommandError(f"{target} of {address} has another SHA-256 than {short_hash}: not used")
            self._add(target, content)
        for target, url in _pairs(manifest, "urls", address):
            whole = url if ":" in url else f"{name.rpartition('/')[0]}/{url}"
            self._add(target, self._downloads.fetch_pinned(_address(whole, version)))
        for dependency, wanted in _pairs(manifest, "deps", address):
            self.install(dependency, "" if wanted == "latest" else wanted)

    def _add(self, target: str, content: bytes) -> None:
        parts = target.split("/")
        if not target.isprintable() or "\\" in target or any(part in {"", ".", ".."} for part in parts):
            raise CommandError(f"the package names a file outside lib/: {target!r}")
        if len(content) > MAX_FILE_BYTES:
            raise CommandError(f"{target} is larger than {MAX_FILE_BYTES:,} bytes")
        self.files[f"lib/{target}"] = content
        if len(self.files) > MAX_FILES:
            raise CommandError(f"more than {MAX_FILES} files, too many for a board")


def _address(name: str, version: str) -> str:
    """Return the https:// address of a file that is named as mip does; another scheme is refused by the opener."""
    host, _, rest = name.partition(":")
    if host not in HOSTS:
        return name
    owner, repository, *path = rest.split("/")
    return HOSTS[host].format(owner, repository, ref=version or "HEAD", path="/".join(path))


def _pairs(manifest: Any, key: str, address: str) -> list[tuple[str, str]]:
    """Return a list of pairs of texts in a package.json. Raises CommandError."""
    pairs = manifest.get(key, []) if isinstance(manifest, dict) else None
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair) for pair in pairs
    ):
        raise CommandError(f"{address} is not a package.json: {key} is not a list of pairs")
    return [(first, second) for first, second in pairs]
