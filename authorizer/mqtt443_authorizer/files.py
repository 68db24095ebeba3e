"""Files that hold secrets: only their owner can read them, git ignores their folder, and each is whole or absent."""

import os
from pathlib import Path

IGNORE_FILE = ".gitignore"

# Windows has neither: there handles are not inherited, and folders cannot be opened.
_CLOSE_ON_EXEC = getattr(os, "O_CLOEXEC", 0)
_FOLDER = getattr(os, "O_DIRECTORY", None)


def make_private_folder(folder: Path) -> None:
    """Make a folder for secrets, with mode 0700, and keep it out of git; an existing folder is left as it is.

    The topmost folder made gets a `.gitignore` that matches everything, itself included, so `git add .` in a repository
    around it cannot commit a secret.

    Args:
        folder: may exist; missing parents are made too.

    Raises:
        OSError: the folder cannot be made.
    """
    if folder.is_dir():
        return
    top = folder
    while not top.parent.is_dir() and top.parent != top:
        top = top.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_out_of_git(top)


def keep_out_of_git(folder: Path) -> None:
    """Give a folder a `.gitignore` that matches everything, unless it has one.

    Args:
        folder: holds nothing but secrets.

    Raises:
        OSError: the file cannot be written; then there is none.
    """
    path = folder / IGNORE_FILE
    if path.exists():
        return
    try:
        path.write_text("*\n")
    except OSError:
        path.unlink(missing_ok=True)  # an empty one ignores nothing
        raise


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically: mode 0600 from its first instant, on the disk when this returns.

    Args:
        path: of the file; a missing folder is made by `make_private_folder`.
        content: of the new file.

    Raises:
        OSError: the file could not be written; an old one is unchanged.
    """
    make_private_folder(path.parent)
    # The name is unique, so that two writers never write to the same temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSE_ON_EXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if _FOLDER is None:
        return
    folder = os.open(path.parent, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(folder)  # without this, a power cut may undo the rename
    finally:
        os.close(folder)
