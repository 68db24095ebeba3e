"""The charts of an open device: their range, pause, zoom, and the history that they begin with."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.history import HISTORY_FILE, History
from paho.mqtt.client import Client

from tests.tools.console.conftest import WAIT_S, Endpoint, connected

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.support.broken_database import break_pages
from tests.tools.console.page import card, click, problems, text_of, until

HOLD_HISTORY = """
const fetched = window.fetch;
window.fetch = (path, ...rest) => path.startsWith('/api/history')
    ? new Promise(resolve => { window.release = () => resolve(fetched(path, ...rest)); })
    : fetched(path, ...rest);
"""
"""Keeps the answer to the page's question for the history until `release()`."""
KEEP_SOCKET = """
window.WebSocket = class extends WebSocket {
    constructor(...given) {
        super(...given);
        window.socket = this;
    }
};
"""
LAST_MINUTES_S = range(200, 0, -10)

Send = Callable[[int], None]


def remember(endpoint: Endpoint, *ages_s: int) -> None:
    """Put readings of `kitchen` into the history, each with its age as its value."""
    history, now = History(endpoint.state / HISTORY_FILE), time.time()
    rows = [(now - age, "kitchen", "telemetry/kitchen", 1, 0, json.dumps({"age_s": age}).encode()) for age in ages_s]
    history.add(rows, [])
    history.close()


@pytest.fixture
def send(endpoint: Endpoint, tmp_path: Path) -> Iterator[Send]:
    """Send a reading as `kitchen`, which connects with the first one."""
    clients: list[Client] = []

    def send(value: int) -> None:
        if not clients:
            clients.append(connected(endpoint, "kitchen", tmp_path))
        clients[0].publish("telemetry/kitchen", json.dumps({"age_s": value}), qos=1).wait_for_publish(WAIT_S)

    yield send
    for client in clients:
        client.disconnect()
        client.loop_stop()


def ends(browser: Any) -> list[int]:
    """Point at the left and at the right end of the chart; return the values that its legend shows there, or -1."""
    chart = browser.find_element(By.CSS_SELECTOR, "#charts .u-over")
    width = chart.size["width"]
    found = []
    for offset in (1 - width // 2, width - 2 - width // 2):  # one pixel from the edges
        ActionChains(browser).move_to_element_with_offset(chart, offset, 0).perform()
        script = "return document.querySelector('#charts .u-legend .u-series:nth-child(2) .u-value').textContent"
        found.append(int(browser.execute_script(script) or -1))
    return found


def open_kitchen(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")


def choose(browser: Any, text: str) -> None:
    Select(browser.find_element(By.CSS_SELECTOR, "[aria-label=Range]")).select_by_visible_text(text)


def test_range_says_how_far_back_a_chart_goes(browser: Any, endpoint: Endpoint) -> None:
    remember(endpoint, 600_000, 80_000, 3000, *LAST_MINUTES_S)
    open_kitchen(browser, endpoint)
    oldest = {"at first": ends(browser)[0]}
    for text in ("1 hour", "1 day", "7 days", "5 minutes"):
        choose(browser, text)
        oldest[text] = ends(browser)[0]
    assert oldest == {"at first": 200, "1 hour": 3000, "1 day": 80_000, "7 days": 600_000, "5 minutes": 200}
    assert problems(browser) == []


def test_range_without_a_reading_says_so(browser: Any, endpoint: Endpoint) -> None:
    remember(endpoint, 3000)
    browser.get(endpoint.link)
    browser.execute_script(HOLD_HISTORY)
    click(browser, "[data-device=kitchen]")
    assert not none_in_range(browser), "the history may have some"
    browser.execute_script("release()")
    until(browser, lambda: none_in_range(browser), "a line in the place of the chart")
    choose(browser, "1 hour")
    assert not none_in_range(browser)
    assert ends(browser) == [3000, 3000]
    choose(browser, "5 minutes")
    assert none_in_range(browser)
    assert problems(browser) == []


def none_in_range(browser: Any) -> bool:
    return "No numeric readings in this range." in browser.find_element(By.CSS_SELECTOR, "dialog").text


def test_history_that_cannot_be_read_is_named_and_live_readings_are_shown(
    browser: Any, endpoint: Endpoint, send: Send
) -> None:
    remember(endpoint, *LAST_MINUTES_S)
    break_pages(endpoint.state / HISTORY_FILE)
    send(1)
    browser.get(endpoint.link)
    reason = "database disk image is malformed: delete the file; it holds only the history"
    assert reason in text_of(browser, "#status")
    click(browser, "[data-device=kitchen]")
    assert text_of(browser, "#no-history").startswith("The history cannot be read: ")
    assert reason in text_of(browser, "#no-history")
    send(2)
    until(browser, lambda: payloads(browser) == ['{"age_s": 2}'], "a reading that came now")
    until(browser, lambda: ends(browser) == [2, 2], "its chart")


def test_paused_chart_stays_and_still_shows_another_range(browser: Any, endpoint: Endpoint, send: Send) -> None:
    remember(endpoint, 400)
    send(1)
    open_kitchen(browser, endpoint)
    choose(browser, "1 hour")
    until(browser, lambda: ends(browser) == [400, 1], "both readings")
    click(browser, "#pause-charts")
    received = "import('/page/js/model.js').then(model => model.totals.received).then(arguments[arguments.length - 1])"
    before = browser.execute_async_script(received)
    send(2)
    until(browser, lambda: browser.execute_async_script(received) == before + 1, "the page has the reading")
    choose(browser, "5 minutes")
    assert ends(browser) == [1, 1], "another range of what was there at the pause"
    click(browser, "#pause-charts")
    until(browser, lambda: ends(browser) == [1, 2], "the chart goes on")
    assert problems(browser) == []


def test_chart_that_was_paused_before_its_history_came_shows_the_history(browser: Any, endpoint: Endpoint) -> None:
    remember(endpoint, 3000, *LAST_MINUTES_S)
    browser.get(endpoint.link)
    browser.execute_script(HOLD_HISTORY)
    click(browser, "[data-device=kitchen]")
    click(browser, "#pause-charts")
    assert browser.find_elements(By.CSS_SELECTOR, "#charts canvas") == []
    browser.execute_script("release()")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    assert ends(browser) == [200, 10]
    choose(browser, "1 hour")
    assert ends(browser)[0] == 3000
    assert problems(browser) == []


def test_open_device_has_what_came_while_the_page_was_not_connected(
    browser: Any, endpoint: Endpoint, send: Send
) -> None:
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": KEEP_SOCKET})
    try:
        send(1)
        open_kitchen(browser, endpoint)
        until(browser, lambda: payloads(browser) == ['{"age_s": 1}'], "the first reading")
        browser.execute_script("socket.close()")
        until(browser, lambda: browser.execute_script("return socket.readyState === 3"), "no connection")
        send(2)
        until(browser, lambda: payloads(browser) == ['{"age_s": 2}', '{"age_s": 1}'], "the reading in between")
        send(3)
        until(browser, lambda: ends(browser) == [1, 3], "the chart of all three")
        assert len(payloads(browser)) == 3
        assert problems(browser) == []
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def test_live_messages_follow_a_history_that_is_later_because_the_clock_was_set_back(
    browser: Any, endpoint: Endpoint, send: Send
) -> None:
    remember(endpoint, -3000)
    browser.get(endpoint.link)
    until(browser, lambda: "-3000" in card(browser, "kitchen"), "the reading of the history")
    send(1)
    until(browser, lambda: "-3000" not in card(browser, "kitchen"), "the reading after it")
    browser.execute_script(HOLD_HISTORY)
    click(browser, "[data-device=kitchen]")
    send(2)
    until(browser, lambda: payloads(browser) == ['{"age_s": 2}'], "a reading that comes before the history does")
    browser.execute_script("release()")
    readings = ['{"age_s": 2}', '{"age_s": 1}', '{"age_s": -3000}']
    until(browser, lambda: payloads(browser) == readings, "the history, and what followed it")
    click(browser, "dialog .close")
    click(browser, "#tab-messages")
    until(browser, lambda: payloads(browser) == readings, "the same messages")
    assert problems(browser) == []


def payloads(browser: Any) -> list[str]:
    """Return the payloads of the readings that are shown, the newest first."""
    script = """return [...document.querySelectorAll('dialog .row, #messages .row')]
        .filter(row => row.checkVisibility() && row.querySelector('.topic').textContent === 'telemetry/kitchen')
        .map(row => row.querySelector('pre').textContent)"""
    return list(browser.execute_script(script))


def test_zoomed_part_survives_a_resize_until_a_double_click(browser: Any, endpoint: Endpoint, send: Send) -> None:
    remember(endpoint, *LAST_MINUTES_S)
    open_kitchen(browser, endpoint)
    until(browser, lambda: ends(browser) == [200, 10], "the whole range")
    chart = browser.find_element(By.CSS_SELECTOR, "#charts .u-over")
    quarter = chart.size["width"] // 4
    drag = ActionChains(browser).move_to_element_with_offset(chart, -quarter, 0).click_and_hold()
    drag.move_by_offset(2 * quarter, 0).release().perform()
    zoomed = ends(browser)
    assert 130 <= zoomed[0] <= 170
    assert 40 <= zoomed[1] <= 80
    width = "return document.querySelector('#charts .uplot').clientWidth"
    before = browser.execute_script(width)
    browser.set_window_size(700, 900)
    until(browser, lambda: browser.execute_script(width) != before, "another width")
    assert ends(browser) == pytest.approx(zoomed, abs=10), "at most one reading from there: pixels are coarse"
    send(1)
    until(browser, lambda: '"age_s": 1}' in browser.find_element(By.CSS_SELECTOR, "dialog .rows").text, "a reading")
    assert ends(browser) == pytest.approx(zoomed, abs=10)
    ActionChains(browser).double_click(browser.find_element(By.CSS_SELECTOR, "#charts .u-over")).perform()
    assert ends(browser) == [200, 1]
    assert problems(browser) == []
