"""PUBLISH packets to one client: encoded for its version, with what it asked for in its CONNECT."""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.mqtt import encoder
from mqtt443_tools.localcore.mqtt.packets import Publish
from mqtt443_tools.localcore.mqtt.properties import Properties
from mqtt443_tools.localcore.mqtt.session import Message


class Outbound(Protocol):
    """Encodes messages for one client."""

    def encode(self, message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message, or None if the client takes no packet of this size."""


class Outbound311:
    """MQTT 3.1.1: topic and payload, nothing else."""

    @staticmethod
    def encode(message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message."""
        return encoder.publish(Publish(message.topic, message.payload, qos, message.retain, dup, packet_id))


class Outbound5:
    """MQTT 5: with properties, the rest of the message's life, and topic aliases.

    Args:
        max_aliases: how many topic aliases the client takes and this server uses; the first topics get them.
        max_packet_bytes: largest packet that the client takes, None: any.
    """

    def __init__(self, clock: Clock, *, max_aliases: int, max_packet_bytes: int | None) -> None:
        self._clock = clock
        self._max_aliases = max_aliases
        self._max_packet_bytes = max_packet_bytes
        self._aliases: dict[str, int] = {}

    def encode(self, message: Message, qos: int, packet_id: int | None = None, *, dup: bool = False) -> bytes | None:
        """Return the PUBLISH for a message, or None if it is larger than the client takes [MQTT5-3.1.2-24]."""
        topic, alias = message.topic, self._aliases.get(message.topic)
        is_new = alias is None and len(self._aliases) < self._max_aliases
        if is_new:
            alias = len(self._aliases) + 1
        found = self._properties(message, alias)
        name = topic if alias is None or is_new else ""
        data = encoder.publish(Publish(name, message.payload, qos, message.retain, dup, packet_id, found), 5)
        if self._max_packet_bytes is not None and len(data) > self._max_packet_bytes:
            return None
        if is_new and alias is not None:
            self._aliases[topic] = alias
        return data

    def _properties(self, message: Message, alias: int | None) -> Properties:
        if alias is None and message.expires_at is None:
            return message.properties
        left_s = None
        if message.expires_at is not None:  # 0 within the last second, as at AWS
            left_s = max(0, math.floor(message.expires_at - self._clock.time()))
        return dataclasses.replace(message.properties, topic_alias=alias, message_expiry_s=left_s)
