"""PUBLISH packets for one client, encoded for its version and as its CONNECT asked.

A message is encoded once for all clients that get the same bytes. At QoS 1 only the packet identifier differs.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.mqtt import encoder
from mqtt443_tools.localcore.mqtt.packets import Publish, Version
from mqtt443_tools.localcore.mqtt.session import Message

MAX_VARIANTS = 32
"""Encodings of one message that are kept."""

_Variant = tuple[int, bool, int | None, bool, int | None]
"""QoS, DUP, topic alias, whether the topic is there, and the remaining message expiry interval."""


class Outbound(Protocol):
    """Encodes messages for one client."""

    def encode(self, message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message, or None if it is too large for the client."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Encoded:
    """A message, and the bytes before and after the packet identifier in each variant."""

    message: Message
    variants: dict[_Variant, tuple[bytes, bytes]]

    def suits(self, message: Message) -> bool:
        """Return whether a message has the same encodings: copies for members of groups share these fields."""
        own = self.message
        return (
            message.payload is own.payload
            and message.topic is own.topic
            and message.properties is own.properties
            and message.retain == own.retain
        )


class SharedOutbound:
    """Encodes a message once for all clients of a version that get the same bytes."""

    def __init__(self, version: Version) -> None:
        self._version: Version = version
        # The last message with RETAIN 0, and the last with 1: some subscribers see RETAIN as it was published.
        self._last: list[_Encoded | None] = [None, None]

    def encode(
        self,
        message: Message,
        qos: int,
        packet_id: int | None = None,
        *,
        dup: bool = False,
        alias: int | None = None,
        named: bool = True,
        left_s: int | None = None,
    ) -> bytes:
        """Return the PUBLISH for a message.

        Args:
            message: what to send.
            qos: 0 or 1.
            packet_id: its packet identifier at QoS 1.
            dup: whether it was sent before.
            alias: its topic alias (MQTT 5).
            named: whether it carries the topic; an alias may stand for it.
            left_s: its remaining message expiry interval (MQTT 5).
        """
        last = self._last[message.retain]
        if last is None or (last.message is not message and not last.suits(message)):
            last = self._last[message.retain] = _Encoded(message, {})
        variant = (qos, dup, alias, named, left_s)
        parts = last.variants.get(variant)
        if parts is None:
            if len(last.variants) >= MAX_VARIANTS:
                last.variants.clear()
            parts = last.variants[variant] = self._encode(message, variant)
        before, after = parts
        return before if packet_id is None else b"".join((before, packet_id.to_bytes(2, "big"), after))

    def _encode(self, message: Message, variant: _Variant) -> tuple[bytes, bytes]:
        qos, dup, alias, named, left_s = variant
        found = message.properties
        if alias is not None or left_s is not None:
            found = dataclasses.replace(found, topic_alias=alias, message_expiry_s=left_s)
        topic = message.topic if named else ""
        before, after = encoder.publish_parts(
            Publish(topic, message.payload, qos, message.retain, dup, properties=found), self._version
        )
        return (before, after) if qos else (before + after, b"")


OUTBOUND_311 = SharedOutbound(4)
"""For every client of MQTT 3.1.1: topic and payload, nothing else."""

_SHARED_5 = SharedOutbound(5)


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
        topic, alias, left_s = message.topic, None, None
        is_new = False
        if self._max_aliases:
            alias = self._aliases.get(topic)
            is_new = alias is None and len(self._aliases) < self._max_aliases
            if is_new:
                alias = len(self._aliases) + 1
        if message.expires_at is not None:  # 0 within the last second, as at AWS
            left_s = max(0, math.floor(message.expires_at - self._clock.time()))
        named = alias is None or is_new
        data = _SHARED_5.encode(message, qos, packet_id, dup=dup, alias=alias, named=named, left_s=left_s)
        if self._max_packet_bytes is not None and len(data) > self._max_packet_bytes:
            return None
        if is_new and alias is not None:
            self._aliases[topic] = alias
        return data
