"""Runs the board's code on one of the MicroPython builds, for tests, with a config for a server on loopback."""

import json
import subprocess
from pathlib import Path
from typing import Any

from mqtt443_tools.support.paths import UMQTT
from mqtt443_tools.virtualboard.interpreters import Interpreter

from tests.firmware.servers import HOST, Server
from tests.support.board.package import FIRMWARE

TIMEOUT_S = 120


def run(interpreter: Interpreter, folder: Path, source: str, timeout_s: float = TIMEOUT_S) -> str:
    """Run source on interpreter with folder as the board's root; return what it printed."""
    (folder / "program.py").write_text(source)
    result = subprocess.run(
        [*interpreter.command, "program.py"],
        check=False,
        cwd=folder,
        env={"MICROPYPATH": f"{folder}:{FIRMWARE}:{UMQTT}"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr
    return result.stdout


def prepare(folder: Path, server: Server, **changes: Any) -> None:
    (folder / "ca.pem").write_bytes(server.ca)
    base = {"endpoint": HOST, "port": server.port, "client_id": "dev1", "username": "u", "password": "p"}
    (folder / "config.json").write_text(json.dumps({**base, "ca": "ca.pem", **changes}))
