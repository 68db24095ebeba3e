"""docs/commands.md: its commands reach a board and do what the page says, including its example of sensors.py."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import commands
from mqtt443_tools.support.paths import ROOT

from tests.support.board import interpreters
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore

TEXT = (ROOT / "docs" / "commands.md").read_text()
DEADLINE_S = 30


def blocks(language: str) -> list[str]:
    """Return the page's code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


SEND, PAHO = blocks("sh")
(SENSORS,) = blocks("python")


@pytest.fixture
def shell(core: RunningCore, tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a line of the page; `core` takes the place of `mqtt443 local`."""
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (tmp_path / ".mqtt443").symlink_to(core.state)

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-ec", line.replace("8443", str(core.port))],
            check=False, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
            timeout=DEADLINE_S,
        )  # fmt: skip

    return shell


@pytest.fixture
def send(shell: Callable[[str], subprocess.CompletedProcess[str]]) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Send a command with paho, as the page does."""
    add, publish = PAHO.splitlines()
    done = shell(add)
    assert done.returncode == 0, done.stderr
    return lambda command: shell(publish.replace('{"command": "send_now"}', command))


@pytest.fixture(params=interpreters.MICROPYTHON)
def board(core: RunningCore, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Board]:
    """The board of the page with its sensors.py; its second reading is due in an hour."""
    password = core.add_device("my-board")
    login: dict[str, Any] = {"client_id": "my-board", "username": "my-board", "password": password}
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "sensors.py").write_text(SENSORS + "\n\ndef read():\n    return {}\n")
    interpreter = interpreters.need(request.param)
    with Board(
        tmp_path / "board", interpreter, core.ca.read_bytes(), port=core.port, interval_s=3600, **login
    ) as board:
        assert next_of(core)["seq"] == 1
        yield board


def next_of(core: RunningCore) -> dict[str, Any]:
    while True:
        message = core.next_message()
        if message.topic == "telemetry/my-board":
            loaded: dict[str, Any] = json.loads(message.payload)
            return loaded


def test_documented_command_does_what_the_page_says(board: Board, core: RunningCore, send: Any) -> None:
    assert send('{"command": "send_now"}').returncode == 0
    assert next_of(core)["seq"] == 2
    assert send('{"command": "relay", "on": true}').returncode == 0
    assert next_of(core)["report"] == {"on": 1}
    assert send('{"command": "relay"}').returncode == 0
    board.wait_for("command refused: relay raised KeyError: on")
    assert send('{"command": "report"}').returncode == 0
    report = next_of(core)["report"]
    assert report["refused"] == 1
    assert {"version", "transport", "uptime_s"} <= report.keys()
    assert send('{"command": "interval", "interval_s": 1}').returncode == 0
    seq = next_of(core)["seq"]
    assert next_of(core)["seq"] == seq + 1


def test_mqtt443_send_of_the_page_is_answered(board: Board, shell: Any) -> None:
    done = shell(SEND)
    assert (done.returncode, done.stdout) == (0, "my-board: done\n"), done.stderr


def test_restart_happens_once_and_says_why(board: Board, core: RunningCore, send: Any) -> None:
    assert send('{"command": "restart"}').returncode == 0
    after = next_of(core)
    assert "command restart" in after["link"].values()
    assert send('{"command": "send_now"}').returncode == 0
    assert next_of(core)["seq"] == after["seq"] + 1
    assert len(board.virtual.resets) == 2


def test_example_reports_a_refused_login(core: RunningCore, send: Any) -> None:
    assert send('{"command": "send_now"}').returncode == 0
    refused = subprocess.run(
        [sys.executable, ROOT / "docs/examples/paho_command.py", core.host, str(core.port), core.ca, "other", "{}"],
        check=False, capture_output=True, text=True, timeout=DEADLINE_S,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "not acknowledged" in refused.stderr


def test_page_lists_exactly_the_built_in_commands() -> None:
    source = Path(commands.__file__).read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(re.findall(r'name == "(\w+)"', source))
