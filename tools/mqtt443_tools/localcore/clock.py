"""The time seam of the local endpoint: keep alive, refresh, TTL, session expiry and deadlines all go through it.

Tests bring a clock that is advanced by hand. TLS handshakes and HTTP requests wait with asyncio's own time-out, and
the five seconds of a Lambda are real time: both belong to whoever waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Handle(Protocol):
    """A call that has been arranged and may still be called off."""

    def cancel(self) -> None:
        """Call it off; harmless after it has run."""


class Clock(Protocol):
    """Where this package takes the time from."""

    def now(self) -> float:
        """Return seconds on a clock that never goes back."""

    def time(self) -> float:
        """Return unix seconds."""

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Handle:
        """Arrange for `callback` to be called in the event loop after `delay_s` seconds."""


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
        """Arrange for `callback` to be called in the event loop after `delay_s` seconds."""
        return self._loop.call_later(delay_s, callback)
