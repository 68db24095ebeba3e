"""Writes an endpoint's messages and events into its history, in a thread, so that no client waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.history import HISTORY_FILE, History, Row
from mqtt443_tools.localcore.mqtt.session import Message

FLUSH_S = 0.2
MAX_WAITING = 10_000
MAX_WAITING_BYTES = 16 * 1024 * 1024


class HistoryWriter:
    """The queue of entries to write.

    Args:
        history: their destination.
        logins: the authorizer's last log entries; an event is stored with the login of its connection.
        log: called with a line about entries that could not be stored.
    """

    def __init__(self, history: History, logins: Sequence[dict[str, Any]], log: Callable[[str], None]) -> None:
        self._history = history
        self._logins = logins
        self._log = log
        self._rows: list[Row] = []
        self._bytes = 0
        self._events: list[dict[str, Any]] = []
        self._lost = 0

    def take_message(self, message: Message) -> None:
        """Store a message, unless too many are waiting for the disk."""
        if len(self._rows) >= MAX_WAITING or self._bytes + len(message.payload) > MAX_WAITING_BYTES:
            self._lost += 1
            return
        self._bytes += len(message.payload)
        self._rows.append(
            (
                message.received_at,
                message.client_id,
                message.topic,
                message.qos,
                int(message.retain),
                bytes(message.payload),
            )
        )

    def take_event(self, event: Event) -> None:
        """Store an event, unless too many are waiting for the disk."""
        if len(self._events) >= MAX_WAITING:
            self._lost += 1
            return
        logins = (login for login in self._logins if login.get("connection") == event.connection_id)
        self._events.append({**dataclasses.asdict(event), "login": next(logins, None)})

    async def flush(self) -> None:
        """Write the waiting entries."""
        rows, events, lost = self._rows, self._events, self._lost
        self._rows, self._events, self._bytes, self._lost = [], [], 0, 0
        if lost:
            self._log(f"history: {lost} messages and events came faster than the disk takes them, and are not kept")
        if rows or events:
            try:
                await asyncio.to_thread(self._history.add, rows, events)
            except sqlite3.Error as error:
                self._log(f"history: {len(rows) + len(events)} messages and events are not kept: {error}")


@contextlib.asynccontextmanager
async def writing_history(
    state: Path, logins: Sequence[dict[str, Any]], log: Callable[[str], None]
) -> AsyncIterator[HistoryWriter]:
    """Write the history of a state folder until the end of the block. Raises CommandError if the file is not usable."""
    history = History(state / HISTORY_FILE)
    writer = HistoryWriter(history, logins, log)

    async def keep_writing() -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await writer.flush()

    task = asyncio.create_task(keep_writing())
    try:
        yield writer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await writer.flush()
        history.close()
