"""`mqtt443 send --stack`: a command goes through AWS's data plane, after the subscription to its answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.send.answers import answer_filters
from mqtt443_tools.watch import aws_messages
from typer.testing import CliRunner

from tests.support.aws.account import Cloud


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
def test_command_goes_through_the_data_plane_of_a_stack(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.deploy(mode="named")
    did: list[tuple[str, Any]] = []

    class Watcher:
        def __enter__(self) -> Watcher:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def subscribe(self, topic_filter: str) -> None:
            did.append(("subscribe", topic_filter))

        def messages(self, _: float) -> Iterator[dict[str, Any]]:
            sent = json.loads(did[-1][1]["payload"])
            answer = {"request_id": sent["request_id"], "report": {"on": sent["on"]}}
            yield {"client_id": None, "payload": base64.b64encode(json.dumps(answer).encode()).decode()}

    def publish(**parameters: Any) -> dict[str, Any]:
        did.append(("publish", parameters))
        return {}

    cloud.answers.on("iot-data", "publish", publish)
    monkeypatch.setattr(aws_messages, "open_watcher", lambda *_: Watcher())
    monkeypatch.setattr("mqtt443_tools.cloud.aws.open_aws", lambda *_: cloud.aws)
    add = ["device", "add", "board-1", "--password", "x" * 12, "--publish", "own/topic", "--stack", "mqtt443"]
    assert CliRunner().invoke(app, add, catch_exceptions=False).exit_code == 0
    result = CliRunner().invoke(app, ["send", "board-1", "relay", "on=1", "--stack", "mqtt443"], catch_exceptions=False)
    assert result.stdout == "on: 1\n"
    filters = answer_filters("board-1", ["own/topic"])
    assert [each for kind, each in did if kind == "subscribe"] == filters
    assert did[-1][1]["topic"] == "commands/board-1"
    assert (did[-1][1]["qos"], len(did)) == (1, len(filters) + 1)
