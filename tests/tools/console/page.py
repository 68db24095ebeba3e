"""The page as a test sees it: waits, cards, clicks, and what the browser complains about."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.paths import ROOT

from tests.tools.console.conftest import WAIT_S, Command, Endpoint, Start, add_device

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PICTURES = "MQTT443_PICTURES"
"""Names the folder that gets the pictures of the documentation: MQTT443_PICTURES=docs."""


REFUSED_S = 2 * WAIT_S
"""A board that was cut or refused tries again after up to 30 s (mqtt443.backoff)."""


def until(browser: Any, condition: Callable[[], Any], wanted: str, wait_s: float = WAIT_S) -> Any:
    """Wait until the condition is true, and return what it returned.

    The page goes on while a test looks: what one look has found may have changed at the next one. So a condition names
    everything that must be true together.
    """
    wait = WebDriverWait(browser, wait_s, ignored_exceptions=[StaleElementReferenceException])
    try:
        return wait.until(lambda _: condition())
    except TimeoutException:
        raise AssertionError(f"never came: {wanted}; the page shows: {shown(browser)}") from None


def open_live(browser: Any, link: str) -> None:
    """Open the page, and wait for its first batch, which empties the model: a test may then put something into it."""
    browser.get(link)
    until(browser, lambda: browser.find_element(By.ID, "status").text == "live", "the first batch")


def open_with_board(browser: Any, endpoint: Endpoint, start: Start, folder: Path) -> Command:
    """Run a board as `kitchen`, open the page, and wait until the board is online there."""
    config = folder / "board" / "config.json"
    add_device(endpoint, "kitchen", config)
    board = start("board", "--config", str(config))
    browser.get(endpoint.link)
    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    return board


def shown(browser: Any) -> str:
    return str(browser.find_element(By.TAG_NAME, "body").text)


def shows(text: str, wanted: Iterable[str]) -> bool:
    """Return whether a text holds all that is wanted."""
    return all(each in text for each in wanted)


def text_of(browser: Any, selector: str) -> str:
    """Wait until an element shows a text, and return that; the text of a hidden element is empty."""
    return str(until(browser, lambda: browser.find_element(By.CSS_SELECTOR, selector).text, f"a text in {selector}"))


def card(browser: Any, client_id: str) -> str:
    script = """return [...document.querySelectorAll('.card')]
        .find(card => card.querySelector('.name').textContent === arguments[0])?.textContent ?? ''"""
    return str(browser.execute_script(script, client_id))


def chips(browser: Any, client_id: str) -> list[str]:
    script = """return [...document.querySelectorAll('.card')]
        .filter(card => card.querySelector('.name').textContent === arguments[0])
        .flatMap(card => [...card.querySelectorAll('.chip')].map(chip => chip.textContent))"""
    return list(browser.execute_script(script, client_id))


def click(browser: Any, selector: str) -> None:
    until(browser, lambda: browser.find_element(By.CSS_SELECTOR, selector).click() or True, selector)


def problems(browser: Any) -> list[str]:
    """Return what the browser complained about: scripts that failed, what the Content-Security-Policy stopped."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def take_picture(browser: Any, name: str) -> None:
    if folder := os.environ.get(PICTURES):
        browser.execute_script("document.querySelector('dialog').scrollTop = 0; document.activeElement.blur()")
        browser.save_screenshot(str(ROOT / folder / name))
