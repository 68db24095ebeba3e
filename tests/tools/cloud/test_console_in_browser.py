"""The page of a deployed stack in a real browser; see watched.py for what plays AWS."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from mqtt443_tools.console.feed import Feed
from mqtt443_tools.console.guard import Access
from mqtt443_tools.console.run import server_of
from mqtt443_tools.console.web import Web

from tests.support.aws.stubs import Refuse
from tests.tools.cloud.test_console import REFUSED
from tests.tools.cloud.test_watch import publish
from tests.tools.cloud.watched import WAIT_S, Watched, connected, log_lines

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By

from tests.tools.console.page import card, chips, click, problems, shown, shows, until

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


@pytest.fixture
def link(watched: Watched) -> Iterator[str]:
    """The link to the page of the stack."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        access = Access(listener.getsockname()[1])
        server = server_of(Web(watched.source, Feed(watched.source), watched.source.recent, access))
        thread = threading.Thread(target=lambda: asyncio.run(server._serve([listener])))
        thread.start()
        yield access.link
        server.should_exit = True
        thread.join(WAIT_S)


def test_page_of_a_stack_shows_what_aws_tells_and_nothing_else(browser: Any, watched: Watched, link: str) -> None:
    browser.get(link)
    until(browser, lambda: browser.find_element(By.ID, "status").text == "live", "it is live")
    assert browser.find_element(By.ID, "source").text == "AWS eu-west-1, stack mqtt443"
    watched.until_subscribed()
    with connected(watched.core, "kitchen"):
        until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
        publish(watched.core, "telemetry/kitchen", b'{"temperature_c": 21.5}')
        until(browser, lambda: "21.5" in card(browser, "kitchen"), "its reading")
    until(browser, lambda: "online" not in card(browser, "kitchen"), "kitchen has gone")
    until(browser, lambda: "never seen" in card(browser, "garden"), "the device that never connected")

    log_lines(watched.cloud, {**REFUSED, "client_id": "garden", "username": "garden"})
    cure = "mqtt443 device rotate garden --out config.json --stack mqtt443"
    explained = ("NOT_AUTHENTICATED: wrong password", cure)
    until(browser, lambda: shows(card(browser, "garden"), explained), "why it is refused, and what to do")
    click(browser, "#tab-events")
    until(browser, lambda: "garden" in shown(browser), "the event")
    click(browser, "#events summary")
    answer = "Answer of the authorizer: refuse: wrong password (0.5 ms)"
    until(browser, lambda: answer in shown(browser), "the authorizer's answer")
    for absent in ("TLS:", "SNI:", "ALPN:", "Policy at CONNECT:", "undefined", "null"):
        assert absent not in shown(browser)

    click(browser, "#tab-devices")
    assert [each for each in chips(browser, "kitchen") if "TLS" in each or "MQTT" in each] == []
    click(browser, "[data-device=kitchen]")
    assert browser.find_elements(By.CSS_SELECTOR, ".faults") == []
    assert browser.find_elements(By.CSS_SELECTOR, "[data-action=disable]") != []
    click(browser, "dialog .close")
    assert problems(browser) == []


def test_what_aws_forbids_is_named_on_the_page(browser: Any, watched: Watched, link: str) -> None:
    watched.cloud.answers.on("iot-data", "publish", Refuse("ForbiddenException", "", 403))
    watched.cloud.answers.on("logs", "filter_log_events", Refuse("AccessDeniedException", "", 400))
    browser.get(link)
    missing = "logs:FilterLogEvents is missing"
    until(browser, lambda: missing in browser.find_element(By.ID, "status").text, "what cannot be read")
    until(browser, lambda: "kitchen" in shown(browser), "the devices")
    click(browser, "#tab-messages")
    click(browser, "#messages summary")
    browser.find_element(By.ID, "publish-topic").send_keys("a")
    click(browser, "#messages form .primary")
    until(browser, lambda: "the permission iot:Publish is missing" in shown(browser), "the refusal")


def test_command_from_the_page_is_answered(browser: Any, watched: Watched, link: str) -> None:
    def answer(payload: bytes, **_: Any) -> dict[str, Any]:
        reply = {"request_id": json.loads(payload)["request_id"], "report": {"interval_s": 7}}
        publish(watched.core, "telemetry/kitchen", json.dumps(reply).encode())
        return {}

    watched.cloud.answers.on("iot-data", "publish", answer)
    browser.get(link)
    click(browser, "[data-device=kitchen]")
    browser.find_element(By.ID, "command").send_keys("report")
    click(browser, "#send")
    until(browser, lambda: '"interval_s": 7' in browser.find_element(By.ID, "answer").text, "the answer")
