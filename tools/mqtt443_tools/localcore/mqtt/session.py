"""Messages, and the state that belongs to a client id rather than to a connection (MQTT 3.1.1 section 3.1.2.4).

A session has subscriptions, waiting QoS 1 messages, and QoS 1 messages in flight. `delivery` sends them; the broker
decides who gets a session.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mqtt443_tools.localcore.mqtt.packets import Publish, Version, Will
from mqtt443_tools.localcore.mqtt.properties import NONE, Properties
from mqtt443_tools.localcore.settings import Settings

TOO_MANY_WAIT = "too many QoS 1 messages are waiting for the client"

MIN_MESSAGE_EXPIRY_S, MAX_MESSAGE_EXPIRY_S = 1, 604_800
"""AWS's limits for a message expiry interval (Developer Guide, "MQTT", "Message expiry")."""


@dataclass(frozen=True, slots=True)
class Message:
    """An application message on its way through the broker.

    Args:
        retain: as the publisher set it; a subscriber sees it only on a retained copy.
        client_id: who published it; None for an HTTP publish.
        received_at: unix seconds.
        properties: those passed on to MQTT 5 subscribers: payload format, content type, response topic, correlation
            data, user properties.
        shared: the shared filter through which a member of its group gets it.
        expires_at: unix seconds from which it is no longer delivered; None: it does not expire.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    client_id: str | None
    received_at: float
    properties: Properties = NONE
    expires_at: float | None = None
    shared: str | None = None

    @classmethod
    def of(cls, packet: Publish | Will, client_id: str | None, now: float) -> Message:
        """Make a message from a client's publish or will, at `now` (unix seconds)."""
        found, expires_at = packet.properties, None
        if found is NONE:
            return cls(packet.topic, packet.payload, packet.qos, packet.retain, client_id, now)
        if (expiry_s := found.message_expiry_s) is not None:
            expires_at = now + min(max(expiry_s, MIN_MESSAGE_EXPIRY_S), MAX_MESSAGE_EXPIRY_S)
        found = Properties(
            payload_format=found.payload_format,
            content_type=found.content_type,
            response_topic=found.response_topic,
            correlation_data=found.correlation_data,
            user_properties=found.user_properties,
        )
        return cls(packet.topic, packet.payload, packet.qos, packet.retain, client_id, now, found, expires_at)

    def expired(self, now: float) -> bool:
        """Return whether its message expiry interval has passed."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(slots=True)
class Queued:
    """A waiting QoS 1 message; `stored` means that it came while the client was away."""

    message: Message
    stored: bool


@dataclass(slots=True)
class InFlight:
    """A QoS 1 message that was sent but not acknowledged; `sent_at` is in seconds of the clock."""

    message: Message
    sent_at: float


@dataclass(slots=True)
class Session:
    """One client's session.

    Args:
        expiry_s: how long it outlives its connection, in seconds; 0: not at all.
        version: of the client; no session is resumed by a client of the other version.
    """

    client_id: str
    expiry_s: int
    version: Version = 4
    subscriptions: dict[str, int] = field(default_factory=dict)
    queue: deque[Queued] = field(default_factory=deque)
    queued_bytes: int = 0
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    last_packet_id: int = 0

    def enqueue(self, message: Message, *, stored: bool, settings: Settings) -> bool:
        """Add a QoS 1 message to the queue; return False if the queue was full and it was dropped."""
        size = self.queued_bytes + len(message.payload)
        if len(self.queue) >= settings.max_queued_messages or size > settings.max_queued_bytes:
            return False
        self.queue.append(Queued(message, stored))
        self.queued_bytes = size
        return True

    def dequeue(self) -> Message:
        """Remove the first waiting message and return it."""
        message = self.queue.popleft().message
        self.queued_bytes -= len(message.payload)
        return message

    def next_packet_id(self) -> int:
        """Return an unused packet identifier, 1..65535 [MQTT-2.3.1-1]; at most 65,534 may be in flight."""
        while True:
            self.last_packet_id = self.last_packet_id % 0xFFFF + 1
            if self.last_packet_id not in self.in_flight:
                return self.last_packet_id
