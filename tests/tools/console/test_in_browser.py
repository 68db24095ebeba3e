"""The console in a real browser, beside a real endpoint and real board processes."""

import csv
import json
import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.paths import ROOT

from tests.support.mqtt.client import client_connect
from tests.tools.console.conftest import WAIT_S, Endpoint, Start, add_device, update

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PAGE = ROOT / "tools/mqtt443_tools/console/page"
AXE = PAGE / "node_modules/axe-core/axe.min.js"
PICTURES = "MQTT443_PICTURES"
"""Names the folder that gets the pictures of the documentation: MQTT443_PICTURES=docs."""

SENSORS = """
import math, time
def read():
    t = time.time() / 4
    return {"temperature_c": round(21 + 2 * math.sin(t), 2), "humidity_percent": round(48 + 5 * math.cos(t / 2), 1)}
"""

HOSTILE_ID = "<img src=x onerror=document.title=1>"

pytestmark = pytest.mark.timeout(180)


def until(browser: Any, condition: Callable[[], Any], wanted: str) -> Any:
    return WebDriverWait(browser, WAIT_S).until(lambda _: condition(), f"{wanted}; the page shows: {shown(browser)}")


def shown(browser: Any) -> str:
    return str(browser.find_element(By.TAG_NAME, "body").text)


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
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, selector), selector)
    browser.find_element(By.CSS_SELECTOR, selector).click()


def problems(browser: Any) -> list[str]:
    """Return what the browser complained about: scripts that failed, what the Content-Security-Policy stopped."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def assert_accessible(browser: Any) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: run npm ci in tools/mqtt443_tools/console/page")
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []


def test_board_appears_moves_answers_and_is_told_why_it_is_refused(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    config = tmp_path / "board" / "config.json"
    config.parent.mkdir()
    (config.parent / "sensors.py").write_text(SENSORS)
    add_device(endpoint, "kitchen", config)
    garden = tmp_path / "garden" / "config.json"
    garden.parent.mkdir()
    (garden.parent / "sensors.py").write_text(SENSORS)
    add_device(endpoint, "garden", garden)
    start("board", "--config", str(garden))
    browser.get(endpoint.link)
    until(browser, lambda: browser.current_url == f"{endpoint.origin}/", "the token leaves the address bar")
    board = start("board", "--config", str(config))

    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".card polyline"), "a sparkline")

    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    points = "return document.querySelectorAll('dialog .row').length"
    until(browser, lambda: browser.execute_script(points) >= 3, "the chart's messages go on")
    browser.find_element(By.ID, "command").send_keys("report")
    click(browser, "#send")
    until(browser, lambda: "{" in browser.find_element(By.ID, "answer").text, "the board's answer")
    assert '"interval_s": 1' in browser.find_element(By.ID, "answer").text
    until(browser, lambda: browser.execute_script(points) >= 5, "the chart moves on")
    take_picture(browser, "console-device.png")

    click(browser, "[data-action=disable]")
    click(browser, "#confirm")
    until(browser, lambda: "the device is disabled" in card(browser, "kitchen"), "why it is refused")
    assert "mqtt443 device enable kitchen" in card(browser, "kitchen")
    click(browser, "[data-device=kitchen]")
    click(browser, "[data-action=enable]")
    until(browser, lambda: "disabled" not in chips(browser, "kitchen"), "it is enabled")

    board.process.send_signal(2)
    board.process.wait(WAIT_S)
    update(config, password="not the password")
    start("board", "--config", str(config))
    until(browser, lambda: "wrong password" in card(browser, "kitchen"), "a wrong password is explained")
    click(browser, "#tab-events")
    until(browser, lambda: "NOT_AUTHENTICATED: wrong password" in shown(browser), "the event")
    click(browser, "#events summary")
    steps = shown(browser)
    for step in ("TLS: TLSv1.", "SNI: localhost", "ALPN: mqtt", "Authorizer: mqtt443", '"password": "(16 bytes)"'):
        assert step in steps
    assert "Answer of the authorizer: refuse: wrong password" in steps
    assert "not the password" not in steps
    click(browser, "#tab-devices")
    take_picture(browser, "console.png")
    assert problems(browser) == []


def take_picture(browser: Any, name: str) -> None:
    if folder := os.environ.get(PICTURES):
        browser.execute_script("document.querySelector('dialog').scrollTop = 0; document.activeElement.blur()")
        browser.save_screenshot(str(ROOT / folder / name))


def test_topic_that_the_policy_lacks_is_explained_with_the_statement_to_add(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    config = tmp_path / "board" / "config.json"
    config.parent.mkdir()
    add_device(endpoint, "kitchen", config)
    update(config, topic="telemetry/another")
    browser.get(endpoint.link)
    start("board", "--config", str(config))
    until(browser, lambda: "AUTH_ERROR" in card(browser, "kitchen"), "the refused publish")
    click(browser, "#tab-events")
    click(browser, "#events summary")
    until(browser, lambda: "iot:Publish" in shown(browser), "the statement")
    statement = json.loads(browser.find_element(By.CSS_SELECTOR, "#events pre[data-step^=Missing]").text)
    assert statement["Action"] == "iot:Publish"
    assert statement["Resource"] == "<arn>:topic/telemetry/another"
    assert "statement 1 allows iot:Connect" in shown(browser), "the policy at CONNECT"


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
    assert browser.find_element(By.ID, "password").text == config["password"]
    folder = tmp_path / "garden"
    folder.mkdir()
    (folder / config["ca"]).write_bytes((endpoint.state / "ca.pem").read_bytes())
    (folder / "config.json").write_text(json.dumps(config | {"interval_s": 1}))
    start("board", "--config", str(folder / "config.json"))
    browser.find_element(By.CSS_SELECTOR, "dialog .close").click()
    until(browser, lambda: "online" in card(browser, "garden"), "garden is online")


def test_fault_is_felt_by_the_board_and_switched_off(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    config = tmp_path / "board" / "config.json"
    config.parent.mkdir()
    add_device(endpoint, "kitchen", config)
    board = start("board", "--config", str(config))
    browser.get(endpoint.link)
    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    click(browser, "[data-device=kitchen]")
    click(browser, ".faults summary")
    click(browser, "[data-fault=drop]")
    until(browser, lambda: "on, has acted" in shown(browser), "the fault is shown as on")
    board.wait_for(r"(?i)closed|lost|reset|reconnect|again")
    click(browser, "dialog .close")
    until(browser, lambda: "fault drop" in chips(browser, "kitchen"), "the card shows the fault")
    until(browser, lambda: "FAULT_INJECTED: drop: " in card(browser, "kitchen"), "the card shows what happened")
    since = len(board.lines)
    click(browser, "#faults-off")
    until(browser, lambda: "fault drop" not in chips(browser, "kitchen"), "the fault is off")
    until(browser, lambda: not browser.find_element(By.ID, "faults-off").is_displayed(), "no fault is on")
    board.wait_for(r"published", since)
    until(browser, lambda: "FAULT_INJECTED" not in card(browser, "kitchen"), "the card is clean again")
    assert problems(browser) == []


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path, scheme: str) -> None:
    config = tmp_path / "board" / "config.json"
    config.parent.mkdir()
    add_device(endpoint, "kitchen", config)
    start("board", "--config", str(config))
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(endpoint.link)
    until(browser, lambda: "online" in card(browser, "kitchen"), "kitchen is online")
    for tab in ("devices", "messages", "events"):
        click(browser, f"#tab-{tab}")
        assert_accessible(browser)
    click(browser, "#tab-devices")
    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    assert_accessible(browser)


def test_page_fits_a_phone(browser: Any, endpoint: Endpoint) -> None:
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(endpoint.link)
    until(browser, lambda: browser.find_element(By.ID, "status").text == "live", "it is live")
    for tab in ("devices", "messages", "events"):
        click(browser, f"#tab-{tab}")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360, tab


def test_tabs_work_with_the_keyboard(browser: Any, endpoint: Endpoint) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(endpoint.link)
    click(browser, "#tab-devices")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.get_attribute("id") == "tab-messages"
    assert browser.find_element(By.ID, "messages").is_displayed()


def test_hostile_payload_and_client_id_are_shown_as_text(browser: Any, endpoint: Endpoint) -> None:
    from mqtt443_tools.localcore.control.control_client import ControlClient

    browser.get(endpoint.link)
    hostile = "<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
    with ControlClient(endpoint.state) as control:
        control.publish(f"telemetry/{hostile.replace('/', '')}", hostile.encode(), "x", 0)
    context = ssl.create_default_context(cafile=endpoint.state / "ca.pem")
    context.set_alpn_protocols(["mqtt"])
    with (
        socket.create_connection(("127.0.0.1", endpoint.port), WAIT_S) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.sendall(client_connect(HOSTILE_ID))
        while tls.recv(100):
            pass
    until(browser, lambda: HOSTILE_ID in card(browser, HOSTILE_ID), "the client id as text")
    click(browser, "#tab-events")
    until(browser, lambda: HOSTILE_ID in shown(browser), "the client id as text")
    click(browser, "#tab-messages")
    until(browser, lambda: hostile in shown(browser), "the payload as text")
    assert browser.title == "mqtt443 console"
    assert browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
    assert problems(browser) == []
