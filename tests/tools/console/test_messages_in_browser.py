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
from selenium.webdriver.common.keys import Keys

from tests.tools.console.page import card, click, problems, shown, until

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


def test_text_is_searched_for_in_topics_and_payloads(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "#tab-messages")
    for topic, payload in (("garden/a", b"Sunny"), ("garden/b", b"rain"), ("sun/c", b"clouds")):
        publish(endpoint, topic, payload)
        wait_for_row(browser, topic)
    search = browser.find_element(By.CSS_SELECTOR, "#messages [aria-label=Text]")
    search.send_keys("sUN")
    until(browser, lambda: [row["topic"] for row in parts(browser)] == ["sun/c", "garden/a"], "what has the text")
    assert "2 of the last 3 messages" in browser.find_element(By.ID, "count").text
    publish(endpoint, "sun/d", b"new")
    publish(endpoint, "garden/e", b"other")
    until(browser, lambda: "of the last 5" in browser.find_element(By.ID, "count").text, "the page has both")
    assert [row["topic"] for row in parts(browser)] == ["sun/d", "sun/c", "garden/a"], "the search goes on"
    search.send_keys(Keys.BACKSPACE * 3)
    until(browser, lambda: len(parts(browser)) == 5, "all messages again")


def test_json_is_shown_indented_on_request_and_binary_payloads_in_hex(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "#tab-messages")
    exact = '{"id":9007199254740993,"list":[1.0,{"a":"b:{c"}],"none":{}}'
    for topic, payload in (("json", exact.encode()), ("text", b"{not JSON"), ("binary", b"\xff\x00{}")):
        publish(endpoint, topic, payload)
        wait_for_row(browser, topic)
    plain = {"json": exact, "text": "{not JSON", "binary": "binary, 4 bytes: ff 00 7b 7d"}
    assert {row["topic"]: row["payload"] for row in parts(browser)} == plain
    click(browser, "#pretty")
    indented = (
        *("{", '  "id": 9007199254740993,', '  "list": [', "    1.0,", "    {", '      "a": "b:{c"'),
        *("    }", "  ],", '  "none": {}', "}"),
    )
    pretty = {**plain, "json": "\n".join(indented)}
    until(browser, lambda: {row["topic"]: row["payload"] for row in parts(browser)} != plain, "another form")
    assert {row["topic"]: row["payload"] for row in parts(browser)} == pretty
    click(browser, "#pretty")
    until(browser, lambda: {row["topic"]: row["payload"] for row in parts(browser)} == plain, "as they came")


def test_marks_say_the_qos_and_which_message_is_retained(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    click(browser, "#tab-messages")
    for topic, qos, retain in (("a", 0, False), ("b", 1, False), ("c", 0, True)):
        publish(endpoint, topic, b"x", qos=qos, retain=retain)
        wait_for_row(browser, topic)
    marks = {row["topic"]: row["marks"] for row in parts(browser)}
    assert marks == {"a": ["QoS 0"], "b": ["QoS 1"], "c": ["QoS 0", "retained"]}


def publish(endpoint: Endpoint, topic: str, payload: bytes, **options: Any) -> None:
    with ControlClient(endpoint.state) as control:
        control.publish(topic, payload, "x", 0, **options)


def parts(browser: Any) -> list[dict[str, Any]]:
    """Return topic, payload and marks of each row."""
    script = """return [...document.querySelectorAll('#messages .row')].map(row => ({
        topic: row.querySelector('.topic').textContent,
        payload: row.querySelector('pre').textContent,
        marks: [...row.querySelectorAll('.chip')].map(chip => chip.textContent),
    }))"""
    return list(browser.execute_script(script))


def wait_for_row(browser: Any, topic: str) -> None:
    until(browser, lambda: topic in rows(browser), f"{topic} arrives")


def rows(browser: Any) -> str:
    return str(browser.find_element(By.CSS_SELECTOR, "#messages .rows").text)


def test_hostile_payload_and_client_id_are_shown_as_text(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    hostile = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    publish(endpoint, f"telemetry/{hostile.replace('/', '')}", hostile.encode())
    be_refused(endpoint, HOSTILE_ID)
    until(browser, lambda: HOSTILE_ID in card(browser, HOSTILE_ID), "the client id as text")
    click(browser, "#tab-events")
    until(browser, lambda: HOSTILE_ID in shown(browser), "the client id as text")
    click(browser, "#tab-messages")
    until(browser, lambda: hostile in shown(browser), "the payload as text")
    assert browser.title == "mqtt443 console"
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert problems(browser) == []
