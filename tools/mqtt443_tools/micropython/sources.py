"""The upstream sources of the interpreters: which they are, how they are downloaded, why they are trusted.

They are the upstream tarballs of Debian's source packages, from the mirror that this machine's apt uses, fetched by
apt's own downloader (which knows its proxies, credentials and mirror lists), without root and without an index. Only
the SHA-256 pinned here makes them trusted. recipes.py and builder.py build them.
"""

import hashlib
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mqtt443_tools.support.errors import CommandError

APT_HELPER = Path("/usr/lib/apt/apt-helper")
DOWNLOAD_S = 300
_LIST_S = 60


class BuildError(CommandError):
    """Something prevents a build; the text is one line that names it and the next step."""


@dataclass(frozen=True)
class Source:
    """One upstream tarball.

    Args:
        name: the Debian source package.
        version: the upstream version, without Debian's suffix.
        path: where every Debian mirror has the tarball.
        sha256: its SHA-256, 64 hexadecimal digits.
    """

    name: str
    version: str
    path: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The tarball's name, on the mirror and in the folder of downloads."""
        return self.path.rsplit("/", 1)[-1]


MICROPYTHON_1_26 = (
    Source(
        "micropython",
        "1.26.1",
        "pool/main/m/micropython/micropython_1.26.1+ds.orig.tar.xz",
        "f5ad2ec89d3e921f753d448955af98b6005655f84ba26087dde6ba0e8d062f34",
    ),
)
MICROPYTHON_1_25 = (
    Source(
        "micropython",
        "1.25.0",
        "pool/main/m/micropython/micropython_1.25.0+ds.orig.tar.xz",
        "7b25be99a502f070b2de81dafc08da7051d992325d6e67daa9045a918fffdbea",
    ),
)
# Either will do. A mirror drops a version when the next one appears; two are less likely to be gone than one.
MBEDTLS_3_6 = (
    Source(
        "mbedtls",
        "3.6.7",
        "pool/main/m/mbedtls/mbedtls_3.6.7.orig.tar.bz2",
        "a7e8bcbec0e6f761b4af24f25677626b35f762f68eef79c08677a363212d11f6",
    ),
    Source(
        "mbedtls",
        "3.6.6",
        "pool/main/m/mbedtls/mbedtls_3.6.6.orig.tar.bz2",
        "8fb65fae8dcae5840f793c0a334860a411f884cc537ea290ce1c52bb64ca007a",
    ),
)


def parse_mirrors(print_uris: str) -> list[str]:
    """Find the archive roots in what `apt-get --print-uris update` prints.

    Args:
        print_uris: the command's output, one quoted URI a line.

    Returns:
        Each root once, in apt's order, without a trailing slash.
    """
    return list(dict.fromkeys(re.findall(r"^'(\S+?)/+dists/", print_uris, re.MULTILINE)))


def mirrors() -> list[str]:
    """Ask apt which archives this machine uses; apt reads its one-line lists and its .sources files alike.

    Raises:
        BuildError: there is no apt, or it has no archive.
    """
    if not APT_HELPER.exists():
        raise BuildError("no apt on this system: the test interpreters are built from Debian's source packages")
    command = ["apt-get", "-o", "Debug::NoLocking=1", "--print-uris", "update"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_S, check=False)
    found = parse_mirrors(answer.stdout)
    if not found:
        raise BuildError("apt has no archive: add a Debian mirror to its sources")
    return found


def apt_download(uri: str, target: Path, sha256: str) -> str | None:
    """Fetch one file with apt's downloader.

    Args:
        uri: what to fetch, percent-encoded.
        target: where it goes.
        sha256: the expected digest, which apt checks.

    Returns:
        None if it was downloaded, else why not, in one line.
    """
    # apt's own user may not write here, and the digest alone is trusted: so use no other user, and get no warning.
    command = [str(APT_HELPER), "-o", "APT::Sandbox::User=", "download-file", uri, str(target), f"SHA256:{sha256}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {DOWNLOAD_S} s"
    if answer.returncode == 0:
        return None
    reasons = [line.split(uri)[-1].strip() for line in answer.stderr.splitlines() if line.startswith("E: ")]
    return reasons[0] if reasons else f"apt-helper ended with {answer.returncode}"


def is_intact(path: Path, sha256: str) -> bool:
    """Return whether a file exists and is the pinned one."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def fetch(
    alternatives: Sequence[Source],
    downloads: Path,
    *,
    find_mirrors: Callable[[], list[str]] = mirrors,
    download: Callable[[str, Path, str], str | None] = apt_download,
) -> tuple[Source, Path]:
    """Get one of several acceptable tarballs, from the folder of downloads or else from a mirror.

    Args:
        alternatives: acceptable sources, best first.
        downloads: the folder of downloads; a tarball put there by hand is accepted, too.
        find_mirrors: the archives to try.
        download: fetches one file; default: `apt_download`.

    Returns:
        The source and its intact tarball.

    Raises:
        BuildError: none of them can be downloaded.
    """
    for source in alternatives:
        if is_intact(downloads / source.file_name, source.sha256):
            return source, downloads / source.file_name
    downloads.mkdir(parents=True, exist_ok=True)
    reason = None
    for source in alternatives:
        for mirror in find_mirrors():
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=downloads) as folder:
                partial = Path(folder) / source.file_name
                reason = download(f"{mirror}/{quote(source.path)}", partial, source.sha256)
                if reason is None and is_intact(partial, source.sha256):
                    return source, partial.replace(downloads / source.file_name)
    first = alternatives[0]
    raise BuildError(
        f"{first.name} {first.version} is on no mirror of this machine ({reason or 'not the pinned file'}): "
        f"put {first.file_name} (sha256 {first.sha256}) into {downloads}, "
        "or pin a newer version in tools/mqtt443_tools/micropython/sources.py"
    )
