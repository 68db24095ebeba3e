"""Messages in a real browser: published, filtered, copied, downloaded, and shown as text whatever they hold."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.control.control_client import ControlClient

from tests.tools.console.conftest import Endpoint, be_refused

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By

from tests.tools.console.page import card, click, problems, shown, until

pytestmark = pytest.mark.timeout(180)


HOSTILE_ID = "<img src=x onerror=document.title=1>"


def test_message_is_published_filtered_copied_and_downloaded(browser: Any, endpoint: Endpoint, tmp_path: Path) -> None:
    browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": endpoint.origin},
    )
    browser.get(endpoint.link)
    click(browser, "#tab-messages")
    click(browser, "#messages summary")
    for topic, payload in (("garden/a", '{"x": 1}'), ("garden/b", "=1+1, text")):
        for selector, text in (("#publish-topic", topic), ("#publish-payload", payload)):
            browser.find_element(By.CSS_SELECTOR, selector).clear()
            browser.find_element(By.CSS_SELECTOR, selector).send_keys(text)
        if topic == "garden/a":
            click(browser, "#publish-retain")
        click(browser, "#messages form .primary")
        wait_for_row(browser, topic)
    assert "retained" in rows(browser)
    browser.find_element(By.ID, "topic-filter").clear()
    browser.find_element(By.ID, "topic-filter").send_keys("garden/b")
    until(browser, lambda: "garden/a" not in rows(browser), "the filter works")
    browser.execute_script("document.querySelector('#messages .row .copy').click()")
    label = "return document.querySelector('#messages .row .copy').textContent"
    until(browser, lambda: browser.execute_script(label) == "Copied", "the copy button says so")
    copied = browser.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == "=1+1, text"
    click(browser, "#download-ndjson")
    click(browser, "#download-csv")
    ndjson, table = (tmp_path / "downloads" / f"messages.{kind}" for kind in ("ndjson", "csv"))
    until(browser, lambda: ndjson.exists() and table.exists(), "both downloads")
    (line,) = ndjson.read_text().splitlines()
    assert (json.loads(line)["topic"], json.loads(line)["qos"]) == ("garden/b", 1)
    with table.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["topic"], row["payload"]) == ("garden/b", "'=1+1, text"), "no spreadsheet takes it for a formula"
    assert problems(browser) == []


def wait_for_row(browser: Any, topic: str) -> None:
    until(browser, lambda: topic in rows(browser), f"{topic} arrives")


def rows(browser: Any) -> str:
    return str(browser.find_element(By.CSS_SELECTOR, "#messages .rows").text)


def test_hostile_payload_and_client_id_are_shown_as_text(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    hostile = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    with ControlClient(endpoint.state) as control:
        control.publish(f"telemetry/{hostile.replace('/', '')}", hostile.encode(), "x", 0)
    be_refused(endpoint, HOSTILE_ID)
    until(browser, lambda: HOSTILE_ID in card(browser, HOSTILE_ID), "the client id as text")
    click(browser, "#tab-events")
    until(browser, lambda: HOSTILE_ID in shown(browser), "the client id as text")
    click(browser, "#tab-messages")
    until(browser, lambda: hostile in shown(browser), "the payload as text")
    assert browser.title == "mqtt443 console"
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert problems(browser) == []
