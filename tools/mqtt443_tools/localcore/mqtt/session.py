"""The state that belongs to a client id rather than to a connection (MQTT 3.1.1 section 3.1.2.4).

Subscriptions, QoS 1 messages that wait, QoS 1 messages that are on their way. Sending is `delivery`'s, deciding who
gets a session is the broker's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mqtt443_tools.localcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Message:
    """An application message on its way through the broker.

    Args:
        retain: as the publisher set it; a subscriber sees it only on a retained copy.
        client_id: who published it; None for an HTTP publish.
        received_at: unix seconds.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    client_id: str | None
    received_at: float


@dataclass(slots=True)
class Queued:
    """A QoS 1 message that waits; `stored` means that the client was away when it came."""

    message: Message
    stored: bool


@dataclass(slots=True)
class InFlight:
    """A QoS 1 message that was sent and is not acknowledged; `sent_at` is the clock's seconds."""

    message: Message
    sent_at: float


@dataclass(slots=True)
class Session:
    """One client's session."""

    client_id: str
    clean: bool
    subscriptions: dict[str, int] = field(default_factory=dict)
    queue: deque[Queued] = field(default_factory=deque)
    queued_bytes: int = 0
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    last_packet_id: int = 0

    def enqueue(self, message: Message, *, stored: bool, settings: Settings) -> bool:
        """Add a QoS 1 message at the end; return False where the queue is full and it was dropped."""
        size = self.queued_bytes + len(message.payload)
        if len(self.queue) >= settings.max_queued_messages or size > settings.max_queued_bytes:
            return False
        self.queue.append(Queued(message, stored))
        self.queued_bytes = size
        return True

    def dequeue(self) -> Message:
        """Take the first message that waits."""
        message = self.queue.popleft().message
        self.queued_bytes -= len(message.payload)
        return message

    def next_packet_id(self) -> int:
        """Return an unused packet identifier, 1..65535 [MQTT-2.3.1-1]; at most 65,534 may be in flight."""
        while True:
            self.last_packet_id = self.last_packet_id % 0xFFFF + 1
            if self.last_packet_id not in self.in_flight:
                return self.last_packet_id
