"""Holds back the bytes of a connection while its client suffers the fault `stall`."""

from __future__ import annotations

import asyncio

from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault, Faults, explained
from mqtt443_tools.localcore.front.channel import Channel


class Stall:
    """The bytes of one connection that wait for the end of a stall.

    Args:
        faults: says who is stalled.
        event_log: of the connection; knows its client id.
        channel: where the bytes go once the stall has ended.
        max_bytes: the most bytes that may wait for the client.
    """

    def __init__(self, faults: Faults, event_log: EventLog, channel: Channel, max_bytes: int) -> None:
        self._faults = faults
        self._event_log = event_log
        self._channel = channel
        self._max_bytes = max_bytes
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._over: asyncio.Event | None = None  # while the connection is stalled

    def begins(self) -> bool:
        """Return whether the connection is stalled; the first time, an event says so."""
        client_id = self._event_log.client_id
        if self._over is None and client_id is not None and self._faults.hits(client_id, Fault.STALL):
            self._over = asyncio.Event()
            self._faults.when_resumed(client_id, self._resume)
            self._event_log.write(
                "dropped", FAULT_INJECTED, explained(Fault.STALL, "no bytes pass in either direction")
            )
        return self._over is not None

    def hold(self, data: bytes) -> bool:
        """Keep bytes for the client; False if too many wait already."""
        if self._held_bytes + len(data) > self._max_bytes:
            return False
        self._held.append(data)
        self._held_bytes += len(data)
        return True

    async def wait(self) -> None:
        """Wait until the stall or the connection ends."""
        if self._over is not None:
            await self._over.wait()

    def close(self) -> None:
        """End with the connection; what waits for the client is lost."""
        if self._over is not None and self._event_log.client_id is not None:
            self._faults.forget(self._event_log.client_id, self._resume)
            self._held.clear()
            self._resume()

    def _resume(self) -> None:
        for data in self._held:
            self._channel.send(data)
        self._held.clear()
        self._held_bytes = 0
        if self._over is not None:
            self._over.set()
            self._over = None
