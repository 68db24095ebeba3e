"""Files that cannot be opened, and standard streams that are closed: one line each, with advice that fits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MQTT443 = Path(sys.executable).with_name("mqtt443")
TOO_LONG = "x" * 300
WAIT_S = 30


def mqtt443(folder: Path, command: str) -> tuple[int, str]:
    """Run a command line in a process of its own; return its exit code and standard error."""
    line = f"{MQTT443} {command}"
    done = subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "2000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "config show {}",
        "push --dry-run --config {}",
        "board --seconds 1 --config {}",
        "device add sensor-1 --state state --out {}",
        "device list --state {}",
        "export --state {}",
        "console --state {}",
        "local --port 0 --no-console --state {}",
        "update --group {} --restart --yes --state state",
    ],
)
def test_name_that_cannot_be_opened_is_one_line(tmp_path: Path, command: str) -> None:
    code, error = mqtt443(tmp_path, command.format(TOO_LONG))
    assert code in (1, 2)
    assert error.count("\n") == 1, error
    assert error.startswith("mqtt443: ")
    assert "File name too long" in error
    assert "create" not in error, "no advice that must fail the same way"


@pytest.mark.parametrize("command", ["config show", "push --dry-run --config", "board --seconds 1 --config"])
def test_only_a_missing_config_is_to_be_created(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in (("file/config.json", "Not a directory"), ("loop", "Too many levels of symbolic links")):
        code, error = mqtt443(tmp_path, f"{command} {name}")
        assert (code, reason in error, "create one" in error) == (1, True, False), error
    code, error = mqtt443(tmp_path, f"{command} missing.json")
    assert (code, "create one with `mqtt443 " in error) == (1, True), error


@pytest.mark.parametrize("command", ["device list --state state >&-", "device list --state state <&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path: Path, command: str) -> None:
    assert mqtt443(tmp_path, "device add sensor-1 --state state") == (0, "")
    assert mqtt443(tmp_path, command) == (0, "")


def test_password_from_a_closed_standard_input_is_wrong_use(tmp_path: Path) -> None:
    assert mqtt443(tmp_path, "device add sensor-1 --password - --state state <&-") == (
        2,
        "mqtt443: standard input is closed, so there is no password to read\n",
    )


def test_option_in_front_of_a_subcommand_is_wrong_use(tmp_path: Path) -> None:
    assert mqtt443(tmp_path, "local --state state fault") == (
        2,
        "mqtt443: write --state behind fault; in front of it, it has no effect\n",
    )
