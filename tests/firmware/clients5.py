"""A client that speaks MQTT 5 on scripted wires."""

from collections.abc import Callable
from typing import Any

from tests.firmware.clients import LOGIN, Opener
from tests.firmware.fakes import Wire
from tests.support.mqtt.answers import MQTT_5, connack

from mqtt443 import config_schema  # isort: skip
from mqtt443._host import ticks_ms  # isort: skip
from mqtt443.client import Client  # isort: skip


def new(*wires: Wire, ticks: Callable[[], int] = ticks_ms, **changes: Any) -> Client:
    return Client(config_schema.validate({**LOGIN, "mqtt": "5", **changes}), Opener(*wires), ticks)


def connected(
    *incoming: bytes | Exception | None, properties: bytes = b"", ticks: Callable[[], int] = ticks_ms, **changes: Any
) -> tuple[Client, Wire]:
    wire = Wire([connack(MQTT_5, properties=properties), *incoming])
    client = new(wire, ticks=ticks, **changes)
    assert client.connect() is False
    wire.writes.clear()
    return client, wire
