"""Writes the events of one connection, and limits the lines about dropped messages to a readable number."""

from __future__ import annotations

from dataclasses import dataclass

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.events import Decision, DecisionSink, Outcome
from mqtt443_tools.localcore.rate import RateWindow


@dataclass(slots=True)
class _Drops:
    rate: RateWindow
    unsaid: int = 0


class EventLog:
    """The events of one connection.

    Args:
        sink: receives the events.
        source: the peer's address.
        connection_id: a UUID.

    `client_id` is set once it is known.
    """

    def __init__(self, sink: DecisionSink, clock: Clock, source: str, connection_id: str) -> None:
        self.client_id: str | None = None
        self.connection_id = connection_id
        self._sink = sink
        self._clock = clock
        self._source = source
        self._drops: dict[str, _Drops] = {}

    def write(self, outcome: Outcome, reason: str, detail: str) -> None:
        """Write one decision."""
        self._sink(
            Decision(
                time=self._clock.time(),
                outcome=outcome,
                reason=reason,
                detail=detail,
                client_id=self.client_id,
                source=self._source,
                connection_id=self.connection_id,
            )
        )

    def dropped(self, reason: str, detail: str) -> None:
        """Write that a message was dropped: once a second for each reason, with a count of those not written."""
        drops = self._drops.setdefault(reason, _Drops(RateWindow(1, self._clock)))
        if not drops.rate.take():
            drops.unsaid += 1
            return
        more = f" ({drops.unsaid} more since the last line)" if drops.unsaid else ""
        drops.unsaid = 0
        self.write("dropped", reason, detail + more)
