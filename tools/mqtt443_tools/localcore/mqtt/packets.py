"""MQTT control packets as data, from and to a client, in both versions.

`parser` makes them from bytes, `encoder` turns them into bytes. In 3.1.1, fields of MQTT 5 keep their defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mqtt443_tools.localcore.mqtt.properties import NONE, Properties
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode

Version = Literal[4, 5]
"""Protocol level in CONNECT: 4 is MQTT 3.1.1."""

SUBSCRIBE_REFUSED = 0x80

QOS_BITS, NO_LOCAL, RETAIN_AS_PUBLISHED, RETAIN_HANDLING_SHIFT = 0x03, 0x04, 0x08, 4
"""Subscription options (MQTT 5, clause 3.8.3.1); in 3.1.1 only the QoS bits exist."""


@dataclass(frozen=True, slots=True)
class Will:
    """The message that a client leaves behind."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Connect:
    """CONNECT. `keep_alive_s` is 0..65535 as sent; the password stays out of the repr."""

    client_id: str
    clean_session: bool  # Clean Start in MQTT 5
    keep_alive_s: int
    username: str | None
    password: bytes | None = field(repr=False)
    will: Will | None
    version: Version = 4
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Publish:
    """PUBLISH; `packet_id` is None with QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Puback:
    """PUBACK."""

    packet_id: int
    reason_code: int = ReasonCode.SUCCESS
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE: filters with their subscription options, in order."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """UNSUBSCRIBE."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Pingreq:
    """PINGREQ."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """DISCONNECT."""

    reason_code: int = ReasonCode.SUCCESS
    properties: Properties = NONE


@dataclass(frozen=True, slots=True)
class Qos2Flow:
    """PUBREC, PUBREL or PUBCOMP, which AWS does not support."""

    packet_type: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that are not a valid packet, with their MQTT 5 reason code."""

    detail: str
    reason_code: int = ReasonCode.MALFORMED_PACKET


Packet = Connect | Publish | Puback | Subscribe | Unsubscribe | Pingreq | Disconnect | Qos2Flow | Malformed
