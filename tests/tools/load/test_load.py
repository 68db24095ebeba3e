"""`mqtt443 load` against a running local endpoint: real processes, real TLS, the real authorizer."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.auth.account import DEVICES_FILE
from mqtt443_tools.localcore.control.control_client import NotRunning
from typer.testing import CliRunner, Result

from tests.support.mqtt.endpoint import RunningCore


def load(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["load", "--state", str(state), "--processes", "2", *arguments])


def registered(core: RunningCore) -> list[str]:
    return [device.client_id for device in SqliteStore(core.state / DEVICES_FILE).all()]


def test_fleet_connects_publishes_and_gets_its_commands(core: RunningCore, tmp_path: Path) -> None:
    core.add_device("board-1")
    picture = tmp_path / "load.svg"
    result = load(
        core.state,
        *("--devices", "6", "--rate", "30", "--commands", "6", "--seconds", "1", "--storms", "2"),
        *("--json", "--picture", str(picture)),
    )
    assert result.exit_code == 0, result.stderr
    results = json.loads(result.stdout)["results"]
    done = {name: each["done"] for name, each in results.items()}
    assert done == {
        **{"connect 1": 6, "connect 2": 6, "subscribe": 6},
        **{"telemetry": 30, "commands": 6, "deliveries": 6, "connections": 0},
    }
    assert not any(each["failed"] for each in results.values())
    assert sum(results["telemetry"]["per_second"]) == 30
    assert results["telemetry"]["latency_ms"]["p50"] > 0
    telemetry = [message for message in core.messages if message.topic.startswith("telemetry/load-")]
    assert (len(telemetry), len({message.client_id for message in telemetry})) == (30, 6)
    assert {len(message.payload) for message in telemetry} == {200}
    assert all(
        message.topic != f"commands/{message.client_id}" for message in core.messages if message not in telemetry
    )
    assert ElementTree.fromstring(picture.read_bytes()).tag.endswith("svg")
    assert registered(core) == ["board-1"], "the fleet stayed registered"


def test_failures_are_counted_by_their_cause_and_fail_the_command(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state", max_connections=2) as core:
        result = load(core.state, "--devices", "3", "--rate", "3", "--seconds", "1", "--commands", "0")
    assert result.exit_code == 1
    # A FIN or a RST, whichever the client meets first
    assert re.search("connect: 1 x (the peer closed during the handshake|Connection reset by peer)", result.stderr)
    assert "telemetry: 1 x not connected" in result.stderr
    table = [[cell.strip() for cell in line.split("│")[1:4]] for line in result.stdout.splitlines()]
    assert ["connect", "2", "1"] in table
    assert ["telemetry", "2", "1"] in table
    assert registered(core) == []


def test_throttled_publish_is_an_error_of_its_own(tmp_path: Path) -> None:
    with RunningCore(tmp_path / "state", publish_rate_per_s=1) as core:
        plan = ("--devices", "1", "--rate", "3", "--seconds", "1", "--commands", "0", "--timeout", "1")
        result = load(core.state, *plan, "--json")
    telemetry = json.loads(result.stdout)["results"]["telemetry"]
    assert telemetry["errors"] == {"no PUBACK within 1 s": telemetry["failed"]}
    assert telemetry["done"] + telemetry["failed"] == 3
    assert telemetry["failed"] >= 1


def test_endpoint_that_does_not_run_is_named_at_once(tmp_path: Path) -> None:
    result = load(tmp_path)
    assert isinstance(result.exception, NotRunning)
    assert "mqtt443 local --state" in str(result.exception)
