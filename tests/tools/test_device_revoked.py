"""A device that loses access is disconnected from the running local endpoint, and cannot return."""

import queue
import ssl
from typing import Any, Self

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.device_command import DeviceCommand
from tests.support.mqtt.endpoint import RunningCore

WAIT_S = 20


class Client:
    """A paho client that logs in as sensor-1 and tells when it was connected and cut."""

    def __init__(self, core: RunningCore, password: str) -> None:
        self.happened: queue.Queue[str] = queue.Queue()
        context = ssl.create_default_context(cafile=core.ca)
        context.set_alpn_protocols(["mqtt"])
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="sensor-1", reconnect_on_failure=False)
        self._client.tls_set_context(context)
        self._client.username_pw_set("sensor-1", password)
        self._client.on_connect = lambda *_: self.happened.put("connected")
        self._client.on_disconnect = lambda *_: self.happened.put("cut")
        self._client.connect(core.host, core.port)
        self._client.loop_start()

    def publish(self, topic: str) -> None:
        self._client.publish(topic, b"{}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.parametrize("command", [["disable"], ["remove", "--yes"], ["rotate", "--drop-old"]])
def test_device_is_disconnected_and_refused_from_then_on(core: RunningCore, command: list[str]) -> None:
    run = DeviceCommand(core.state)
    password = run.added_password("sensor-1")
    run("rotate", "sensor-1")
    with Client(core, password) as client:
        assert client.happened.get(timeout=WAIT_S) == "connected"
        name, *options = command
        assert run(name, "sensor-1", *options).endswith("; its connection was closed\n")
        assert client.happened.get(timeout=WAIT_S) == "cut"
    with Client(core, password) as again:
        assert again.happened.get(timeout=WAIT_S) == "cut"


def test_rotation_keeps_the_connection_and_both_passwords(core: RunningCore) -> None:
    run = DeviceCommand(core.state)
    password = run.added_password("sensor-1")
    with Client(core, password) as client:
        assert client.happened.get(timeout=WAIT_S) == "connected"
        run("rotate", "sensor-1")
        client.publish("telemetry/sensor-1")
        assert core.next_message(WAIT_S).topic == "telemetry/sensor-1"
    with Client(core, password) as again:
        assert again.happened.get(timeout=WAIT_S) == "connected"
