"""Refuses a folder for secrets that every user of the machine can change."""

import os
import stat
from pathlib import Path

from mqtt443_tools.support.errors import CommandError


def refuse_shared(folder: Path) -> None:
    """Refuse a folder into which every user can put files; a missing folder passes.

    Raises:
        CommandError: others could replace the CA or the devices in it.
    """
    try:
        mode = folder.stat().st_mode
    except OSError:
        return  # the code that uses it reports the error
    if os.name == "posix" and mode & stat.S_IWOTH:
        raise CommandError(f"every user of this machine can change {folder}, which holds secrets: chmod 700 {folder}")
