"""The last messages of an endpoint that keeps no history itself: in memory, bounded, since the console started."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from mqtt443_tools.console.source import Message

MAX_MESSAGES = 20_000
MAX_BYTES = 32 * 1024 * 1024
MAX_EVENTS = 500


class Past(Protocol):
    """What came before a page was opened; localcore's `History` is one, too."""

    def messages(self, *, client_id: str | None = None, limit: int = 1000) -> list[Message]:
        """Return the last messages, of one client or of all, oldest first."""

    def last_of_each_client(self) -> list[Message]:
        """Return the last message of each client."""

    def events(self, limit: int = MAX_EVENTS) -> list[dict[str, Any]]:
        """Return the last events, oldest first."""


class Recent:
    """The last messages and events; safe to use from several threads.

    Args:
        max_messages: the oldest message goes when there are more.
        max_bytes: the oldest message goes when payloads take more, in Base64.
    """

    def __init__(self, *, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._events: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)
        self._lock = threading.Lock()

    def add(self, message: Message) -> None:
        """Keep a message."""
        with self._lock:
            self._messages.append(message)
            self._bytes += len(message["payload"])
            while len(self._messages) > self._max_messages or self._bytes > self._max_bytes:
                self._bytes -= len(self._messages.popleft()["payload"])

    def add_events(self, events: Sequence[dict[str, Any]]) -> None:
        """Keep events."""
        with self._lock:
            self._events.extend(events)

    def messages(self, *, client_id: str | None = None, limit: int = 1000) -> list[Message]:
        """See Past."""
        with self._lock:
            found = [each for each in self._messages if client_id is None or each["client_id"] == client_id]
        return found[-limit:]

    def last_of_each_client(self) -> list[Message]:
        """See Past."""
        with self._lock:
            return list({each["client_id"]: each for each in self._messages}.values())

    def events(self, limit: int = MAX_EVENTS) -> list[dict[str, Any]]:
        """See Past."""
        with self._lock:
            return list(self._events)[-limit:]
