"""Devices in a real browser, beside a real endpoint and real board processes."""

import json
from pathlib import Path
from typing import Any

import pytest
from mqtt443 import __version__
from mqtt443_tools.device.backends import LocalBackend

from tests.tools.console.conftest import Endpoint, Start, add_device, be_refused, update

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By

from tests.tools.console.page import (
    REFUSED_S,
    card,
    chips,
    click,
    open_with_board,
    problems,
    shown,
    shows,
    take_picture,
    text_of,
    until,
)

SENSORS = """
import math, time
def read():
    t = time.time() / 4
    return {"temperature_c": round(21 + 2 * math.sin(t), 2), "humidity_percent": round(48 + 5 * math.cos(t / 2), 1)}
"""


def test_board_appears_moves_answers_and_is_told_why_it_is_refused(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    config = tmp_path / "board" / "config.json"
    add_device(endpoint, "kitchen", config)
    (config.parent / "sensors.py").write_text(SENSORS)
    garden = tmp_path / "garden" / "config.json"
    add_device(endpoint, "garden", garden)
    (garden.parent / "sensors.py").write_text(SENSORS)
    start("board", "--config", str(garden))
    browser.get(endpoint.link)
    until(browser, lambda: browser.current_url == f"{endpoint.origin}/", "the token leaves the address bar")
    board = start("board", "--config", str(config))

    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".card polyline[points]"), "a sparkline")

    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    points = "return document.querySelectorAll('dialog .row').length"
    until(browser, lambda: browser.execute_script(points) >= 3, "the chart's messages go on")
    browser.find_element(By.ID, "command").send_keys("report")
    click(browser, "#send")
    until(browser, lambda: '"interval_s": 1' in browser.find_element(By.ID, "answer").text, "the board's answer")
    until(browser, lambda: browser.execute_script(points) >= 5, "the chart moves on")
    until(browser, lambda: f"mqtt443 {__version__}" in chips(browser, "kitchen"), "the version that the report names")
    take_picture(browser, "console-device.png")

    click(browser, "[data-action=disable]")
    click(browser, "#confirm")
    explained = ("the device is disabled", "mqtt443 device enable kitchen")
    until(browser, lambda: shows(card(browser, "kitchen"), explained), "why it is refused, and what to do", REFUSED_S)
    click(browser, "[data-device=kitchen]")
    click(browser, "[data-action=enable]")
    until(browser, lambda: "disabled" not in chips(browser, "kitchen"), "it is enabled")
    until(browser, lambda: "It is enabled again." in card(browser, "kitchen"), "what happens next")

    board.end()
    update(config, password="not the password")
    start("board", "--config", str(config))
    until(browser, lambda: "wrong password" in card(browser, "kitchen"), "a wrong password is explained")
    click(browser, "#tab-events")
    until(browser, lambda: "NOT_AUTHENTICATED: wrong password" in shown(browser), "the event")
    click(browser, "#events summary")
    steps = ["TLS: TLSv1.", "SNI: localhost", "ALPN: mqtt", "Authorizer: mqtt443", '"password": "(16 bytes)"']
    steps.append("Answer of the authorizer: refuse: wrong password")
    until(browser, lambda: shows(shown(browser), steps), "the connection step by step")
    assert "not the password" not in shown(browser)
    click(browser, "#tab-devices")
    take_picture(browser, "console.png")
    assert problems(browser) == []


def test_device_that_is_registered_after_the_page_was_opened_is_known_at_once(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    browser.get(endpoint.link)
    until(browser, lambda: browser.find_element(By.ID, "status").text == "live", "it is live")
    browser.execute_script("""
        window.said = new Set();
        new MutationObserver(() => document.querySelectorAll('.chip').forEach((chip) => said.add(chip.textContent)))
            .observe(document.querySelector('.cards'), { childList: true, subtree: true });
    """)
    config = tmp_path / "board" / "config.json"
    add_device(endpoint, "kitchen", config)
    start("board", "--config", str(config))
    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-action=disable]"), "its actions")
    assert "not registered" not in browser.execute_script("return [...window.said]")


def test_slow_list_of_registered_devices_is_asked_for_once_at_a_time(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    until(browser, lambda: browser.find_element(By.ID, "status").text == "live", "it is live")
    browser.execute_script("""
        window.asked = window.looks = 0;
        const begun = Date.now();
        Date.now = () => begun + 10_000 * ++window.looks;  // each drawing comes long after the one before
        const fetched = window.fetch;
        window.fetch = (path, ...rest) => {
            if (path !== '/api/devices') return fetched(path, ...rest);
            window.asked++;
            return new Promise(() => null);
        };
    """)
    be_refused(endpoint, "kitchen")
    until(browser, lambda: browser.execute_script("return asked > 0"), "the page asks whether kitchen is registered")
    looks = browser.execute_script("return looks")
    until(browser, lambda: browser.execute_script("return looks") > looks + 8, "several drawings")
    assert browser.execute_script("return asked") == 1


def test_topic_that_the_policy_lacks_is_explained_with_the_statement_to_add(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    config = tmp_path / "board" / "config.json"
    add_device(endpoint, "kitchen", config)
    update(config, topic="telemetry/another")
    browser.get(endpoint.link)
    start("board", "--config", str(config))
    until(browser, lambda: "AUTH_ERROR" in card(browser, "kitchen"), "the refused publish")
    click(browser, "#tab-events")
    click(browser, "#events summary")
    # The board tries again, so newer events, which are closed, may stand above the one that was opened.
    statement = json.loads(text_of(browser, "#events details[open] pre[data-step^=Missing]"))
    assert statement["Action"] == "iot:Publish"
    assert statement["Resource"] == "<arn>:topic/telemetry/another"
    assert "statement 1 allows iot:Connect" in text_of(browser, "#events details[open]"), "the policy at CONNECT"


def test_update_shows_its_progress_and_its_end_on_the_card(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    config = tmp_path / "board" / "config.json"
    add_device(endpoint, "kitchen", config)
    update(config, updates=True)
    browser.get(endpoint.link)
    where = ("--yes", "--follow", "0", "--state", str(endpoint.state))
    # A board tries an endpoint that does not exist for as long as it may, so the page has time to see it.
    start("update", "kitchen", "--config", "endpoint=nowhere.invalid", "--within", "10", *where)
    until(browser, lambda: "update waiting" in chips(browser, "kitchen"), "the update waits for the board")
    start("board", "--config", str(config))

    def says(beginning: str) -> bool:
        return any(each.startswith(beginning) for each in chips(browser, "kitchen"))

    until(browser, lambda: says("update in progress"), "it goes on")
    until(browser, lambda: says("update failed"), "the board is back on its old endpoint")
    click(browser, "[data-device=kitchen]")
    past = ("update-", "failed")
    until(browser, lambda: shows(browser.find_element(By.ID, "updates").text, past), "the list of updates")
    assert problems(browser) == []


def test_device_is_added_and_its_config_downloaded(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    browser.get(endpoint.link)
    click(browser, "#devices .primary")
    browser.find_element(By.ID, "new-client-id").send_keys("garden")
    click(browser, "dialog form .primary")
    click(browser, "#download-config")
    downloaded = tmp_path / "downloads" / "config.json"
    until(browser, downloaded.exists, "the download")
    config = json.loads(downloaded.read_text())
    assert (config["client_id"], config["port"]) == ("garden", endpoint.port)
    assert text_of(browser, "#password") == config["password"]
    folder = tmp_path / "garden"
    folder.mkdir()
    (folder / config["ca"]).write_bytes((endpoint.state / "ca.pem").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"interval_s": 1}))
    start("board", "--config", str(folder / "config.json"))
    click(browser, "dialog .close")
    until(browser, lambda: "online" in card(browser, "garden"), "garden is online")


def test_password_is_rotated_and_shown_once(browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path) -> None:
    config = tmp_path / "board" / "config.json"
    add_device(endpoint, "kitchen", config)
    browser.get(endpoint.link)
    click(browser, "[data-device=kitchen]")
    click(browser, "[data-action=rotate]")
    until(browser, lambda: "The old one stays valid for seven days" in shown(browser), "the question")
    click(browser, "#confirm")
    password = text_of(browser, "#password")
    assert password != json.loads(config.read_text())["password"]
    click(browser, "dialog .close")
    page = "return document.documentElement.outerHTML"
    until(browser, lambda: password not in browser.execute_script(page), "the password has gone")
    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "[data-action=rotate]"), "the device")
    assert password not in browser.execute_script(page)

    update(config, password=password)
    start("board", "--config", str(config))
    click(browser, "dialog .close")
    until(browser, lambda: "online" in card(browser, "kitchen"), "the board connects with the new password")
    assert problems(browser) == []


def test_device_is_disconnected_told_why_and_connects_again(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    board = open_with_board(browser, endpoint, start, tmp_path)
    click(browser, "[data-device=kitchen]")
    click(browser, "[data-action=disconnect]")
    until(browser, lambda: "It connects again by itself" in shown(browser), "the question")
    since = len(board.lines)
    click(browser, "#confirm")
    board.wait_for("ConnectionLost|closed", since)
    board.wait_for("published", since)
    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online again")
    click(browser, "#tab-events")
    ended = ("closed", "kitchen", "API_INITIATED_DISCONNECT")
    until(browser, lambda: shows(browser.find_element(By.ID, "events").text, ended), "why the connection ended")
    assert problems(browser) == []


def test_device_is_removed_only_after_a_confirmation(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    board = open_with_board(browser, endpoint, start, tmp_path)
    click(browser, "[data-device=kitchen]")
    click(browser, "[data-action=remove]")
    until(browser, lambda: "its password is lost" in shown(browser), "the question")
    click(browser, "dialog .bar button:not(#confirm)")
    until(browser, lambda: not browser.find_element(By.ID, "dialog").is_displayed(), "the dialog has closed")
    assert registered(endpoint) == ["kitchen"]
    assert "not registered" not in chips(browser, "kitchen")

    click(browser, "[data-device=kitchen]")
    click(browser, "[data-action=remove]")
    click(browser, "#confirm")
    until(browser, lambda: "not registered" in chips(browser, "kitchen"), "it is no longer registered")
    assert registered(endpoint) == []
    board.wait_for("(?i)closed|lost|refused")
    until(browser, lambda: "unknown user name" in card(browser, "kitchen"), "why it is refused", REFUSED_S)
    assert problems(browser) == []


def registered(endpoint: Endpoint) -> list[str]:
    """Return the client ids of the devices that the endpoint knows."""
    return [device.client_id for device in LocalBackend(endpoint.state).store.all()]
