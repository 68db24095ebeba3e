"""The answers of a scripted server, in the client's version of MQTT; and the fields of a PUBLISH.

Built by hand from the standards (MQTT 3.1.1 and 5, section 3), so that no code under test is compared with itself.
"""

from __future__ import annotations

from dataclasses import dataclass

MQTT_311 = 4
MQTT_5 = 5


def level(connect: bytes) -> int:
    """Return the protocol level of a CONNECT [MQTT-3.1.2-2]."""
    return connect[connect.index(b"MQTT") + 4]


def variable(number: int) -> bytes:
    """Return a variable byte integer (MQTT 5 section 1.5.5)."""
    out = b""
    while number > 0x7F:
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))


def text(key: int, value: bytes) -> bytes:
    """Return a property whose value is text or binary data."""
    return bytes((key,)) + len(value).to_bytes(2, "big") + value


def reason_string(value: str) -> bytes:
    """Return the property Reason String (MQTT 5 section 3.2.2.3.9)."""
    return text(0x1F, value.encode())


def packet(first: int, body: bytes) -> bytes:
    """Return a control packet."""
    return bytes((first,)) + variable(len(body)) + body


def connack(version: int, *, session: bool = False, code: int = 0, properties: bytes = b"") -> bytes:
    """Return a CONNACK."""
    body = bytes((session, code))
    return packet(0x20, body + variable(len(properties)) + properties if version == MQTT_5 else body)


def puback(version: int, identifier: bytes, code: int = 0, properties: bytes = b"") -> bytes:
    """Return a PUBACK; in version 5 as short as possible."""
    body = identifier
    if version == MQTT_5 and (code or properties):
        body += bytes((code,)) + (variable(len(properties)) + properties if properties else b"")
    return packet(0x40, body)


def suback(version: int, identifier: bytes, code: int = 0, properties: bytes = b"") -> bytes:
    """Return a SUBACK for one filter."""
    between = variable(len(properties)) + properties if version == MQTT_5 else b""
    return packet(0x90, identifier + between + bytes((code,)))


def unsuback(version: int, identifier: bytes) -> bytes:
    """Return an UNSUBACK for one filter."""
    return packet(0xB0, identifier + (b"\0\0" if version == MQTT_5 else b""))


def publish(version: int, topic: bytes, payload: bytes) -> bytes:
    """Return a PUBLISH with QoS 0."""
    between = b"\0" if version == MQTT_5 else b""
    return packet(0x30, len(topic).to_bytes(2, "big") + topic + between + payload)


def disconnect(code: int, properties: bytes = b"") -> bytes:
    """Return a DISCONNECT of an MQTT 5 server."""
    return packet(0xE0, bytes((code,)) + variable(len(properties)) + properties)


@dataclass(frozen=True)
class Published:
    """A parsed PUBLISH. `identifier` is b"" with QoS 0, `properties` is b"" in version 3.1.1."""

    topic: bytes
    identifier: bytes
    properties: bytes
    payload: bytes


def published(version: int, data: bytes) -> Published:
    """Parse a PUBLISH."""
    at = 1
    while data[at] & 0x80:
        at += 1
    body = data[at + 1 :]
    end = 2 + int.from_bytes(body[:2], "big")
    topic, rest = body[2:end], body[end:]
    size = 2 if data[0] & 6 else 0
    identifier, rest = rest[:size], rest[size:]
    properties = b""
    if version == MQTT_5:
        assert rest[0] < 0x80
        properties, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    return Published(topic, identifier, properties, rest)
