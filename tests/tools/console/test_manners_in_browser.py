"""What everyone can expect of the page: it is accessible, fits a phone, and works with the keyboard."""

from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.paths import ROOT

from tests.tools.console.conftest import Endpoint, Start, add_device

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.tools.console.page import card, click, until

AXE = ROOT / "tools/mqtt443_tools/console/page/node_modules/axe-core/axe.min.js"

pytestmark = pytest.mark.timeout(180)


def assert_accessible(browser: Any) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: run npm ci in tools/mqtt443_tools/console/page")
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path, scheme: str) -> None:
    config = tmp_path / "board" / "config.json"
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
    browser.get(endpoint.link)
    click(browser, "#tab-devices")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.switch_to.active_element.get_attribute("id") == "tab-messages"
    assert browser.find_element(By.ID, "messages").is_displayed()
