"""The laptop script that this project began with: paho, ALPN `mqtt`, user name and password, one topic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mqtt443_tools.localcore.mqtt.session import Message
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mqtt.endpoint import RunningCore

CLIENT_ID, USERNAME, PASSWORD, TOPIC = "myClientName", "username", "test", "telemetry/myClientName"
WAIT_S = 20.0


class Script:
    """A paho client as the script sets it up, and what it sees."""

    def __init__(self, core: RunningCore, *, client_id: str = CLIENT_ID, password: str = PASSWORD) -> None:
        self.connected, self.ended = threading.Event(), threading.Event()
        self.codes: list[int] = []
        self.received: list[MQTTMessage] = []
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        self.client.tls_set_context(core.tls_context(["mqtt"]))
        self.client.username_pw_set(USERNAME, password)
        self.client.on_connect = lambda *_: self.connected.set()
        self.client.on_disconnect = lambda *_: self.ended.set()

    @contextmanager
    def running(self, core: RunningCore) -> Iterator[Client]:
        self.client.connect(core.host, core.port, keepalive=60)
        self.client.loop_start()
        try:
            yield self.client
        finally:
            self.client.disconnect()
            self.client.loop_stop()


@pytest.fixture
def registered(core: RunningCore) -> RunningCore:
    core.add_device(CLIENT_ID, username=USERNAME, password=PASSWORD)
    return core


def test_script_gets_its_messages_through(registered: RunningCore) -> None:
    with Script(registered).running(registered) as client:
        for text in ("12:00:00", "12:00:01", "12:00:02"):
            client.publish(TOPIC, text)
            message = registered.next_message()
            assert (message.topic, message.payload, message.client_id) == (TOPIC, text.encode(), CLIENT_ID)


def refused(core: RunningCore, script: Script) -> str:
    """Run a script that must be refused; the detail of the event."""
    with script.running(core) as client:
        client.publish(TOPIC, "must not get through")
        assert script.ended.wait(WAIT_S)
    assert not script.connected.is_set(), "a client that AWS refuses sees no CONNACK"
    assert core.messages == []
    event = core.next_event("refused")
    assert event.reason == "NOT_AUTHENTICATED"
    return event.line()


def test_wrong_password_gets_nothing_through(registered: RunningCore) -> None:
    line = refused(registered, Script(registered, password="Test"))
    assert line.startswith("refused myClientName from 127.0.0.1: NOT_AUTHENTICATED: ")
    assert "Test" not in line
    assert not any("Test" in entry for entry in registered.log)


def test_another_client_id_gets_nothing_through(registered: RunningCore) -> None:
    refused(registered, Script(registered, client_id="anotherName"))


def test_another_topic_gets_nothing_through_and_closes(registered: RunningCore) -> None:
    script = Script(registered)
    with script.running(registered) as client:
        assert script.connected.wait(WAIT_S)
        client.publish("telemetry/anotherName", "must not get through", qos=1)
        assert script.ended.wait(WAIT_S)
    assert registered.messages == []
    event = registered.next_event("closed")
    assert event.reason == "AUTH_ERROR"
    assert "iot:Publish" in event.detail
    assert "topic/telemetry/anotherName" in event.detail


def test_script_without_alpn_is_distinguished_from_http(registered: RunningCore) -> None:
    script = Script(registered)
    script.client = Client(CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, reconnect_on_failure=False)
    script.client.tls_set_context(registered.tls_context())
    script.client.username_pw_set(USERNAME, PASSWORD)
    script.client.on_disconnect = lambda *_: script.ended.set()
    with script.running(registered):
        assert script.ended.wait(WAIT_S)
    event = registered.next_event("refused")
    assert event.reason == "NO_ALPN"
    assert "offer ALPN mqtt" in event.detail


def test_paho_over_websocket_needs_no_alpn_and_gets_its_commands(registered: RunningCore) -> None:
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=CLIENT_ID, transport="websockets", reconnect_on_failure=False
    )
    client.tls_set_context(registered.tls_context())
    client.ws_set_options(path="/mqtt")
    client.username_pw_set(USERNAME, PASSWORD)
    script = Script(registered)
    subscribed, received = threading.Event(), threading.Event()
    script.client = client

    def on_connect(*_: Any) -> None:
        client.subscribe(f"commands/{CLIENT_ID}", 1)

    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        script.received.append(message)
        received.set()

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = on_message
    with script.running(registered):
        assert subscribed.wait(WAIT_S)
        client.publish(TOPIC, "over WebSocket", qos=1)
        assert registered.next_message().payload == b"over WebSocket"
        registered.run(
            lambda: registered.core.broker.publish(Message(f"commands/{CLIENT_ID}", b"blink", 1, False, None, 0.0))
        )
        assert received.wait(WAIT_S)
    assert [(message.topic, message.payload) for message in script.received] == [(f"commands/{CLIENT_ID}", b"blink")]
    assert registered.next_event("accepted").detail.startswith("MQTT over WebSocket")
    assert registered.next_event("closed").reason == "CLIENT_INITIATED_DISCONNECT"
