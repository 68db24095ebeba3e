"""What waits for a page has a bound, whatever the page does."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from mqtt443_tools.console.feed import MAX_EVENTS, MAX_INCOMING, MAX_WAITING, MAX_WAITING_BYTES, Feed, Page
from mqtt443_tools.console.source import Status
from mqtt443_tools.localcore.control.control_client import ControlClient
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.tools.console.conftest import WAIT_S, Endpoint
from tests.tools.console.test_guard import cookie
from tests.tools.localcore.test_history import message


def test_page_that_takes_nothing_gets_the_newest_and_a_count() -> None:
    page = Page()
    for number in range(5 * MAX_WAITING):
        page.add([message(number)], 0)
    batch = page.batch()
    assert len(batch["messages"]) == MAX_WAITING
    assert batch["messages"][-1]["received_at"] == 5 * MAX_WAITING - 1
    assert batch["dropped"] == 4 * MAX_WAITING
    assert (page.batch()["messages"], page.batch()["dropped"]) == ([], 0)


def test_bytes_that_wait_are_bounded_too() -> None:
    page = Page()
    for number in range(100):
        page.add([message(number, payload=b"x" * 128 * 1024)], 0)
    waiting = sum(len(each["payload"]) for each in page.batch()["messages"])
    assert 0 < waiting <= MAX_WAITING_BYTES


def test_sleeping_page_is_sent_nothing_until_it_confirms(endpoint: Endpoint) -> None:
    url = endpoint.origin.replace("http", "ws") + "/live"
    headers = {"Cookie": cookie(endpoint)}
    with (
        connect(url, origin=Origin(endpoint.origin), additional_headers=headers, max_size=None) as asleep,
        connect(url, origin=Origin(endpoint.origin), additional_headers=headers, max_size=None) as awake,
    ):
        asleep.recv(WAIT_S)
        awake.recv(WAIT_S)
        for number in range(20):
            with ControlClient(endpoint.state) as control:
                control.publish("a", str(number).encode(), "x", time.monotonic())
        seen = 0
        while seen < 20:
            awake.send("next")
            seen += len(json.loads(awake.recv(WAIT_S))["messages"])
        asleep.send("next")  # all that was published comes in one batch: nothing had been sent before
        assert len(json.loads(asleep.recv(WAIT_S))["messages"]) == 20


class Flood:
    """A source that gives messages and events as fast as they are taken."""

    retry_s = 0.0

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self._looks = 0

    def watch(self) -> Iterator[dict[str, Any]]:
        for number in range(self._messages):
            yield message(number)
        self._messages = 0

    def status(self) -> Status:
        self._looks += 1
        first = self._looks * 100
        events = [
            {"time": float(each), "connection_id": str(each), "reason": "CONNECTED", "detail": ""}
            for each in range(first, first + 100)
        ]
        return Status([f"c{number}" for number in range(50)], events, [])


def test_server_keeps_a_bounded_number_of_objects_in_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    total = 5 * MAX_INCOMING
    monkeypatch.setattr("mqtt443_tools.console.feed.STATUS_S", 0.001)
    seen = {"messages": 0, "dropped": 0}

    async def flood() -> None:
        feed = Feed(Flood(total))  # type: ignore[arg-type]  # the part of a Source that a Feed uses
        with feed.page() as asleep, feed.page() as awake:
            running = asyncio.create_task(feed.run())
            while seen["messages"] + seen["dropped"] < total:
                await awake.news.wait()
                batch = awake.batch()
                seen["messages"] += len(batch["messages"])
                seen["dropped"] += batch["dropped"]
                assert len(feed._incoming) <= MAX_INCOMING
                assert len(asleep._messages) <= MAX_WAITING
                assert len(feed._known) == len(feed._order) <= 2 * MAX_EVENTS
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        assert feed._pages == set()

    asyncio.run(asyncio.wait_for(flood(), WAIT_S))
    assert seen["messages"] + seen["dropped"] == total
