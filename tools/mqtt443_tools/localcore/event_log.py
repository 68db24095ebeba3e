"""Writes the events of one connection, and summarizes dropped messages in a readable number of lines."""

from __future__ import annotations

from typing import Any

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.drops import Drops
from mqtt443_tools.localcore.events import Event, EventSink, Outcome


class EventLog:
    """The events of one connection.

    Args:
        sink: receives the events.
        source: the peer's address.
        connection_id: a UUID.

    `client_id` is set once it is known, `transport` once MQTT is accepted. `facts` describes how the connection came
    about; it is emptied once a client is accepted, to save memory.
    """

    def __init__(self, sink: EventSink, clock: Clock, source: str, connection_id: str) -> None:
        self.client_id: str | None = None
        self.transport: str | None = None
        self.facts: dict[str, Any] = {}
        self.connection_id = connection_id
        self._sink = sink
        self._clock = clock
        self._source = source
        self._drops = Drops[str](clock, lambda reason, detail: self.write("dropped", reason, detail))

    def write(self, outcome: Outcome, reason: str, detail: str) -> None:
        """Write one event."""
        self._sink(
            Event(
                time=self._clock.time(),
                outcome=outcome,
                reason=reason,
                detail=detail,
                client_id=self.client_id,
                source=self._source,
                connection_id=self.connection_id,
                transport=self.transport,
                facts=self.facts,
            )
        )
        if outcome == "accepted":
            self.facts = {}

    def dropped(self, reason: str, detail: str, topic: str | None = None) -> None:
        """Log that a message or a filter was dropped: the first at once, the others as a number, see `Drops`."""
        self._drops.add(reason, detail, topic)

    def close(self) -> None:
        """Write the counts that have not been written yet."""
        self._drops.close()


class FloodLog:
    """Events of connections that ended before anything but their address was known.

    A flood has thousands per second, so equal ones are counted: the first is logged at once, then how many followed;
    see `Drops`.
    """

    def __init__(self, sink: EventSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._drops = Drops[tuple[str, str, str]](clock, self._write)

    def refused(self, source: str, reason: str, detail: str) -> None:
        """Log or count the end of a connection.

        Args:
            source: the peer's address.
            reason: AWS's word for it.
            detail: one line, without secrets.
        """
        self._drops.add((source, reason, detail), detail, None)

    def close(self) -> None:
        """Log the counts that have not been logged yet."""
        self._drops.close()

    def _write(self, kind: tuple[str, str, str], text: str) -> None:
        source, reason, _ = kind
        event_log = EventLog(self._sink, self._clock, source, "")
        event_log.facts["sni"] = None
        event_log.write("refused", reason, text)


class BrokerLog:
    """Events about clients that are not connected, or about no particular client."""

    def __init__(self, sink: EventSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._drops = Drops[tuple[str | None, str]](clock, self._write)

    def dropped(self, client_id: str | None, reason: str, detail: str, topic: str) -> None:
        """Write that a message was dropped, as EventLog.dropped does."""
        self._drops.add((client_id, reason), detail, topic)

    def close(self) -> None:
        """Write the counts that have not been written yet."""
        self._drops.close()

    def _write(self, kind: tuple[str | None, str], detail: str) -> None:
        event_log = EventLog(self._sink, self._clock, "the broker", "")
        event_log.client_id, reason = kind
        event_log.write("dropped", reason, detail)
