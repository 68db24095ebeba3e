"""Files with secrets in them: only their owner can read them, and they are whole or not there at all."""

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically: mode 0600 from its first instant, on the disk when this returns.

    :param path: its folder is made (mode 0700) if it is not there
    :raises OSError: the old file, if any, is then as it was
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Unique for each writer, so that two at once cannot mix what they write.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # without it a power cut may undo the rename
    finally:
        os.close(folder)
