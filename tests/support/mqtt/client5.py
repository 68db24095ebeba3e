"""The client side of MQTT 5, independent of the endpoint's code: paho packs and unpacks the properties.

`connect5`, `publish5` and the others encode what a client sends (also what it must not send); `Inbox5` decodes what a
server sends. Properties have paho's names: `SessionExpiryInterval=60`.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as UntypedProperties

from tests.support.mqtt.client import Inbox, Pingresp, frame, text

Properties: Any = UntypedProperties
Found = dict[str, Any]
"""Properties by name."""


class Connack5(NamedTuple):
    code: int
    session_present: bool
    found: Found


class Puback5(NamedTuple):
    packet_id: int
    code: int = 0
    reason: str | None = None


class Suback5(NamedTuple):
    packet_id: int
    codes: tuple[int, ...]
    reason: str | None = None


class Unsuback5(NamedTuple):
    packet_id: int
    codes: tuple[int, ...]
    reason: str | None = None


class Disconnect5(NamedTuple):
    code: int
    reason: str | None = None


class Got5(NamedTuple):
    """A PUBLISH from the server."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int | None
    found: Found


Received5 = Connack5 | Puback5 | Suback5 | Unsuback5 | Disconnect5 | Got5 | Pingresp


def packed(packet_type: int, found: Found) -> bytes:
    """Properties with their length, as paho encodes them."""
    properties = Properties(packet_type)
    for name, value in found.items():
        setattr(properties, name, value)
    return bytes(properties.pack())


def unpacked(packet_type: int, data: bytes) -> tuple[Found, bytes]:
    """Properties at the start of `data`, and the rest of it."""
    properties = Properties(packet_type)
    _, size = properties.unpack(data)
    names = [name for name in properties.names if hasattr(properties, name.replace(" ", ""))]
    return {name.replace(" ", ""): getattr(properties, name.replace(" ", "")) for name in names}, data[size:]


def connect5(
    client_id: str = "dev-1",
    username: str | None = "dev-1",
    password: bytes | None = b"secret",
    *,
    clean: bool = True,
    keep_alive_s: int = 60,
    will: tuple[str, bytes, int, bool] | None = None,
    will_found: Found | None = None,
    **found: Any,
) -> bytes:
    """CONNECT; `will` is topic, payload, QoS, retain; `will_found` its properties."""
    bits = clean << 1 | (username is not None) << 7 | (password is not None) << 6
    body = packed(PacketTypes.CONNECT, found) + text(client_id)
    if will is not None:
        topic, payload, qos, retain = will
        bits |= 0x04 | qos << 3 | retain << 5
        body += packed(PacketTypes.WILLMESSAGE, will_found or {}) + text(topic) + text(payload)
    body += b"" if username is None else text(username)
    body += b"" if password is None else text(password)
    return frame(0x10, text("MQTT") + struct.pack(">BBH", 5, bits, keep_alive_s) + body)


def publish5(
    topic: str,
    payload: bytes = b"",
    qos: int = 0,
    *,
    retain: bool = False,
    dup: bool = False,
    packet_id: int = 1,
    **found: Any,
) -> bytes:
    """PUBLISH."""
    number = struct.pack(">H", packet_id) if qos else b""
    body = text(topic) + number + packed(PacketTypes.PUBLISH, found) + payload
    return frame(0x30 | dup << 3 | qos << 1 | retain, body)


def subscribe5(*filters: tuple[str, int], packet_id: int = 1, **found: Any) -> bytes:
    """SUBSCRIBE; each filter with its options byte."""
    body = b"".join(text(topic_filter) + bytes([options]) for topic_filter, options in filters)
    return frame(0x82, struct.pack(">H", packet_id) + packed(PacketTypes.SUBSCRIBE, found) + body)


def unsubscribe5(*filters: str, packet_id: int = 1, **found: Any) -> bytes:
    """UNSUBSCRIBE."""
    body = packed(PacketTypes.UNSUBSCRIBE, found) + b"".join(map(text, filters))
    return frame(0xA2, struct.pack(">H", packet_id) + body)


def puback5(packet_id: int, code: int | None = None, **found: Any) -> bytes:
    """PUBACK, the short form without a code."""
    body = struct.pack(">H", packet_id)
    if code is not None:
        body += bytes([code]) + packed(PacketTypes.PUBACK, found)
    return frame(0x40, body)


def disconnect5(code: int | None = None, **found: Any) -> bytes:
    """DISCONNECT, the short form without a code."""
    return frame(0xE0, b"" if code is None else bytes([code]) + packed(PacketTypes.DISCONNECT, found))


class Inbox5(Inbox):
    """Decodes a server's bytes."""

    def decode(self, first_byte: int, body: bytes) -> Any:
        match first_byte >> 4, first_byte & 15:
            case 2, 0:
                assert body[0] <= 1
                found, rest = unpacked(PacketTypes.CONNACK, body[2:])
                assert rest == b""
                return Connack5(body[1], bool(body[0]), found)
            case 3, flags:
                return _got(flags, body)
            case 4, 0:
                code, reason = _reason(PacketTypes.PUBACK, body[2:])
                return Puback5(int.from_bytes(body[:2], "big"), code, reason)
            case 9, 0:
                found, codes = unpacked(PacketTypes.SUBACK, body[2:])
                return Suback5(int.from_bytes(body[:2], "big"), tuple(codes), found.get("ReasonString"))
            case 11, 0:
                found, codes = unpacked(PacketTypes.UNSUBACK, body[2:])
                return Unsuback5(int.from_bytes(body[:2], "big"), tuple(codes), found.get("ReasonString"))
            case 13, 0:
                assert body == b""
                return Pingresp()
            case 14, 0:
                return Disconnect5(*_reason(PacketTypes.DISCONNECT, body))
        raise AssertionError(f"a server does not send {first_byte:#04x}")


def _reason(packet_type: int, data: bytes) -> tuple[int, str | None]:
    if not data:
        return 0, None
    found, rest = unpacked(packet_type, data[1:]) if len(data) > 1 else ({}, b"")
    assert rest == b""
    return data[0], found.get("ReasonString")


def _got(flags: int, body: bytes) -> Got5:
    size, qos = int.from_bytes(body[:2], "big"), flags >> 1 & 3
    topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
    packet_id = int.from_bytes(rest[:2], "big") if qos else None
    found, payload = unpacked(PacketTypes.PUBLISH, rest[2:] if qos else rest)
    return Got5(topic, payload, qos, bool(flags & 1), bool(flags & 8), packet_id, found)
