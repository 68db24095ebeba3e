"""Counts dropped messages, so that a flood costs one log line per second and every drop is counted."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from mqtt443_tools.localcore.clock import Clock, Handle

FLUSH_S = 1.0
MAX_TOPICS = 8
"""How many topics one line names; the others are counted."""

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Tally:
    timer: Handle
    count: int = 0
    topics: dict[str, int] = field(default_factory=dict)
    elsewhere: int = 0
    last: str = ""

    def add(self, detail: str, topic: str | None) -> None:
        self.count += 1
        self.last = detail
        if topic in self.topics or (topic is not None and len(self.topics) < MAX_TOPICS):
            self.topics[topic] = self.topics.get(topic, 0) + 1
        elif topic is not None:
            self.elsewhere += 1

    def summary(self) -> str:
        named = [topic if count == 1 else f"{topic} ({count})" for topic, count in self.topics.items()]
        if self.elsewhere:
            named.append(f"other topics ({self.elsewhere})")
        return f"{self.count} more{', on ' if named else ''}{', '.join(named)}: {self.last}"


class Drops(Generic[K]):
    """Logs the first drop of each kind at once, and the number of later ones every second and at the close.

    A number comes with the detail of the last of those drops.

    Args:
        clock: for the second.
        write: takes (kind, detail).
    """

    def __init__(self, clock: Clock, write: Callable[[K, str], None]) -> None:
        self._clock = clock
        self._write = write
        self._tallies: dict[K, _Tally] = {}  # only kinds with drops within the last second

    def add(self, kind: K, detail: str, topic: str | None) -> None:
        """Count a drop; `topic` is the topic of the message, or the filter, if there is one."""
        tally = self._tallies.get(kind)
        if tally is None:
            self._tallies[kind] = _Tally(self._clock.call_later(FLUSH_S, lambda: self._flush(kind)))
            self._write(kind, detail)
        else:
            tally.add(detail, topic)

    def close(self) -> None:
        """Write the counts that are not written yet."""
        for kind, tally in list(self._tallies.items()):
            tally.timer.cancel()
            if tally.count:
                self._write(kind, tally.summary())
        self._tallies.clear()

    def _flush(self, kind: K) -> None:
        tally = self._tallies.pop(kind)
        if tally.count:
            self._tallies[kind] = _Tally(self._clock.call_later(FLUSH_S, lambda: self._flush(kind)))
            self._write(kind, tally.summary())
