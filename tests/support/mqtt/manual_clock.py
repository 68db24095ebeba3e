"""A clock that stands still until a test moves it."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable


class ManualHandle:
    """A scheduled call."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class ManualClock:
    """A mqtt443_tools.localcore.clock.Clock; `advance` makes the calls that are due, in order, each at its time.

    It starts at the machine's date, because clients check certificates against that.
    """

    def __init__(self) -> None:
        self._now = 1000.0
        self._unix_offset = time.time() - self._now
        self._order = itertools.count()
        self._due: list[tuple[float, int, ManualHandle, Callable[[], object]]] = []

    def now(self) -> float:
        return self._now

    def time(self) -> float:
        return self._now + self._unix_offset

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> ManualHandle:
        handle = ManualHandle()
        heapq.heappush(self._due, (self._now + max(0.0, delay_s), next(self._order), handle, callback))
        return handle

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. Call it in the event loop's thread."""
        end = self._now + seconds
        while self._due and self._due[0][0] <= end:
            due, _, handle, callback = heapq.heappop(self._due)
            self._now = due
            if not handle.cancelled:
                callback()
        self._now = end

    @property
    def pending(self) -> int:
        """Scheduled calls that were not cancelled."""
        return sum(not handle.cancelled for _, _, handle, _ in self._due)
