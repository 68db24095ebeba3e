"""Files for a board as one sequence of bytes, which the board can read in pieces and resume at any of them.

A file is a line of JSON, `{"path": ..., "size": ..., "sha256": ...}`, followed by its content; a file to remove is the
line `{"path": ..., "delete": true}`. docs/updates.md documents the format.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from mqtt443_tools.support.errors import CommandError

MAX_BUNDLE_BYTES = 1024 * 1024
"""More than a board's flash has for files; AWS allows 24 MB for the files of a stream."""
MAX_PATH_BYTES = 128


def build_bundle(files: Mapping[str, bytes], delete: Iterable[str] = ()) -> bytes:
    """Return the bundle of files, in the order of their paths.

    Args:
        files: content by path on the board, such as `lib/bme280.py`.
        delete: paths of files to remove.

    Raises:
        CommandError: a path is not valid on a board, or the bundle is too large.
    """
    bundle = bytearray()
    for path, content in sorted(files.items()):
        digest = hashlib.sha256(content).hexdigest()
        bundle += _line({"path": _checked(path), "size": len(content), "sha256": digest}) + content
    for path in sorted(set(delete) - set(files)):
        bundle += _line({"path": _checked(path), "delete": True})
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise CommandError(f"the files have {len(bundle):,} bytes; the limit is {MAX_BUNDLE_BYTES:,}")
    return bytes(bundle)


def _line(header: Mapping[str, object]) -> bytes:
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _checked(path: str) -> str:
    parts = path.split("/")
    if not path.isprintable() or len(path.encode()) > MAX_PATH_BYTES or {"", ".", ".."} & set(parts):
        raise CommandError(f"{path}: not a path on a board; it is relative, such as lib/bme280.py")
    return path
