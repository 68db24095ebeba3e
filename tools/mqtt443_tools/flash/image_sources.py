"""Where images come from: a file, one of our releases, or stock MicroPython. Chooses by chip; downloads nothing itself.

The addresses follow the projects' documentation; they have not been tried against the real hosts. Our images are not
released yet, so a release needs the name of a repository.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from mqtt443_tools.flash.image import Image, parse_image
from mqtt443_tools.support.download import HEX_SHA256, DownloadError, Downloads
from mqtt443_tools.support.errors import UsageError

GITHUB = "https://github.com"
MICROPYTHON = "https://micropython.org"
SUMS = "SHA256SUMS"

OURS = {
    "ESP32": "MQTT443_ESP32",
    "ESP32-S3": "MQTT443_ESP32_S3",
    "ESP32-C3": "MQTT443_ESP32_C3",
    "ESP32-C6": "MQTT443_ESP32_C6",
}
"""Our image for each chip, as .github/workflows/image.yml names it."""

STOCK = {
    "ESP32": "ESP32_GENERIC",
    "ESP32-S2": "ESP32_GENERIC_S2",
    "ESP32-S3": "ESP32_GENERIC_S3",
    "ESP32-C3": "ESP32_GENERIC_C3",
    "ESP32-C6": "ESP32_GENERIC_C6",
}
"""MicroPython's own image for each chip."""

STOCK_DATES = {
    "1.24.1": "20241129",
    "1.25.0": "20250415",
    "1.26.1": "20250911",
    "1.27.0": "20251209",
    "1.28.0": "20260406",
    "1.29.0": "20260824",
}
"""MicroPython's versions, and the date in the names of their files."""


@dataclass(frozen=True)
class Release:
    """One of our releases: `repository` as OWNER/NAME, its `tag`, and the `host` it is on; raises UsageError."""

    repository: str
    tag: str
    host: str = GITHUB

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository, re.ASCII):
            raise UsageError(f"--repo {self.repository}: expected OWNER/NAME")
        if not re.fullmatch(r"[\w.+-]+", self.tag, re.ASCII):
            raise UsageError(f"--release {self.tag}: expected the tag of a release, such as v1.0.0")

    def get(self, chip: str, downloads: Downloads, sha256: str | None = None) -> Image:
        """Return the image for a chip, checked against the release's sums and `sha256`; raises DownloadError."""
        name = f"{_for_chip(OURS, chip)}.bin"
        folder = f"{self.host}/{self.repository}/releases/download/{quote(self.tag)}"
        listed = _sum_of(name, downloads.fetch_pinned(f"{folder}/{SUMS}"))
        if sha256 not in {None, listed}:
            raise DownloadError(f"{name} of {self.tag} has SHA-256 {listed}, expected {sha256}")
        return parse_image(name, downloads.fetch(f"{folder}/{name}", listed))


@dataclass(frozen=True)
class Stock:
    """MicroPython as published: its `version`, such as 1.26.1, and the `host` it is on; raises UsageError."""

    version: str
    host: str = MICROPYTHON

    def __post_init__(self) -> None:
        if self.version not in STOCK_DATES:
            raise UsageError(
                f"--micropython {self.version}: known are {', '.join(STOCK_DATES)}; "
                "for another, download its .bin and add --image FILE"
            )

    def get(self, chip: str, downloads: Downloads, sha256: str | None = None) -> Image:
        """Return the image for a chip; raises DownloadError.

        MicroPython publishes no sums: without `sha256` the first download is trusted, see `Downloads.fetch_pinned`.
        """
        name = f"{_for_chip(STOCK, chip)}-{STOCK_DATES[self.version]}-v{self.version}.bin"
        url = f"{self.host}/resources/firmware/{name}"
        return parse_image(name, downloads.fetch(url, sha256) if sha256 else downloads.fetch_pinned(url))


def check_sha256(text: str) -> str:
    """Return a SHA-256 in lower case; raises UsageError if it is not one."""
    if not HEX_SHA256.fullmatch(text.lower()):
        raise UsageError(f"--sha256 {text}: expected 64 hexadecimal digits")
    return text.lower()


def _for_chip(names: dict[str, str], chip: str) -> str:
    if chip not in names:
        raise DownloadError(f"there is no image for the {chip}, only for {', '.join(names)}: add --image FILE")
    return names[chip]


def _sum_of(name: str, sums: bytes) -> str:
    """Return a file's digest from the output of `sha256sum`."""
    for line in sums.decode("ascii", "replace").splitlines():
        digest, _, listed = line.partition(" ")
        if listed.lstrip(" *").removeprefix("./") == name and HEX_SHA256.fullmatch(digest):
            return digest
    raise DownloadError(f"the release's {SUMS} does not list {name}: is the tag right?")
