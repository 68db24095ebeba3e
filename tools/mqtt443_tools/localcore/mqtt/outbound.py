"""PUBLISH packets to one client, encoded for its version and as its CONNECT asked."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.mqtt import encoder, properties
from mqtt443_tools.localcore.mqtt.packets import Publish, Version
from mqtt443_tools.localcore.mqtt.properties import Properties
from mqtt443_tools.localcore.mqtt.session import Message


class Outbound(Protocol):
    """Encodes messages for one client."""

    def encode(self, message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message, or None if it is too large for the client."""


class SharedOutbound:
    """Encodes a message once for all clients of a version that get the same bytes."""

    def __init__(self, version: Version) -> None:
        self._version: Version = version
        self._message: Message | None = None  # the last one; the parts kept below are valid for it alone
        self._packet = b""  # with QoS 0
        self._prefix = b""  # with QoS 1: the bytes before and after the packet identifier
        self._suffix = b""

    def encode(self, message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message."""
        if message is not self._message:
            self._message, self._packet, self._prefix = message, b"", b""
        if packet_id is None:
            if not self._packet:
                self._packet = self._encode(message, qos, None, dup=dup)
            return self._packet
        if dup:
            return self._encode(message, qos, packet_id, dup=True)
        if not self._prefix:
            whole = self._encode(message, qos, packet_id, dup=False)
            block = 0 if self._version == 4 else len(properties.encode(message.properties))
            behind = len(whole) - block - len(message.payload)
            self._prefix, self._suffix = whole[: behind - 2], whole[behind:]
        return b"".join((self._prefix, packet_id.to_bytes(2, "big"), self._suffix))

    def _encode(self, message: Message, qos: int, packet_id: int | None, *, dup: bool) -> bytes:
        packet = Publish(message.topic, message.payload, qos, message.retain, dup, packet_id, message.properties)
        return encoder.publish(packet, self._version)


OUTBOUND_311 = SharedOutbound(4)
"""For every client of MQTT 3.1.1: topic and payload, nothing else."""

_PLAIN_5 = SharedOutbound(5)


class Outbound5:
    """MQTT 5: with properties, the remaining expiry interval, and topic aliases.

    Args:
        max_aliases: how many topic aliases client and server allow; the first topics get them.
        max_packet_bytes: largest packet that the client accepts; None: no limit.
    """

    def __init__(self, clock: Clock, *, max_aliases: int, max_packet_bytes: int | None) -> None:
        self._clock = clock
        self._max_aliases = max_aliases
        self._max_packet_bytes = max_packet_bytes
        self._aliases: dict[str, int] = {}

    def encode(self, message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message, or None if it is too large for the client [MQTT5-3.1.2-24]."""
        if not self._max_aliases and message.expires_at is None:
            return self._fitting(_PLAIN_5.encode(message, qos, packet_id, dup=dup))
        topic, alias = message.topic, self._aliases.get(message.topic)
        is_new = alias is None and len(self._aliases) < self._max_aliases
        if is_new:
            alias = len(self._aliases) + 1
        found = self._properties(message, alias)
        name = topic if alias is None or is_new else ""
        packet = Publish(name, message.payload, qos, message.retain, dup, packet_id, found)
        data = self._fitting(encoder.publish(packet, 5))
        if is_new and alias is not None and data is not None:
            self._aliases[topic] = alias
        return data

    def _fitting(self, data: bytes | None) -> bytes | None:
        too_large = data is not None and self._max_packet_bytes is not None and len(data) > self._max_packet_bytes
        return None if too_large else data

    def _properties(self, message: Message, alias: int | None) -> Properties:
        left_s = None
        if message.expires_at is not None:  # 0 within the last second, as at AWS
            left_s = max(0, math.floor(message.expires_at - self._clock.time()))
        return dataclasses.replace(message.properties, topic_alias=alias, message_expiry_s=left_s)
