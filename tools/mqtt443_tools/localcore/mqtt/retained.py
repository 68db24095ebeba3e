"""Retained messages: one per topic, only for subscriptions that name it exactly (Developer Guide, "MQTT")."""

from __future__ import annotations

import dataclasses

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.rate import RateWindow
from mqtt443_tools.localcore.settings import Settings


@dataclasses.dataclass(slots=True)
class _Entry:
    message: Message
    rate: RateWindow


class RetainedMessages:
    """The retained messages of the account, bounded in number and bytes."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._bytes = 0

    def store(self, message: Message) -> str | None:
        """Replace the topic's retained message; an empty payload deletes it [MQTT-3.3.1-10].

        Returns None, or why it was not kept.
        """
        entry = self._entries.get(message.topic)
        old_bytes = len(entry.message.payload) if entry else 0
        if not message.payload:
            self._entries.pop(message.topic, None)
            self._bytes -= old_bytes
            return None
        size = self._bytes - old_bytes + len(message.payload)
        if size > self._settings.max_retained_bytes:
            return f"retained messages would take more than {self._settings.max_retained_bytes} bytes"
        if entry is None:
            if len(self._entries) >= self._settings.max_retained:
                return f"{self._settings.max_retained} topics have a retained message already"
            entry = _Entry(message, RateWindow(self._settings.retained_rate_per_s, self._clock))
            self._entries[message.topic] = entry
        if not entry.rate.take():
            return f"over {self._settings.retained_rate_per_s} retained messages a second on {message.topic}"
        entry.message, self._bytes = message, size
        return None

    def for_filter(self, topic_filter: str) -> Message | None:
        """Return the retained message for a filter without wildcards; None for a filter with wildcards."""
        entry = self._entries.get(topic_filter)
        if entry is not None and entry.message.expired(self._clock.time()):
            del self._entries[topic_filter]
            self._bytes -= len(entry.message.payload)
            return None
        return entry.message if entry else None
