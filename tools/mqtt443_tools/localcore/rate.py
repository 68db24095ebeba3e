"""Limits the events in any one second: publishes, replayed messages, retained messages, CONNECTs."""

from __future__ import annotations

from collections import deque

from mqtt443_tools.localcore.clock import Clock


class RateWindow:
    """Counts the events in the last second.

    Args:
        per_s: the most events in any one second; 0: no limit.
        clock: the source of time.
    """

    __slots__ = ("_clock", "_per_s", "_taken")

    def __init__(self, per_s: int, clock: Clock) -> None:
        self._per_s = per_s
        self._clock = clock
        self._taken: deque[float] = deque(maxlen=per_s)

    def wait_s(self) -> float:
        """Return the seconds until the next event is allowed, 0 if it is allowed now."""
        if len(self._taken) < self._per_s or not self._per_s:
            return 0.0
        return max(0.0, self._taken[0] + 1 - self._clock.now())

    def idle(self) -> bool:
        """Return whether the last second has no event, so that the window can be dropped."""
        return not self._taken or self._taken[-1] + 1 <= self._clock.now()

    def take(self) -> bool:
        """Count an event and return True if it is allowed now; else return False."""
        if not self._per_s:
            return True
        now, taken = self._clock.now(), self._taken
        if len(taken) == self._per_s and taken[0] + 1 > now:
            return False
        taken.append(now)
        return True
