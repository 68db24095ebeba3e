"""Passes messages, events and state from the source to the open pages.

Every queue has a bound: messages beyond it are discarded and counted, and a page gets the next batch only after it has
confirmed the previous one. So a slow or sleeping tab costs the endpoint nothing, and the console almost nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from mqtt443_tools.console.source import Message, Source
from mqtt443_tools.support.errors import CommandError

FLUSH_S = 0.1
STATUS_S = 1.0
MAX_INCOMING = 10_000
MAX_WAITING = 1000
MAX_WAITING_BYTES = 4 * 1024 * 1024
MAX_EVENTS = 500
NOTHING: Mapping[str, Any] = {"online": [], "problem": None, "faults": None, "updates": []}
"""The state while nothing is known."""


class Page:
    """The queue of one open page."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._dropped = 0
        self._state: dict[str, Any] = {}
        self._events: deque[dict[str, Any]] = deque(maxlen=MAX_EVENTS)

    def add(self, messages: list[Message], dropped: int) -> None:
        """Queue messages; if there are too many, the oldest are discarded and counted."""
        self._dropped += dropped
        for message in messages:
            self._messages.append(message)
            self._bytes += len(message["payload"])
            while len(self._messages) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
                self._bytes -= len(self._messages.popleft()["payload"])
                self._dropped += 1
        self.news.set()

    def tell(self, state: dict[str, Any], events: list[dict[str, Any]]) -> None:
        """Queue the newest state and events."""
        self._state |= state
        self._events.extend(events)
        self.news.set()

    def batch(self) -> dict[str, Any]:
        """Return everything in the queue, and empty it."""
        self.news.clear()
        batch = {
            "messages": list(self._messages),
            "dropped": self._dropped,
            "events": list(self._events),
            **self._state,
        }
        self._messages.clear()
        self._events.clear()
        self._bytes = self._dropped = 0
        self._state = {}
        return batch


class Feed:
    """Reads a source in a thread, and passes on what it yields to the pages.

    Args:
        source: what to read.
        known: events that pages get from the history.
    """

    def __init__(self, source: Source, known: Sequence[dict[str, Any]] = ()) -> None:
        self._source = source
        self._incoming: deque[Message] = deque()
        self._dropped = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._pages: set[Page] = set()
        self._state: dict[str, Any] = dict(NOTHING)
        self._known: set[tuple[object, ...]] = {_key(each) for each in known}
        self._order: deque[tuple[object, ...]] = deque(self._known)

    @contextlib.contextmanager
    def page(self) -> Any:
        """Yield the queue of a new page, which fills from now on."""
        page = Page()
        page.tell(self._state, [])
        self._pages.add(page)
        try:
            yield page
        finally:
            self._pages.discard(page)

    async def run(self) -> None:
        """Read and pass on until cancelled."""
        threading.Thread(target=self._read, daemon=True).start()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._flush())
                tasks.create_task(self._ask())
        finally:
            self._ended.set()

    def _read(self) -> None:
        while True:
            with contextlib.suppress(CommandError):  # _ask reports the error
                for message in self._source.watch():
                    with self._lock:
                        if "dropped" in message:
                            self._dropped += message["dropped"]
                        elif len(self._incoming) >= MAX_INCOMING:
                            self._dropped += 1
                        else:
                            self._incoming.append(message)
            if self._ended.wait(self._source.retry_s):
                return

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            with self._lock:
                messages, dropped = list(self._incoming), self._dropped
                self._incoming.clear()
                self._dropped = 0
            if messages or dropped:
                for page in self._pages:
                    page.add(messages, dropped)

    async def _ask(self) -> None:
        while True:
            try:
                status = await asyncio.to_thread(self._source.status)
            except CommandError as error:
                self._change({**NOTHING, "problem": str(error)}, [])
            else:
                logins = {login.get("connection"): login for login in status.logins}
                fresh = []
                for event in status.events:
                    if self._is_new(_key(event)):
                        fresh.append({"login": logins.get(event["connection_id"] or None), **event})
                faults = None if status.faults is None else list(status.faults)
                state = {"online": list(status.online), "problem": status.problem, "faults": faults}
                self._change({**state, "updates": list(status.updates)}, fresh)
            await asyncio.sleep(STATUS_S)

    def _change(self, state: dict[str, Any], events: list[dict[str, Any]]) -> None:
        if state == self._state and not events:
            return
        news = {name: value for name, value in state.items() if value != self._state[name]}
        self._state = state
        for page in self._pages:
            page.tell(news, events)

    def _is_new(self, key: tuple[object, ...]) -> bool:
        if key in self._known:
            return False
        self._known.add(key)
        self._order.append(key)
        if len(self._order) > 2 * MAX_EVENTS:
            self._known.discard(self._order.popleft())
        return True


def _key(event: dict[str, Any]) -> tuple[object, ...]:
    return (event["time"], event["connection_id"], event["reason"], event["detail"])
