"""The first minutes with the project: `make demo`, its link, and three ways to break it, each explained by the page.

docs/console.md ("Break it, and see why") tells the same way.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.demo.__main__ import CLIENT_ID

from tests.tools.console.conftest import running

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from selenium.webdriver.common.by import By

from tests.tools.console.page import REFUSED_S, card, click, problems, shown, shows, text_of, until

pytestmark = pytest.mark.timeout(300)

DEVICE = f"[data-device={CLIENT_ID}]"


@pytest.fixture
def begin(browser: Any, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Start the demo, again if it runs, and open its link."""
    with ExitStack() as stack:

        def begin() -> None:
            browser.get("about:blank")  # no page looks for a console that has gone
            stack.close()
            demo = stack.enter_context(running([sys.executable, "-m", "mqtt443_tools.demo"], tmp_path))
            browser.get(demo.wait_for(r"console: (http://\S+)")[1])
            until(browser, lambda: "online" in card(browser, CLIENT_ID), "the board is online")

        yield begin


def test_demo_is_seen_broken_in_three_ways_and_explained_each_time(browser: Any, begin: Callable[[], None]) -> None:
    begin()
    assert_chart_moves(browser)

    click(browser, ".faults summary")
    click(browser, "[data-fault=drop]")
    click(browser, "dialog .close")
    until_told(browser, "FAULT_INJECTED: drop: ", f"mqtt443 local fault {CLIENT_ID} --off")
    click(browser, "#faults-off")
    until(browser, lambda: "FAULT_INJECTED" not in card(browser, CLIENT_ID), "the board is well again", REFUSED_S)

    for _ in range(2):  # the password before the last one is valid, too
        act(browser, "rotate")
        text_of(browser, "#password")
        click(browser, "dialog .close")
    act(browser, "disconnect")
    until_told(browser, "NOT_AUTHENTICATED: wrong password", "Rotate the password on the device's card and copy it")

    begin()  # rather than wait for a board that was refused
    act(browser, "disable")
    until_told(browser, "NOT_AUTHENTICATED: the device is disabled", f"mqtt443 device enable {CLIENT_ID}")

    click(browser, "#tab-events")
    reasons = ("FAULT_INJECTED: drop", "wrong password", "the device is disabled")
    until(browser, lambda: shows(shown(browser), reasons), "all three stay in the list")
    assert problems(browser) == []


def assert_chart_moves(browser: Any) -> None:
    """Open the device, and leave it open."""
    click(browser, DEVICE)
    until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#charts canvas"), "a chart")
    picture = "return document.querySelector('#charts canvas').toDataURL()"
    pictures = [browser.execute_script(picture)]
    while len(pictures) < 3:
        until(browser, lambda: browser.execute_script(picture) != pictures[-1], "the chart moves")
        pictures.append(browser.execute_script(picture))


def act(browser: Any, action: str) -> None:
    click(browser, DEVICE)
    click(browser, f"[data-action={action}]")
    click(browser, "#confirm")


def until_told(browser: Any, *explained: str) -> None:
    until(browser, lambda: shows(card(browser, CLIENT_ID), explained), "what happened, and what to do", REFUSED_S)
