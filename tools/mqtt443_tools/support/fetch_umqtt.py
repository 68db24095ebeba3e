"""Fetches umqtt.simple for this machine: boards have it frozen in, and pip cannot install it.

The package index holds umqtt only as an archive without setup.py, so `make` runs this script once: it downloads the
pinned archive from the index that pip is configured for, checks its SHA-256 and unpacks the module into `build/umqtt`,
where the virtual board and the tests find it. Nothing of it is kept in the tree.
"""

import hashlib
import shlex
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import requests
from pypi_simple import NoSuchProjectError, PyPISimple

from mqtt443_tools.support.paths import ROOT, UMQTT

PROJECT = "micropython-umqtt.simple"
VERSION = "1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
MEMBER = "umqtt/simple.py"
TIMEOUT_S = 60.0


class FetchError(Exception):
    """The archive could not be had, or is not the pinned one; the text says what to do."""


def pip_settings() -> dict[str, str]:
    """Return pip's own configuration without its sections, such as `{"index-url": "https://…"}`."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S).stdout
    settings = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = "".join(shlex.split(value))
    return settings


def download(folder: Path) -> Path:
    """Download the pinned archive into `folder` and return its path; raises FetchError."""
    settings = pip_settings()
    session = requests.Session()
    if "cert" in settings:
        session.verify = settings["cert"]
    endpoint = {"endpoint": settings["index-url"]} if "index-url" in settings else {}
    with PyPISimple(session=session, **endpoint) as index:
        try:
            packages = index.get_project_page(PROJECT, timeout=TIMEOUT_S).packages
            package = next(p for p in packages if p.version == VERSION)
            archive = folder / package.filename
            index.download_package(package, archive, verify=False, timeout=TIMEOUT_S)
        except (NoSuchProjectError, StopIteration) as error:
            raise FetchError(f"{PROJECT} {VERSION} is not on pip's index; check `pip config list`") from error
        except requests.RequestException as error:
            raise FetchError(f"cannot download {PROJECT}: {error}; check the network, then run make again") from error
    return archive


def unpack(archive: Path, library: Path) -> None:
    """Put the archive's umqtt/simple.py under `library`, if its SHA-256 is the pinned one; raises FetchError."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != SHA256:
        raise FetchError(
            f"{archive.name} has SHA-256 {digest}, expected {SHA256}; the package index may not be trusted"
        )
    with tarfile.open(archive) as tar:
        name = next(n for n in tar.getnames() if n.endswith("/" + MEMBER))
        member = tar.extractfile(name)
        if member is None:
            raise FetchError(f"{archive.name} holds no file {MEMBER}")
        source = member.read()
    target = library / MEMBER
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_bytes(source)
    partial.rename(target)


def main() -> int:
    """Fetch umqtt unless it is there already; returns the exit code."""
    if (UMQTT / MEMBER).exists():
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            unpack(download(Path(folder)), UMQTT)
    except FetchError as error:
        print(f"umqtt: {error}", file=sys.stderr)
        return 1
    print(f"umqtt: {PROJECT} {VERSION} is in {UMQTT.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
