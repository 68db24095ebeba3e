"""Runs `mqtt443 device` on a state folder, in this process or another, and reads what it stored."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.secret import match
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.device_command import app
from mqtt443_tools.support.errors import CommandError
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from mqtt443_tools.device.device_command import app; app()"]


class DeviceCommand:
    """`mqtt443 device` with `--state`; in this process the password variable is set only where a test says so."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def __call__(self, name: str, *arguments: str, env: dict[str, str | None] | None = None, **options: Any) -> str:
        """Run a subcommand; give its output, or raise the CommandError that the command line reports."""
        result = CliRunner().invoke(
            app,
            [name, *arguments, "--state", str(self.state)],
            env={"MQTT443_PASSWORD": None, "MQTT443_POLICY": None, **(env or {})},
            **options,
        )
        if isinstance(result.exception, CommandError):
            raise result.exception
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        return result.stdout

    def in_process(self, name: str, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*PROGRAM, name, *arguments, "--state", str(self.state)],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            **options,
        )

    def added_password(self, client_id: str) -> str:
        """Add a device with a generated password."""
        password = json.loads(self("add", client_id, "--json"))["password"]
        assert isinstance(password, str)
        return password

    def stored(self, client_id: str = "sensor-1") -> Device | None:
        return SqliteStore(self.state / "devices.sqlite").by_client_id(client_id)

    def fits(self, password: str, client_id: str = "sensor-1") -> int | None:
        """The index of the device's secret that a password belongs to."""
        device = self.stored(client_id)
        assert device is not None
        return match(device.secrets, password.encode(), admit=True)
