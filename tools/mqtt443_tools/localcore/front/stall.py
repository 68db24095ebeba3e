"""Holds back the bytes of a connection while its client suffers the fault `stall`."""

from __future__ import annotations

from collections.abc import Callable

from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault, Faults, explained
from mqtt443_tools.localcore.front.channel import Channel


class Stall:
    """The bytes of one connection that are held back by a stall.

    Args:
        faults: knows which clients are stalled.
        event_log: of the connection; knows its client id.
        channel: receives the bytes once the stall has ended.
        max_bytes: the most bytes that may wait for the client.
        on_over: called when the stall ends before the connection does.
    """

    __slots__ = ("_channel", "_event_log", "_faults", "_held", "_held_bytes", "_is_stalled", "_max_bytes", "_on_over")

    def __init__(
        self, faults: Faults, event_log: EventLog, channel: Channel, max_bytes: int, on_over: Callable[[], None]
    ) -> None:
        self._faults = faults
        self._event_log = event_log
        self._channel = channel
        self._max_bytes = max_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._is_stalled = False
        self._on_over = on_over

    def begins(self) -> bool:
        """Return whether the connection is stalled; log an event the first time."""
        client_id = self._event_log.client_id
        if not self._is_stalled and client_id is not None and self._faults.hits(client_id, Fault.STALL):
            self._is_stalled = True
            self._faults.when_resumed(client_id, self._resume)
            self._event_log.write(
                "dropped", FAULT_INJECTED, explained(Fault.STALL, "no bytes pass in either direction")
            )
        return self._is_stalled

    def hold(self, data: bytes) -> bool:
        """Hold bytes back for the client; return False if too many are waiting already."""
        if self._held_bytes + len(data) > self._max_bytes:
            return False
        self._held.append(data)
        self._held_bytes += len(data)
        return True

    def close(self) -> None:
        """End with the connection; bytes waiting for the client are lost."""
        if self._is_stalled and self._event_log.client_id is not None:
            self._is_stalled = False
            self._faults.forget(self._event_log.client_id, self._resume)
            self._held.clear()

    def _resume(self) -> None:
        for data in self._held:
            self._channel.send(data)
        self._held.clear()
        self._held_bytes = 0
        self._is_stalled = False
        self._on_over()
