"""Writes an endpoint's messages and events into its history, in a thread, so that no client waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.history import HISTORY_FILE, History, Row
from mqtt443_tools.localcore.mqtt.session import Message

FLUSH_S = 0.2
MAX_WAITING = 10_000
MAX_WAITING_BYTES = 16 * 1024 * 1024

LoginOf = Callable[[str], dict[str, Any] | None]
"""Takes a connection id."""


class HistoryWriter:
    """The queue of entries to write.

    Args:
        history: their destination.
        login_of: returns what the authorizer logged about a connection; an event is stored with it.
        log: called with a line about entries that could not be stored.
    """

    def __init__(self, history: History, login_of: LoginOf, log: Callable[[str], None]) -> None:
        self._history = history
        self._login_of = login_of
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
        self._events.append({**event.to_json(), "login": self._login_of(event.connection_id)})

    async def flush(self) -> None:
        """Write the waiting entries."""
        rows, events, lost = self._rows, self._events, self._lost
        self._rows, self._events, self._bytes, self._lost = [], [], 0, 0
        if lost:
            self._log(f"history: {lost} messages and events came too fast for the disk and were not stored")
        if rows or events:
            try:
                await asyncio.to_thread(self._history.add, rows, events)
            except sqlite3.Error as error:
                self._log(f"history: {len(rows) + len(events)} messages and events were not stored: {error}")


@contextlib.asynccontextmanager
async def writing_history(state: Path, login_of: LoginOf, log: Callable[[str], None]) -> AsyncIterator[HistoryWriter]:
    """Write the history of a state folder until the end of the block. Raises CommandError if the file is not usable."""
    history = History(state / HISTORY_FILE)
    writer = HistoryWriter(history, login_of, log)

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
