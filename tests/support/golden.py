"""Golden files: the reviewed output of commands. MQTT443_UPDATE_GOLDEN=1 rewrites them."""

import os
from pathlib import Path


def check_golden(file: Path, printed: str) -> None:
    """Compare an output with its golden file."""
    if os.environ.get("MQTT443_UPDATE_GOLDEN"):
        file.write_text(printed)
    assert printed == file.read_text(), f"{file.name} should hold:\n{printed}"
