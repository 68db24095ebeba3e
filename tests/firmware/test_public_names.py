"""The flat namespace of the package: its public names, and that importing one loads only what it needs."""

import subprocess
import sys

import mqtt443

from tests.support.board import package as board

PUBLIC = {"App", "Client", "Transport", "Backoff", "Config"}


def test_public_names_are_these() -> None:
    assert set(vars(mqtt443)["_PUBLIC"]) == PUBLIC
    for name in PUBLIC:
        assert getattr(mqtt443, name).__name__ == name


def test_importing_the_package_loads_nothing_else() -> None:
    code = "import sys, mqtt443; print(sorted(m for m in sys.modules if m.startswith('mqtt443')))"
    command = [sys.executable, "-c", code]
    listing = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=30, env={"PYTHONPATH": str(board.FIRMWARE)}
    )
    assert listing.stdout.strip() == "['mqtt443', 'mqtt443._host', 'mqtt443._port', 'mqtt443.errors']"
