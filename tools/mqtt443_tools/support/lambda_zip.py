"""The authorizer's code as the zip that is deployed: the same input gives the same bytes on every machine.

Stored, not compressed (zlib's output depends on its version, and the zip has only about 60 KB); names sorted, one date,
one mode. The local endpoint unpacks the same zip, so it runs the code that AWS would run, and nothing beside it.
"""

import hashlib
import io
import lzma
import zipfile
import zlib
from pathlib import Path
from typing import IO

from mqtt443_authorizer.policy import DEFAULT_PATH, MAX_TEMPLATE_BYTES, Template

from mqtt443_tools.support.read_file import read_file

PACKAGE = DEFAULT_PATH.parent
MAX_UNPACKED_BYTES = 250 * 1024 * 1024  # AWS Lambda Developer Guide, "Lambda quotas"
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_MODE = 0o100644
_UNIX = 3
_ENCRYPTED = 1  # bit 0 of the general purpose flags (PKWARE APPNOTE.TXT, 4.4.4)


def build(package: Path = PACKAGE, policy: bytes | None = None) -> bytes:
    """Return the zip.

    Args:
        package: folder of the package `mqtt443_authorizer`.
        policy: content of a checked policy template that replaces policy.json.
    """
    files = {f"mqtt443_authorizer/{path.name}": path.read_bytes() for path in package.glob("*.py")}
    files["mqtt443_authorizer/policy.json"] = (package / "policy.json").read_bytes() if policy is None else policy
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, files[name])
    return content.getvalue()


def read_policy(path: Path) -> bytes:
    """Return the content of a policy template. Raises PolicyError if it breaks a rule."""
    Template.load(path)
    return read_file(path, MAX_TEMPLATE_BYTES)


def key(content: bytes) -> str:
    """Return the zip's name in its bucket: a hash of its content."""
    return f"{hashlib.sha256(content).hexdigest()}.zip"


def unpack(archive: Path | IO[bytes], folder: Path) -> None:
    """Unpack a zip of Lambda code as Lambda does.

    Raises:
        OSError: it cannot be read, or the folder cannot be written.
        ValueError: it is not a zip, or larger than Lambda accepts; the text says which.
    """
    if isinstance(archive, Path) and archive.exists() and not archive.is_file():
        raise ValueError("not a file")
    try:
        with zipfile.ZipFile(archive) as opened:
            if sum(entry.file_size for entry in opened.infolist()) > MAX_UNPACKED_BYTES:
                raise ValueError(f"Lambda accepts at most {MAX_UNPACKED_BYTES >> 20} MB of code")
            if any(entry.flag_bits & _ENCRYPTED for entry in opened.infolist()):
                raise ValueError("the zip is encrypted, which Lambda does not accept")
            opened.extractall(folder)
    except NotImplementedError:
        raise ValueError("the zip is compressed in a way that Lambda does not accept") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, IndexError):  # IndexError: an empty name
        raise ValueError("not a zip file") from None
