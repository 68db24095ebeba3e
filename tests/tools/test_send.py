"""The command `mqtt443 send`: a command reaches a whole board, and its answer comes back."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.control.control_client import ControlClient, ControlError
from mqtt443_tools.send.answers import Answer, find_answer, parse_arguments
from mqtt443_tools.support.errors import CommandError, UsageError
from typer.testing import CliRunner, Result

from tests.support.board.lives import Living, living
from tests.support.mqtt.endpoint import RunningCore

SENSORS = """
from mqtt443 import command

@command("relay")
def relay(arguments):
    return {"on": arguments["on"], "note": "\\x1b[31mred"}

def read():
    return {"id": 0}
"""


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("send")
    with (
        RunningCore(folder / "state", publish_rate_per_s=0) as core,
        living(core, folder / "board-1", sensors=SENSORS, interval_s=3600, keepalive_s=1200) as alive,
    ):
        alive.wait_for_next()
        yield alive


def send(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["send", *arguments, "--state", str(state)])


def test_answer_of_a_board_is_shown_value_by_value(board: Living) -> None:
    result = send(board.core.state, "board-1", "relay", "on=true")
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(result.stdout.splitlines()) == ["note: \\x1b[31mred", "on: true"]


def test_command_without_values_is_answered_too(board: Living) -> None:
    result = send(board.core.state, "board-1", "interval", "interval_s=7200")
    assert (result.exit_code, result.stdout) == (0, "board-1: done\n")


def test_answer_is_json_for_scripts(board: Living) -> None:
    result = send(board.core.state, "board-1", "report", "--json")
    answer = json.loads(result.stdout)
    assert (answer["device"], answer["command"]) == ("board-1", "report")
    assert {"version", "transport", "uptime_s"} <= set(answer["report"])


@pytest.mark.parametrize("as_json", [False, True])
def test_refusal_fails_with_the_boards_reason(board: Living, as_json: bool) -> None:
    result = send(board.core.state, "board-1", "fly", *(["--json"] if as_json else []))
    assert isinstance(result.exception, CommandError)
    assert str(result.exception) == "board-1 refused fly: no command 'fly'"
    assert as_json == ("refused" in result.stdout)


def test_device_that_is_not_registered_is_refused_at_once(core: RunningCore) -> None:
    result = send(core.state, "board-7", "report")
    assert str(result.exception) == "no device board-7 is registered: see `mqtt443 device list`"


def test_absent_device_is_named_before_and_after_the_wait(core: RunningCore) -> None:
    core.add_device("board-1")
    result = send(core.state, "board-1", "report", "--timeout", "0.2")
    assert "board-1 is not connected" in result.stderr
    assert isinstance(result.exception, CommandError)
    assert "no answer from board-1 within 0.2 s" in str(result.exception)


def test_command_without_a_wait_is_published(core: RunningCore) -> None:
    core.add_device("board-1")
    result = send(core.state, "board-1", "relay", "on=1", "--timeout", "0")
    assert (result.exit_code, result.stdout) == (0, "sent relay to board-1\n")
    message = core.next_message()
    assert (message.topic, message.qos, message.retain) == ("commands/board-1", 1, False)
    command = json.loads(message.payload)
    assert command.pop("request_id")
    assert command == {"command": "relay", "on": 1}


def test_endpoint_that_does_not_run_is_one_clear_error(tmp_path: Path) -> None:
    core = RunningCore(tmp_path / "state")
    core.add_device("board-1")
    core.stop()
    assert "no localcore runs on" in str(send(core.state, "board-1", "report").exception)


def test_values_are_json_or_text() -> None:
    texts = ["a=1", "b=true", "c=null", 'd={"e": [1.5]}', "f=hello", "g=NaN", "h=", "i=a=b", 'j="7"']
    assert parse_arguments(texts) == {
        **{"a": 1, "b": True, "c": None, "d": {"e": [1.5]}, "f": "hello"},
        **{"g": "NaN", "h": "", "i": "a=b", "j": "7"},
    }


@pytest.mark.parametrize("words", [["on"], ["=1"], ["command=x"], ["request_id=x"], ["a=1", "a=2"]])
def test_words_that_are_no_arguments_are_wrong_use(words: list[str]) -> None:
    with pytest.raises(UsageError, match=r"expected key=value|of its own|twice"):
        parse_arguments(words)


def test_command_that_is_too_long_is_wrong_use(core: RunningCore) -> None:
    core.add_device("board-1")
    result = send(core.state, "board-1", "relay", "a=" + "x" * 17_000)
    assert isinstance(result.exception, UsageError)


def message(payload: bytes, client_id: str | None = "board-1") -> dict[str, Any]:
    return {"client_id": client_id, "payload": base64.b64encode(payload).decode()}


def test_only_a_message_of_the_board_with_the_request_id_is_the_answer() -> None:
    others = [
        {"dropped": 3},
        message(b"\xff"),
        message(b"[1]"),
        message(b"[" * 5000),
        message(b'{"request_id": "r2", "report": {}}'),
        message(b'{"request_id": "r1", "report": {"from": "another"}}', "board-2"),
    ]
    assert find_answer(others, "board-1", "r1") is None
    answer = message(b'{"request_id": "r1", "report": {"on": 1}}')
    assert find_answer([*others, answer], "board-1", "r1") == Answer({"on": 1}, None)


def test_control_channel_refuses_to_publish_to_a_wildcard(core: RunningCore) -> None:
    with ControlClient(core.state) as control, pytest.raises(ControlError):
        control.publish("a/#", b"x", "#", 1e9)
