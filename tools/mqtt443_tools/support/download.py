"""Downloads to a cache: bounded, checked by SHA-256, written atomically.

Over HTTPS only, with certifi's roots: the opener has no other handler, so a redirect to http:// fails too.
"""

import hashlib
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import certifi
from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.errors import CommandError

WAIT_S = 30.0
"""Longest wait for a connection or for more bytes."""
DEADLINE_S = 600.0
"""Longest download in all: 2 MB at 28 kbit/s."""
MAX_BYTES = 32 << 20
CHUNK = 1 << 16
HEX_SHA256 = re.compile(r"[0-9a-f]{64}")


class DownloadError(CommandError):
    """A file could not be downloaded, or is not the expected one; nothing was changed."""


def https_opener(context: ssl.SSLContext | None = None) -> urllib.request.OpenerDirector:
    """Return an opener for https:// alone, through the system's proxy; certifi's roots unless `context` is given."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=context or ssl.create_default_context(cafile=certifi.where())),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class Downloads:
    """Fetches files once.

    Args:
        folder: the cache; made when needed.
        opener: sends the requests, see `https_opener`.
        say: called with the address of each download.
        clock: seconds that never go back, for the deadline.
        instead: the alternative for a user without a network, for the error.
    """

    def __init__(
        self,
        folder: Path,
        opener: urllib.request.OpenerDirector,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        instead: str = "add --image FILE",
    ) -> None:
        self._folder = folder
        self._opener = opener
        self._say = say
        self._clock = clock
        self._instead = instead

    def fetch(self, url: str, sha256: str) -> bytes:
        """Return a file whose SHA-256 (hex) is known, from the cache if it is there and intact.

        Raises:
            DownloadError: it could not be downloaded, or has a different SHA-256.
        """
        path = self._path(url)
        cached = _read(path)
        if cached is not None and _sha256(cached) == sha256:
            return cached
        data = self.download(url)
        if (found := _sha256(data)) != sha256:
            raise DownloadError(
                f"{url} has SHA-256 {found}, expected {sha256}: it was damaged or replaced on the way, and is not used"
            )
        _write(path, data)
        return data

    def fetch_pinned(self, url: str) -> bytes:
        """Return a file without a published checksum: the first download is trusted, and later ones must equal it.

        Raises:
            DownloadError: it could not be downloaded, or has changed since.
        """
        path = self._path(url)
        pin = path.with_name(f"{path.name}.sha256")
        known = (_read(pin) or b"").decode("ascii", "replace").strip()
        if HEX_SHA256.fullmatch(known):
            return self.fetch(url, known)
        data = self.download(url)
        _write(path, data)
        _write(pin, f"{_sha256(data)}\n".encode())
        return data

    def download(self, url: str) -> bytes:
        """Download without caching; raises DownloadError."""
        self._say(f"downloading {url}")
        deadline = self._clock() + DEADLINE_S
        parts, size = [], 0
        try:
            with self._opener.open(url, timeout=WAIT_S) as response:
                while chunk := response.read1(CHUNK):
                    parts.append(chunk)
                    size += len(chunk)
                    if size > MAX_BYTES:
                        raise DownloadError(f"{url} is larger than {MAX_BYTES >> 20} MiB")
                    if self._clock() > deadline:
                        raise DownloadError(f"{url} takes longer than {DEADLINE_S / 60:.0f} minutes: try again later")
                expected = response.headers.get("Content-Length")
        except urllib.error.HTTPError as error:
            with error:
                raise DownloadError(
                    f"{url} cannot be downloaded ({error.code} {error.reason}): check the name"
                ) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise DownloadError(f"cannot download {url} ({reason}): check the network, or {self._instead}") from error
        if expected is not None and expected != str(size):
            raise DownloadError(f"{url} ended after {size} of {expected} bytes: try again")
        return b"".join(parts)

    def _path(self, url: str) -> Path:
        """Return the cache file of an address; it ends in the original name, for people who look into the folder."""
        name = urlsplit(url).path.rpartition("/")[2]
        return self._folder / f"{_sha256(url.encode())[:12]}-{name}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:  # missing or unreadable: it is downloaded again
        return None


def _write(path: Path, data: bytes) -> None:
    try:
        write_private(path, data)
    except OSError as error:
        raise DownloadError(f"cannot write to the cache {path.parent} ({error.strerror}): free or fix it") from error
