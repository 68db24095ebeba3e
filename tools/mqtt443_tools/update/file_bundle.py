"""Files for a board as one sequence of bytes, which the board can read in pieces and resume at any of them.

A file is a line of JSON, `{"path": ..., "size": ..., "sha256": ...}`, followed by its content; a file to remove is the
line `{"path": ..., "delete": true}`. docs/updates.md documents the format.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from mqtt443.bundle import may_write

from mqtt443_tools.support.errors import CommandError

MAX_BUNDLE_BYTES = 1024 * 1024
"""More than a board's flash has for files; AWS allows 24 MB for the files of a stream."""
_ADVICE = {
    "boot.py": "never replaced over the air; send it with `mqtt443 push`",
    "main.py": "never replaced over the air; send it with `mqtt443 push`",
    "config.json": "change its keys with --config",
    "lib/mqtt443": "the package of mqtt443; send it with --package",
}


def build_bundle(files: Mapping[str, bytes], delete: Iterable[str] = ()) -> bytes:
    """Return the bundle of files, in the order of their paths.

    Args:
        files: content by path on the board, such as `lib/bme280.py`.
        delete: paths of files to remove.

    Raises:
        CommandError: the bundle is too large.
    """
    bundle = bytearray()
    for path, content in sorted(files.items()):
        digest = hashlib.sha256(content).hexdigest()
        bundle += _line({"path": path, "size": len(content), "sha256": digest}) + content
    for path in sorted(set(delete) - set(files)):
        bundle += _line({"path": path, "delete": True})
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise CommandError(f"the files have {len(bundle):,} bytes; the limit is {MAX_BUNDLE_BYTES:,}")
    return bytes(bundle)


def _line(header: Mapping[str, object]) -> bytes:
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def path_problem(path: str) -> str | None:
    """Return why a job must not write or delete a file on a board, as the board itself decides; None if it may."""
    if path.isascii() and may_write(path):
        return None
    for name, advice in _ADVICE.items():
        if f"{path.lower()}/".startswith((f"{name}.", f"{name}/")):
            return f"{path}: {advice}"
    if path.isascii() and may_write(f"x/{path}"):
        return f"{path}: the board needs what has this name; choose another"
    return f"{path!r}: not a path on a board; it is relative, in printable ASCII without spaces, such as lib/bme280.py"
