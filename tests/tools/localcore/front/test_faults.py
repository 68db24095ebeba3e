"""Faults on a real endpoint: over TLS, and switched through the control channel and the command."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.localcore.control.control_client import ControlClient, ControlError
from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault
from typer.testing import CliRunner

from tests.support.mqtt.client import RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore


@pytest.fixture
def registered(core: RunningCore) -> RunningCore:
    core.add_device("dev-1", password="secret")
    return core


def command(core: RunningCore, *arguments: str) -> Any:
    result = CliRunner().invoke(app, ["local", "fault", *arguments, "--json", "--state", str(core.state)])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_wrong_certificate_ends_one_handshake_of_a_client_that_checks(registered: RunningCore) -> None:
    with ControlClient(registered.state) as control:
        control.switch_fault("dev-1", Fault.WRONG_CERTIFICATE, on=True)
    with pytest.raises(ssl.SSLCertVerificationError), RawClient(registered):
        pass
    event = registered.next_event("refused", FAULT_INJECTED)
    assert (event.client_id, "does not trust this CA" in event.detail) == ("dev-1", True)
    with RawClient(registered) as client:
        client.connect("dev-1")


def test_client_that_accepts_the_wrong_certificate_is_reported(registered: RunningCore) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["mqtt"])
    registered.run(lambda: registered.core.faults.switch_on("dev-1", Fault.WRONG_CERTIFICATE))
    with (
        socket.create_connection((registered.host, registered.port), 20) as raw,
        context.wrap_socket(raw, server_hostname="localhost"),
    ):
        event = registered.next_event("refused", FAULT_INJECTED)
    assert "does not check" in event.detail


def test_fault_that_needs_a_new_connection_ends_the_one_that_is_up(registered: RunningCore) -> None:
    with RawClient(registered) as client:
        client.connect("dev-1")
        assert command(registered, "dev-1", "refuse") == [{"client_id": "dev-1", "fault": "refuse", "hits": 0}]
        assert client.receive() is None
    with RawClient(registered) as client, pytest.raises(AssertionError, match="expected CONNACK, got None"):
        client.connect("dev-1")
    assert command(registered) == [{"client_id": "dev-1", "fault": "refuse", "hits": 1}]
    assert command(registered, "dev-1", "--off") == []
    with RawClient(registered) as client:
        client.connect("dev-1")


def test_stall_is_felt_by_a_connection_that_is_up_and_ends_with_the_fault(registered: RunningCore) -> None:
    with RawClient(registered) as client:
        client.connect("dev-1")
        command(registered, "dev-1", "stall")
        client.send(client_publish("telemetry/dev-1", b"x", 1, packet_id=5))
        registered.next_event("dropped", FAULT_INJECTED)
        assert registered.messages == []
        command(registered, "--off")
        assert client.receive() is not None
        assert registered.next_message().payload == b"x"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [(["dev-1"], "which fault? mqtt443 local fault dev-1 FAULT"), (["dev-1", "nonsense"], "no fault nonsense")],
)
def test_command_says_what_is_wrong(registered: RunningCore, arguments: list[str], wanted: str) -> None:
    result = CliRunner().invoke(app, ["local", "fault", *arguments, "--state", str(registered.state)])
    assert wanted in str(result.exception)


def test_endpoint_refuses_a_fault_that_it_does_not_know(registered: RunningCore) -> None:
    unknown: Any = "nonsense"
    for client_id, fault in (("dev-1", unknown), ("", Fault.DROP), (None, None)):
        with ControlClient(registered.state) as control, pytest.raises(ControlError):
            control.switch_fault(client_id, fault, on=True)


def test_command_says_what_is_on_and_how_to_switch_it_off(registered: RunningCore) -> None:
    state = ["--state", str(registered.state)]
    said = CliRunner().invoke(app, ["local", "fault", "dev-1", "drop", *state]).output
    assert f"mqtt443 local fault dev-1 drop --off --state {registered.state}" in said.replace("\n", " ")
    assert "dev-1: drop, has acted 0 times" in CliRunner().invoke(app, ["local", "fault", *state]).output
    assert "no faults are on" in CliRunner().invoke(app, ["local", "fault", "--off", *state]).output


def test_help_names_every_fault() -> None:
    text = CliRunner().invoke(app, ["local", "fault", "--help"]).output
    assert [fault for fault in Fault if fault not in text] == []
