"""paho as an MQTT 5 client, over ALPN `mqtt` and over WebSocket."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.mqtt.client5 import Properties
from tests.support.mqtt.endpoint import RunningCore

CLIENT_ID, PASSWORD = "paho-5", "test"
TOPIC, COMMANDS = f"telemetry/{CLIENT_ID}", f"commands/{CLIENT_ID}"
WAIT_S = 20.0


class Paho:
    """A paho client, and what its callbacks were told, in order."""

    def __init__(self, core: RunningCore, transport: str, *, password: str = PASSWORD) -> None:
        self._core = core
        self._told: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=CLIENT_ID,
            protocol=MQTTProtocolVersion.MQTTv5,
            transport="websockets" if transport == "websockets" else "tcp",
            reconnect_on_failure=False,
        )
        self.client.tls_set_context(core.tls_context([] if transport == "websockets" else ["mqtt"]))
        self.client.ws_set_options(path="/mqtt")
        self.client.username_pw_set(CLIENT_ID, password)
        told = self._told
        self.client.on_connect = lambda _c, _u, _f, code, found: told.put(("connect", (code, found)))
        self.client.on_disconnect = lambda _c, _u, _f, code, found: told.put(("disconnect", (code, found)))
        self.client.on_subscribe = lambda _c, _u, _m, codes, found: told.put(("subscribe", (codes, found)))
        self.client.on_publish = lambda _c, _u, _m, code, found: told.put(("publish", (code, found)))
        self.client.on_message = lambda _c, _u, message: told.put(("message", message))

    def told(self, what: str) -> Any:
        """What the next callback of this kind was told."""
        while True:
            kind, value = self._told.get(timeout=WAIT_S)
            if kind == what:
                return value

    @contextmanager
    def running(self, **found: Any) -> Iterator[Client]:
        properties = Properties(PacketTypes.CONNECT)
        for name, value in found.items():
            setattr(properties, name, value)
        self.client.connect(self._core.host, self._core.port, keepalive=60, properties=properties)
        self.client.loop_start()
        try:
            yield self.client
        finally:
            self.client.disconnect()
            self.client.loop_stop()


@pytest.fixture(params=["tcp", "websockets"])
def transport(request: pytest.FixtureRequest, core: RunningCore) -> str:
    core.add_device(CLIENT_ID, password=PASSWORD)
    return str(request.param)


def test_paho_exchanges_messages_with_properties(core: RunningCore, transport: str) -> None:
    paho = Paho(core, transport)
    with paho.running(SessionExpiryInterval=10_000) as client:
        code, found = paho.told("connect")
        assert (code.value, found.SessionExpiryInterval, found.TopicAliasMaximum) == (0, 3600, 8)
        client.subscribe(COMMANDS, options=SubscribeOptions(qos=1))
        assert [code.value for code in paho.told("subscribe")[0]] == [1]
        properties = Properties(PacketTypes.PUBLISH)
        properties.TopicAlias, properties.ContentType = 1, "application/json"
        client.publish(TOPIC, b"{}", 1, properties=properties)
        assert paho.told("publish")[0].value == 0
        message = core.next_message()
        assert (message.topic, message.properties.content_type) == (TOPIC, "application/json")
        core.run(lambda: core.core.broker.publish(type(message)(COMMANDS, b"blink", 1, False, None, 0.0)))
        command: MQTTMessage = paho.told("message")
    assert (command.topic, command.payload) == (COMMANDS, b"blink")


def test_paho_learns_why_it_is_refused(core: RunningCore, transport: str) -> None:
    paho = Paho(core, transport, password="wrong")
    with paho.running():
        code, found = paho.told("connect")
    assert code.value == 0x87
    assert found.ReasonString.endswith("wrong password")


def test_paho_learns_the_missing_permission(core: RunningCore, transport: str) -> None:
    paho = Paho(core, transport)
    with paho.running() as client:
        paho.told("connect")
        client.publish("telemetry/other", b"x", 1)
        code, found = paho.told("publish")
        assert code.value == 0x87
        assert "topic/telemetry/other" in found.ReasonString
        client.subscribe("commands/other", options=SubscribeOptions(qos=1))
        codes, found = paho.told("subscribe")
        assert [code.value for code in codes] == [0x87]
        assert "iot:Subscribe" in found.ReasonString
        client.publish("telemetry/other", b"x", 0)
        code, found = paho.told("disconnect")
        assert code.value == 0x87
        assert "iot:Publish" in found.ReasonString


def test_paho_learns_that_its_session_was_taken_over(core: RunningCore, transport: str) -> None:
    old, new = Paho(core, transport), Paho(core, transport)
    with old.running():
        old.told("connect")
        with new.running():
            assert old.told("disconnect")[0].value == 0x8E


def test_paho_learns_that_the_endpoint_stops(core: RunningCore, transport: str) -> None:
    paho = Paho(core, transport)
    with paho.running():
        paho.told("connect")
        core.stop()
        assert paho.told("disconnect")[0].value == 0x8B
