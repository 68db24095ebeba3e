"""The packet filter on scripted wires, with MQTT 5."""

from typing import Any

from mqtt443 import packets5
from mqtt443.packets import Packets

from tests.firmware.fakes import Wire
from tests.support.mqtt.answers import MQTT_5, connack, packet, variable

CONNACK = connack(MQTT_5)
USER = b"\x26\0\1k\0\1v"
TOPIC = b"telemetry/greenhouse-north-bay-3"


def attached(*incoming: bytes | Exception | None, max_bytes: int = 512, connected: bool = True) -> tuple[Any, Wire]:
    wire: Any = Wire([CONNACK, *incoming] if connected else incoming)
    packets = Packets(max_bytes, TOPIC)
    packets.attach(wire, packets5)
    if connected:
        assert packets.read(1) == CONNACK[:1]
        assert bytes(packets.body()) == CONNACK[2:]
        packets.skip()
    return packets, wire


def take(packets: Any) -> bytes:
    """Read one packet byte by byte, as umqtt may."""
    first: bytes = packets.read(1)
    return first + packets.read(packets.limit - 1) if packets.limit > 1 else first


def message(topic: bytes, payload: bytes, identifier: int | None = None, properties: bytes = b"") -> bytes:
    body = len(topic).to_bytes(2, "big") + topic
    if identifier is not None:
        body += identifier.to_bytes(2, "big")
    return packet(0x30 if identifier is None else 0x32, body + variable(len(properties)) + properties + payload)
