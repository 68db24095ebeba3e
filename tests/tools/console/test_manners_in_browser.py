"""What everyone can expect of the page: it is accessible, fits a phone, and works with the keyboard."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.paths import ROOT

from tests.tools.console.conftest import Endpoint, Start, be_refused

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.tools.console.page import click, open_with_board, text_of, until

MOVES = """
const moves = (element, pseudo) => {
    const { transitionDuration, animationName } = getComputedStyle(element, pseudo);
    return animationName !== 'none' || transitionDuration.split(', ').some(each => parseFloat(each) > 0);
};
const parts = [null, '::before', '::after', '::backdrop'];
return [...document.querySelectorAll('*')].filter(each => parts.some(part => moves(each, part)))
    .map(each => each.className);
"""
"""Returns the classes of the elements that change gradually."""

AXE = ROOT / "tools/mqtt443_tools/console/page/node_modules/axe-core/axe.min.js"


def assert_accessible(browser: Any) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: run npm ci in tools/mqtt443_tools/console/page")
    browser.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.execute_script(AXE.read_text())
    found = browser.execute_async_script("axe.run().then(arguments[0])")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path, scheme: str) -> None:
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    open_with_board(browser, endpoint, start, tmp_path)
    for tab in ("devices", "messages", "events"):
        click(browser, f"#tab-{tab}")
        assert_accessible(browser)
    click(browser, "#tab-devices")
    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    assert_accessible(browser)


def test_nothing_moves_for_those_who_prefer_reduced_motion(
    browser: Any, endpoint: Endpoint, start: Start, tmp_path: Path
) -> None:
    open_with_board(browser, endpoint, start, tmp_path)
    click(browser, "[data-device=kitchen]")
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    moving = {}
    for preference in ("no-preference", "reduce"):
        features = [{"name": "prefers-reduced-motion", "value": preference}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        moving[preference] = browser.execute_script(MOVES)
    assert moving == {"no-preference": ["dot on"], "reduce": []}


def test_times_are_those_of_the_viewer_with_utc_on_hover(browser: Any, endpoint: Endpoint) -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "Asia/Kolkata"})
    browser.get(endpoint.link)
    be_refused(endpoint, "kitchen")
    click(browser, "#tab-events")
    event = "#events summary time"
    shown = text_of(browser, event)
    title = browser.find_element(By.CSS_SELECTOR, event).get_attribute("title")
    at = datetime.fromisoformat(title)
    assert title.endswith("Z")
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=10)
    assert at.astimezone(india).strftime("%M:%S") in shown
    click(browser, "#tab-devices")
    text_of(browser, ".card .when")
    seen = browser.find_element(By.CSS_SELECTOR, ".card .when").get_attribute("title")
    assert seen == title, "the card too"


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
