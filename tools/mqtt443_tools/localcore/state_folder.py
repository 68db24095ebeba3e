"""Gives the state folder of a local endpoint one owner at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mqtt443_authorizer.files import keep_out_of_git, make_private_folder

from mqtt443_tools.localcore.localcore_errors import StateFolderError
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.shared_folder import refuse_shared

LOCK_FILE = "lock"

_OURS = re.compile(
    r"\.?(lock|ca(-key)?\.pem|(control|devices|endpoint|seen)\.json|(devices|history|jobs)\.sqlite)([-.].*)?"
)
"""The files of a state folder, with those that SQLite, an import or an interrupted write leaves beside them."""


@contextlib.contextmanager
def using(state: Path) -> Iterator[None]:
    """Turn an OSError about files of the state folder into a StateFolderError."""
    try:
        yield
    except OSError as error:
        raise StateFolderError(
            f"cannot use the state folder {state}: {error.strerror}; choose another with --state"
        ) from None


@contextlib.contextmanager
def owned_folder(state: Path) -> Iterator[None]:
    """Own the state folder while the block runs: made with mode 0700 if missing, kept out of git if it holds no more.

    Raises StateFolderError if another endpoint owns it or it cannot be used. The lock ends with its process.
    """
    with using(state):
        make_private_folder(state)
        try:
            refuse_shared(state)
        except CommandError as error:
            raise StateFolderError(str(error)) from None
        if all(_OURS.fullmatch(path.name) for path in state.iterdir()):  # made by the user, or by an old version
            keep_out_of_git(state)
        lock = os.open(state / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateFolderError(
                f"another localcore runs on {state}: stop it, or choose another folder with --state"
            ) from None
        yield
    finally:
        os.close(lock)
