"""The only copy of a password goes to standard output: where that fails, nothing is registered or changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from mqtt443_authorizer.device import Device
from mqtt443_authorizer.sqlitestore import SqliteStore

MQTT443 = Path(sys.executable).with_name("mqtt443")
WAIT_S = 30


def device(state: Path, *arguments: str, stdout: str = "/dev/full", encoding: str = "utf-8") -> tuple[int, str]:
    """Run `mqtt443 device` in a process of its own; return its exit code and standard error."""
    with Path(stdout).open("wb") as output:
        done = subprocess.run(
            [MQTT443, "device", *arguments, "--state", state],
            stdout=output,
            stderr=subprocess.PIPE,
            env={"PYTHONIOENCODING": encoding, "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
            text=True,
            timeout=WAIT_S,
            check=False,
        )
    return done.returncode, done.stderr


def stored(state: Path) -> list[Device]:
    return list(SqliteStore(state / "devices.sqlite").all())


@pytest.mark.parametrize("extra", [(), ("--json",), ("--password", "a password of my own")])
def test_device_whose_password_cannot_be_shown_is_not_registered(tmp_path: Path, extra: tuple[str, ...]) -> None:
    code, error = device(tmp_path / "state", "add", "b1", *extra)
    assert code == 1
    assert error == "mqtt443: standard output cannot be written: No space left on device; nothing was registered\n"
    assert stored(tmp_path / "state") == []


def test_closed_output_is_no_place_for_a_password(tmp_path: Path) -> None:
    command = f"{MQTT443} device add b1 --state {tmp_path}/state >&-"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, timeout=WAIT_S)
    assert (done.returncode, done.stderr) == (1, "mqtt443: standard output is closed; nothing was registered\n")
    assert stored(tmp_path / "state") == []


def test_rotation_whose_password_cannot_be_shown_is_undone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert device(state, "add", "b1", stdout="/dev/null") == (0, "")
    before = stored(state)[0].secrets
    code, error = device(state, "rotate", "b1")
    assert (code, error.splitlines()[-1]) == (
        1,
        "mqtt443: standard output cannot be written: No space left on device; the old password stays",
    )
    assert stored(state)[0].secrets == before


def test_password_in_a_file_is_kept(tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "config.json"
    assert device(state, "add", "b1", "--out", str(out), "--ca", str(ca_file(tmp_path)))[0] == 1
    assert [each.client_id for each in stored(state)] == ["b1"]
    assert "password" in out.read_text()


def test_name_that_the_terminal_cannot_show_is_escaped(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.touch()
    code, error = device(tmp_path / "state", "add", "温度", stdout=str(output), encoding="latin-1")
    assert (code, error) == (0, "")
    assert "added \\u6e29\\u5ea6" in output.read_text()
    assert "password " in output.read_text()


def test_output_that_is_full_ends_any_command_in_one_line(tmp_path: Path) -> None:
    code, error = device(tmp_path / "state", "list", "--json")
    assert (code, error) == (1, "mqtt443: standard output cannot be written: No space left on device\n")


def test_state_folder_that_every_user_can_change_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    code, error = device(state, "add", "b1", stdout="/dev/null")
    assert code == 1
    assert error.startswith(f"mqtt443: every user of this machine can change {state}, which holds secrets: chmod 700 ")
    done = subprocess.run(
        [MQTT443, "local", "--state", state, "--port", "0"], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 1
    assert f"every user of this machine can change {state}" in done.stderr
    assert list(state.iterdir()) == []


def ca_file(folder: Path) -> Path:
    path = folder / "mine.pem"
    path.write_text("a CA file is copied as it is")
    return path


def test_error_is_printed_without_control_characters(tmp_path: Path) -> None:
    done = subprocess.run(
        [MQTT443, "config", "show", "\x1b[2J\x9b.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert done.stderr.startswith("mqtt443: \\x1b[2J\\x9b.json: No such file or directory; create one with ")
