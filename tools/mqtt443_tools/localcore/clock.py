"""The time seam of the local endpoint, used for keep alive, refresh, TTL, session expiry and deadlines.

Tests pass in a clock that they advance by hand. TLS handshakes, HTTP requests and the five seconds of a Lambda use real
time: their callers set these deadlines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Handle(Protocol):
    """A scheduled call that can still be cancelled."""

    def cancel(self) -> None:
        """Cancel the call; harmless after it has run."""


class Clock(Protocol):
    """The source of time for this package."""

    def now(self) -> float:
        """Return the seconds of a monotonic clock."""

    def time(self) -> float:
        """Return unix seconds."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Handle:
        """Schedule `callback` in the event loop after `delay_s` seconds."""


class SystemClock:
    """The real clock, on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """Return the event loop's monotonic seconds."""
        return self._loop.time()

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Handle:
        """Schedule `callback` in the event loop after `delay_s` seconds."""
        return self._loop.call_later(delay_s, callback)
