"""What waits for a page has a bound, whatever the page does."""

import json
import time

from mqtt443_tools.console.feed import MAX_WAITING, MAX_WAITING_BYTES, Page
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
