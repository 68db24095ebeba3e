"""The command `mqtt443 watch`: one line per message, from the running endpoint."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.watch.watch_command import decoded, describe
from typer.testing import CliRunner, Result

from tests.support.mqtt.endpoint import RunningCore

WAIT_S = 20.0


class Publisher:
    """Publishes once a watcher is there."""

    def __init__(self, core: RunningCore, *messages: tuple[str, bytes], then_stop: bool = False) -> None:
        self._core = core
        self._messages = messages
        self._then_stop = then_stop
        self._watching = self._watchers()  # those of the fixture and of the endpoint itself
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def _watchers(self) -> int:
        return self._core.run(lambda: len(self._core.core.broker._watchers))

    def _run(self) -> None:
        while self._watchers() == self._watching:
            pass
        for topic, payload in self._messages:
            message = Message(topic, payload, 0, False, "dev-1", 1_800_000_000.25)
            self._core.run(partial(self._core.core.broker.publish, message))
        if self._then_stop:
            self._core.stop()


def watch(core: RunningCore, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["watch", "--state", str(core.state), *arguments], catch_exceptions=False)


def test_message_is_one_line_with_time_topic_and_payload(core: RunningCore) -> None:
    with Publisher(core, ("other", b"x"), ("telemetry/a", b'{"t": 21.5}'), ("telemetry/b", b"\xff\x00")):
        result = watch(core, "--count", "2")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d telemetry/a \{\"t\": 21\.5\}", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d telemetry/b ff00", second)


def test_json_is_one_object_a_line(core: RunningCore) -> None:
    with Publisher(core, ("telemetry/a", b"[1]" + b" " * 300)):
        result = watch(core, "--json", "--count", "1", "--filter", "#")
    (line,) = result.stdout.splitlines()
    assert json.loads(line) == {
        "topic": "telemetry/a",
        "payload": base64.b64encode(b"[1]" + b" " * 300).decode(),
        "qos": 0,
        "retain": False,
        "client_id": "dev-1",
        "received_at": 1_800_000_000.25,
        "json": [1],
    }


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        (b'{"t": 21.5}', {"json": {"t": 21.5}}),
        (b"null", {"json": None}),
        (b"NaN", {"text": "NaN"}),
        (b"on", {"text": "on"}),
        (b"", {"text": ""}),
        (b"\xff", {}),
        (b"[" * 5000, {"text": "[" * 5000}),
    ],
)
def test_json_has_the_payload_decoded_where_it_can_be(payload: bytes, more: dict[str, Any]) -> None:
    assert decoded(message(payload)) == {**message(payload), **more}


def test_watch_ends_after_seconds(core: RunningCore) -> None:
    result = watch(core, "--seconds", "0.2")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "watching telemetry/#\n")


def test_watch_ends_with_a_note_when_the_endpoint_stops(core: RunningCore) -> None:
    with Publisher(core, ("telemetry/a", b"last"), then_stop=True):
        result = watch(core)
    assert result.exit_code == 0
    assert result.stdout.endswith("telemetry/a last\n")
    assert result.stderr == "watching telemetry/#\nthe local endpoint was stopped\n"


def test_missing_endpoint_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "watch", "--state", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert (
        result.stderr == f"mqtt443: no localcore runs on {tmp_path}; start one with: mqtt443 local --state {tmp_path}\n"
    )


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [("--filter", "a/#/b", "[MQTT-4.7.1-2]"), ("--seconds", "inf", "Ctrl-C")],
)
def test_wrong_option_is_wrong_use(tmp_path: Path, option: str, value: str, problem: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "watch", option, value],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 2
    assert problem in result.stderr


def message(payload: bytes, topic: str = "t") -> dict[str, Any]:
    return {"topic": topic, "payload": base64.b64encode(payload).decode(), "received_at": 0.0}


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b"", "(empty)"),
        ("23 °C".encode(), "23 °C"),
        (b"a\x1b[31m", "611b5b33316d"),
        (b"\xff" * 501, "ff" * 500 + "…"),
        (b"x" * 501, "x" * 499 + "…"),
    ],
)
def test_text_payload_is_shown_as_text(payload: bytes, shown: str) -> None:
    assert describe(message(payload)).partition(" t ")[2] == shown


def test_control_characters_in_a_topic_are_escaped() -> None:
    assert "\\x1b[31m" in describe(message(b"x", "t\x1b[31m"))


def test_help_has_an_example() -> None:
    assert "Example: mqtt443 watch --filter 'telemetry/#'" in CliRunner().invoke(app, ["watch", "--help"]).output
