"""`mqtt443 device list`, `rotate`, `disable`, `enable`, `remove`: what they print, change and disconnect."""

import json
import os
import pty
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mqtt443_tools.device.device_console import minute
from mqtt443_tools.localcore.control import control_client
from mqtt443_tools.localcore.control.control_client import ControlError
from mqtt443_tools.support.errors import CommandError, UsageError

from tests.support.device_command import DeviceCommand


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return DeviceCommand(tmp_path / "state")


def test_piped_list_is_plain_text_without_secrets(run: Any) -> None:
    password = run.added_password("[bold]x")
    run("add", "n" * 128, "--username", "u" * 128)
    run("rotate", "n" * 128)
    run("disable", "n" * 128)
    output = run("list")
    assert [line.split("  ")[0].strip() for line in output.splitlines()] == ["client id", "[bold]x", "n" * 128]
    unseen = ["never", "-", "-", "-"]
    assert output.splitlines()[1].split()[1:] == ["[bold]x", *unseen, "yes"]
    assert output.splitlines()[2].split()[1:] == ["u" * 128, *unseen, "no"]
    assert "\x1b" not in output
    assert password not in output
    assert run.stored("[bold]x").secrets[0].digest.hex() not in output


def test_list_as_json(run: Any) -> None:
    assert run("list", "--json") == "[]\n"
    run("add", "sensor-1", "--username", "dev1")
    assert json.loads(run("list", "--json")) == [
        {
            "client_id": "sensor-1",
            "username": "dev1",
            "online": False,
            "last_seen": None,
            "transport": None,
            "version": None,
            "failures": None,
            "enabled": True,
            "secrets": 1,
            "created_at": run.stored("sensor-1").created_at,
        }
    ]


def test_rotate_keeps_the_old_password_until_it_is_dropped(run: Any, tmp_path: Path) -> None:
    out = tmp_path / "config.json"
    run("add", "sensor-1", "--out", str(out), "--endpoint", "example.org")
    first = json.loads(out.read_text())["password"]
    rotated = run("rotate", "sensor-1", "--out", str(out), "--keep-hours", "24")
    new, old = run.stored("sensor-1").secrets
    assert old.expires_at == new.created_at + 24 * 3600
    until = minute(old.expires_at)
    assert rotated == f"rotated sensor-1, user name sensor-1\nthe old password works until {until}\nwrote {out}\n"
    config = json.loads(out.read_text())
    assert config["endpoint"] == "example.org"
    assert (run.fits(config["password"]), run.fits(first)) == (0, 1)
    assert run("rotate", "sensor-1", "--drop-old") == "sensor-1 has one password now\n"
    assert (run.fits(config["password"]), run.fits(first)) == (0, None)


def test_drop_old_makes_no_password(run: Any, tmp_path: Path) -> None:
    run("add", "sensor-1")
    for arguments in (["--out", str(tmp_path / "config.json")], ["--password", "test"], ["--keep-hours", "1"]):
        with pytest.raises(UsageError, match="makes no new password"):
            run("rotate", "sensor-1", "--drop-old", *arguments)
    run("rotate", "sensor-1", "--drop-old", env={"MQTT443_PASSWORD": "test"})
    assert run.fits("test") is None


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the control channel is asked for, and what it answers."""
    channel = SimpleNamespace(calls=[], answer=True)

    def disconnect(state: Path, client_id: str) -> Any:
        channel.calls.append((state.name, client_id))
        if isinstance(channel.answer, Exception):
            raise channel.answer
        return channel.answer

    monkeypatch.setattr(control_client, "disconnect_live", disconnect)
    return channel


@pytest.mark.parametrize(
    ("command", "done"),
    [
        (["disable", "sensor-1"], "sensor-1 is disabled"),
        (["remove", "sensor-1", "--yes"], "sensor-1 was deleted"),
        (["rotate", "sensor-1", "--drop-old"], "sensor-1 has one password now"),
    ],
)
def test_losing_access_closes_the_live_connection(run: Any, live: Any, command: str, done: Any) -> None:
    run("add", "sensor-1")
    run("rotate", "sensor-1")
    assert live.calls == []
    assert run(*command) == f"{done}; its connection was closed\n"
    assert live.calls == [("state", "sensor-1")]


def test_connection_that_may_be_up_fails_although_the_change_is_stored(run: Any, live: Any) -> None:
    run("add", "sensor-1")
    live.answer = ControlError("the local endpoint did not answer: TimeoutError")
    with pytest.raises(CommandError, match=r"is disabled, but its connection may still be up: .*; restart") as raised:
        run("disable", "sensor-1")
    assert raised.value.exit_code == 1
    assert run.stored().enabled is False


def test_disable_and_enable(run: Any) -> None:
    run("add", "sensor-1")
    assert json.loads(run("disable", "sensor-1", "--json")) == {"client_id": "sensor-1", "disconnected": False}
    assert run.stored().enabled is False
    assert run("enable", "sensor-1") == "sensor-1 is enabled\n"
    assert run.stored().enabled is True
    assert json.loads(run("enable", "sensor-1", "--json")) == {"client_id": "sensor-1"}


@pytest.mark.parametrize(
    "command", [["rotate"], ["rotate", "--drop-old"], ["disable"], ["enable"], ["remove", "--yes"]]
)
def test_unknown_device_fails_with_the_next_step(run: Any, command: list[str]) -> None:
    name, *options = command
    with pytest.raises(CommandError, match=r"client id sensor-1 is registered: see `mqtt443 device list`"):
        run(name, "sensor-1", *options)


def test_remove_without_a_terminal_needs_yes(run: Any) -> None:
    run("add", "sensor-1")
    with pytest.raises(UsageError, match="add --yes"):
        run("remove", "sensor-1")
    assert run.stored() is not None
    run("remove", "sensor-1", "--yes")
    assert run.stored() is None


@pytest.mark.parametrize(("answer", "is_left"), [("y\n", False), ("n\n", True)])
def test_remove_asks_at_a_terminal(run: Any, answer: Any, is_left: Any) -> None:
    run("add", "sensor-1")
    master, terminal = pty.openpty()
    try:
        os.write(master, answer.encode())
        run.in_process("remove", "sensor-1", stdin=terminal)
    finally:
        os.close(master)
        os.close(terminal)
    assert (run.stored() is not None) == is_left
