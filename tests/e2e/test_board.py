"""The unchanged boot.py and main.py on every interpreter, against the local endpoint with the deployed authorizer."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.board import interpreters
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore

Flows = Callable[..., str]

CAN_ALPN = ("cpython", "alpn", "alpn32")


def runs(names: tuple[str, ...]) -> list[Any]:
    """Return (interpreter, compiled) for each name: source on all, .mpy files on MicroPython."""
    source = [pytest.param(name, False, id=name) for name in names]
    return source + [pytest.param(name, True, id=f"{name}-mpy") for name in names if name != "cpython"]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCore]:
    with RunningCore(tmp_path_factory.mktemp("state"), domain_name="localhost") as core:
        yield core


@pytest.fixture
def flows(endpoint: RunningCore, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Run a board until two readings have arrived; return the log line about the transport."""

    def flows(name: str, *, compiled: bool = False, port: int | None = None, **config: Any) -> str:
        client_id = request.node.name
        password = endpoint.add_device(client_id, username="user of " + client_id)
        with Board(
            tmp_path,
            interpreters.need(name),
            endpoint.ca.read_bytes(),
            compiled=compiled,
            port=port or endpoint.port,
            client_id=client_id,
            username="user of " + client_id,
            password=password,
            **config,
        ) as board:
            readings = [telemetry(endpoint, client_id) for _ in range(2)]
            line = board.wait_for("transport ")
        assert [reading["seq"] for reading in readings] == [1, 2]
        assert all({"time", "uptime_s", "chip_temperature_c"} <= reading.keys() for reading in readings)
        assert board.lines[-1].endswith("disconnected")
        return line

    return flows


def telemetry(endpoint: RunningCore, client_id: str) -> dict[str, Any]:
    """Return the next reading of a board, and skip late messages of other boards."""
    while True:
        message = endpoint.next_message()
        if message.topic == f"telemetry/{client_id}":
            reading: dict[str, Any] = json.loads(message.payload)
            return reading


@pytest.mark.parametrize(("name", "compiled"), runs(CAN_ALPN))
def test_alpn_carries_telemetry(flows: Flows, name: str, compiled: bool) -> None:
    assert "transport alpn: as config.json says" in flows(name, compiled=compiled, transport="alpn")


@pytest.mark.parametrize(("name", "compiled"), runs(interpreters.ALL))
def test_websocket_carries_telemetry(flows: Flows, name: str, compiled: bool) -> None:
    assert "transport wss: as config.json says" in flows(name, compiled=compiled, transport="wss")


@pytest.mark.parametrize(("name", "compiled"), runs(interpreters.ALL))
def test_domain_configuration_needs_no_alpn(flows: Flows, endpoint: RunningCore, name: str, compiled: bool) -> None:
    said = flows(name, compiled=compiled, transport="tls", port=endpoint.domain_port)
    assert "transport tls: as config.json says" in said


@pytest.mark.parametrize("name", interpreters.MICROPYTHON)
def test_board_runs_from_its_own_flash(flows: Flows, name: str) -> None:
    flows(name, compiled=True, flash=True)


@pytest.mark.parametrize("name", interpreters.ALL)
def test_auto_prefers_alpn_and_says_why(flows: Flows, name: str) -> None:
    expected = "transport alpn: this image can" if name in CAN_ALPN else "transport wss: this image has no ALPN"
    assert expected in flows(name, qos=0)
