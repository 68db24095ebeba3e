"""What a person has opened, selected, scrolled or focused stays as it is while news comes in."""

from typing import Any

import pytest
from mqtt443_tools.localcore.control.control_client import ControlClient

from tests.tools.console.conftest import Endpoint, be_refused

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.tools.console.page import card, click, open_live, problems, text_of, until

PREPARE = """
const [selector, readAs] = arguments;
const text = document.querySelector(selector);
text.style.maxHeight = '2em';
text.scrollTop = 7;
getSelection().selectAllChildren(text);
document.querySelector(readAs).focus();
window.kept = { text, focused: document.activeElement, selected: String(getSelection()), scrolled: text.scrollTop };
"""
"""Selects and scrolls a text, and gives an element the focus."""

STATE = """
const { text, focused, selected, scrolled } = window.kept;
return {
    isShown: text.isConnected && text.checkVisibility(),
    isFocused: document.activeElement === focused && focused.isConnected,
    isSelected: selected.length > 20 && String(getSelection()) === selected,
    isScrolled: scrolled > 0 && text.scrollTop === scrolled,
}
"""
REFRESH = "import('/page/js/devices.js').then(devices => devices.refresh()).then(arguments[arguments.length - 1])"
KEPT = {"isShown": True, "isFocused": True, "isSelected": True, "isScrolled": True}
LONG = "{" + ", ".join(f'"value_{number}": {number}' for number in range(100)) + "}"


def test_opened_event_stays_while_events_come_in(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "#tab-events")
    be_refused(endpoint, "first")
    until(browser, lambda: "first" in text_of(browser, "#events summary"), "the first event")
    click(browser, "#events summary")
    text_of(browser, "#events pre[data-step^=Event]")
    browser.execute_script(PREPARE, "#events pre[data-step^=Event]", "#events summary")
    for client_id in ("second", "third"):
        be_refused(endpoint, client_id)
        until(browser, lambda: client_id in text_of(browser, "#events summary"), client_id)  # noqa: B023 - used at once
    assert browser.execute_script(STATE) == KEPT
    assert len(browser.find_elements(By.CSS_SELECTOR, "#events details[open]")) == 1
    assert problems(browser) == []


def test_message_stays_while_messages_come_in(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "#tab-messages")
    publish(endpoint, "telemetry/first")
    text_of(browser, "#messages .row pre")
    browser.execute_script(PREPARE, "#messages .row pre", "#messages .row .copy")
    for topic in ("telemetry/second", "telemetry/third"):
        publish(endpoint, topic)
        until(browser, lambda: topic == text_of(browser, "#messages .row .topic"), topic)  # noqa: B023 - used at once
    assert browser.execute_script(STATE) == KEPT


def test_device_that_is_open_stays_and_goes_on(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    be_refused(endpoint, "kitchen")
    click(browser, "[data-device=kitchen]")
    event, events = "#device-events details", "return document.querySelectorAll('#device-events details').length"
    click(browser, f"{event} summary")
    text_of(browser, f"{event} pre[data-step^=Event]")
    browser.execute_script(PREPARE, f"{event} pre[data-step^=Event]", f"{event} summary")
    be_refused(endpoint, "kitchen")
    until(browser, lambda: browser.execute_script(events) == 2, "the second event")
    assert browser.execute_script(STATE) == KEPT


def test_list_shows_what_came_during_a_pause_as_soon_as_the_pause_ends(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "#tab-messages")
    publish(endpoint, "telemetry/first")
    until(browser, lambda: topics(browser) == ["telemetry/first"], "the first message")
    click(browser, "#pause-messages")
    publish(endpoint, "telemetry/second")
    received = "import('/page/js/model.js').then(model => model.messages.length).then(arguments[arguments.length - 1])"
    until(browser, lambda: browser.execute_async_script(received) == 2, "the page has the second message")
    browser.find_element(By.ID, "topic-filter").send_keys(Keys.BACKSPACE, "telemetry/+")
    assert topics(browser) == ["telemetry/first"]
    click(browser, "#pause-messages")
    until(browser, lambda: topics(browser) == ["telemetry/second", "telemetry/first"], "both messages")


@pytest.mark.parametrize("holds", ["pointer", "focus"])
def test_cards_keep_their_places_while_the_pointer_or_the_focus_is_among_them(
    browser: Any, endpoint: Endpoint, holds: str
) -> None:
    open_live(browser, endpoint.link)
    browser.execute_async_script(
        "import('/page/js/model.js').then(model => ['a', 'c'].forEach(model.deviceOf)).then(arguments[0])"
    )
    until(browser, lambda: cards(browser) == ["a", "c"], "both cards")
    if holds == "pointer":
        ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, "[data-card=a]")).perform()
    else:
        browser.execute_script("document.querySelector('[data-device=a]').focus()")
    for client_id in ("c", "b"):
        be_refused(endpoint, client_id)
        until(browser, lambda: "NOT_AUTH" in card(browser, client_id), client_id)  # noqa: B023 - used at once
    browser.execute_async_script(REFRESH)
    assert cards(browser) == ["a", "c", "b"], "the new card is the last one"
    if holds == "pointer":
        ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, "h1")).perform()
    else:
        browser.execute_script("document.activeElement.blur()")
    until(browser, lambda: cards(browser) == ["b", "c", "a"], "the cards with problems come first")
    assert problems(browser) == []


def test_cards_are_sorted_again_after_a_dialog_that_the_pointer_opened_and_closed(
    browser: Any, endpoint: Endpoint
) -> None:
    open_live(browser, endpoint.link)
    browser.execute_async_script(
        "import('/page/js/model.js').then(model => ['a', 'c'].forEach(model.deviceOf)).then(arguments[0])"
    )
    until(browser, lambda: cards(browser) == ["a", "c"], "both cards")
    click(browser, "[data-device=a]")
    click(browser, "dialog .close")
    ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, "h1")).perform()
    assert browser.execute_script("return document.activeElement.dataset.device") == "a", (
        "the focus returns to the card"
    )
    be_refused(endpoint, "c")
    until(browser, lambda: "NOT_AUTH" in card(browser, "c"), "c")
    browser.execute_async_script(REFRESH)
    assert cards(browser) == ["c", "a"]
    assert problems(browser) == []


def cards(browser: Any) -> list[str]:
    return list(browser.execute_script("return [...document.querySelectorAll('.card')].map(each => each.dataset.card)"))


def topics(browser: Any) -> list[str]:
    script = "return [...document.querySelectorAll('#messages .row .topic')].map(each => each.textContent)"
    return list(browser.execute_script(script))


def publish(endpoint: Endpoint, topic: str) -> None:
    with ControlClient(endpoint.state) as control:
        control.publish(topic, LONG.encode(), "x", 0)
