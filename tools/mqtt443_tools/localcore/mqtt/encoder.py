"""Encodes MQTT packets to the client, in both versions. No I/O, no policy.

`client_answers` decides about everything that 3.1.1 cannot express (reason codes of PUBACK and UNSUBACK, properties,
DISCONNECT).
"""

from __future__ import annotations

from collections.abc import Sequence

from mqtt443_tools.localcore.mqtt import packet_types as types
from mqtt443_tools.localcore.mqtt import properties
from mqtt443_tools.localcore.mqtt.fields import encode_length, string
from mqtt443_tools.localcore.mqtt.packets import Publish, Version
from mqtt443_tools.localcore.mqtt.properties import NONE, Properties

PINGRESP_BYTES = bytes((types.PINGRESP << 4, 0))


def _packet(packet_type: int, body: bytes) -> bytes:
    return bytes((packet_type << 4,)) + encode_length(len(body)) + body


def connack(code: int, *, session_present: bool = False, found: Properties | None = None) -> bytes:
    """Encode a CONNACK; for MQTT 5 if `found` is given."""
    body = bytes((session_present, code))
    return _packet(types.CONNACK, body if found is None else body + properties.encode(found))


def publish(packet: Publish, version: Version = 4) -> bytes:
    """Encode a PUBLISH."""
    before, after = publish_parts(packet, version)
    return before + after if packet.packet_id is None else before + packet.packet_id.to_bytes(2, "big") + after


def publish_parts(packet: Publish, version: Version = 4) -> tuple[bytes, bytes]:
    """Encode a PUBLISH without its packet identifier; return the bytes before it and after it."""
    flags = packet.dup << 3 | packet.qos << 1 | packet.retain
    topic = string(packet.topic)
    block = b"" if version == 4 else properties.encode(packet.properties)
    length = encode_length(len(topic) + (2 if packet.qos else 0) + len(block) + len(packet.payload))
    return b"".join((bytes((types.PUBLISH << 4 | flags,)), length, topic)), block + packet.payload


def puback(packet_id: int, code: int = 0, found: Properties = NONE) -> bytes:
    """Encode a PUBACK; for MQTT 5 if it has a code or properties."""
    if not code and found is NONE:  # MQTT 5 may omit the reason code too (clause 3.4.2.1)
        return bytes((types.PUBACK << 4, 2)) + packet_id.to_bytes(2, "big")
    block = b"" if found is NONE else properties.encode(found)
    return _packet(types.PUBACK, packet_id.to_bytes(2, "big") + bytes((code,)) + block)


def suback(packet_id: int, codes: Sequence[int], found: Properties | None = None) -> bytes:
    """Encode a SUBACK, with `codes` in the order of the filters; for MQTT 5 if `found` is given."""
    block = b"" if found is None else properties.encode(found)
    return _packet(types.SUBACK, packet_id.to_bytes(2, "big") + block + bytes(codes))


def unsuback(packet_id: int, codes: Sequence[int] = (), found: Properties | None = None) -> bytes:
    """Encode an UNSUBACK; for MQTT 5 if `found` is given."""
    body = packet_id.to_bytes(2, "big")
    return _packet(types.UNSUBACK, body if found is None else body + properties.encode(found) + bytes(codes))


def disconnect(code: int, found: Properties = NONE) -> bytes:
    """Encode a DISCONNECT of MQTT 5; a 3.1.1 server sends none."""
    return _packet(types.DISCONNECT, bytes((code,)) if found is NONE else bytes((code,)) + properties.encode(found))
