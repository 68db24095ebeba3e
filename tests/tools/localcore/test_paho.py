"""The laptop script that this project began with: paho, ALPN `mqtt`, user name and password, one topic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.core import RunningCore

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


def test_the_script_gets_its_messages_through(registered: RunningCore) -> None:
    with Script(registered).running(registered) as client:
        for text in ("12:00:00", "12:00:01", "12:00:02"):
            client.publish(TOPIC, text)
            message = registered.next_message()
            assert (message.topic, message.payload, message.client_id) == (TOPIC, text.encode(), CLIENT_ID)
