"""How smoothly the page of the console scrolls through 1,000 cards while 200 messages a second arrive, in Chromium."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mqtt443_tools.support.errors import CommandError

from bench.figures import Figure

CARDS = 1000
MESSAGES_PER_S = 200
SCROLL_S = 10
RUNS = 3
MOST_MS = 100
WAIT_S = 30
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
MEASURE = """
const [cards, perS, seconds] = arguments;
const done = arguments[arguments.length - 1];
import('/page/js/model.js').then((model) => {
    let sent = 0;
    const send = () => {
        const client_id = `device-${String(sent++ % cards).padStart(4, '0')}`;
        const received_at = Date.now() / 1000 + sent / 1e6;
        const payload = btoa(JSON.stringify({ temperature_c: 20 + (sent % 7), humidity_percent: 40 + (sent % 11) }));
        model.addMessage({ topic: `telemetry/${client_id}`, payload, qos: 1, retain: false, client_id, received_at });
    };
    while (sent < cards) send();
    setTimeout(() => {
        const begun = performance.now();
        const gaps = [];
        let last = begun;
        let given = 0;
        const frame = (now) => {
            gaps.push(now - last);
            last = now;
            for (; given < ((now - begun) / 1000) * perS; given++) send();
            const room = document.documentElement.scrollHeight - innerHeight;
            scrollTo(0, room * Math.abs(((now - begun) / 4000) % 2 - 1));
            if (now - begun < seconds * 1000) requestAnimationFrame(frame);
            else done({ gaps: gaps.slice(1), cards: document.querySelectorAll('.card').length });
        };
        requestAnimationFrame(frame);
    }, 2000);
});
"""


def console_page() -> list[Figure]:
    """Return the longest time between two frames, and how many were late.

    Raises:
        CommandError: Chromium, its driver or selenium is not installed, or the page did not open.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver  # noqa: PLC0415 - in the extra for tests
        from selenium.common.exceptions import WebDriverException  # noqa: PLC0415 - in the extra for tests
        from selenium.webdriver.chrome.service import Service  # noqa: PLC0415
    except ModuleNotFoundError:
        raise CommandError("console_page needs selenium: install the extra test") from None
    if chromium is None or driver is None:
        raise CommandError("console_page needs chromium and chromedriver (Debian: chromium chromium-driver)")
    with TemporaryDirectory(prefix="mqtt443-bench-") as folder:
        command = (sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "local", "--port", "0")
        local = subprocess.Popen(
            [*command, "--state", str(Path(folder) / "state")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            late = threading.Timer(WAIT_S, local.kill)
            late.start()
            try:
                link = _link(local)
            finally:
                late.cancel()
            options = webdriver.ChromeOptions()
            options.binary_location = chromium
            for flag in (*FLAGS, "--window-size=1280,860", f"--user-data-dir={folder}/chromium"):
                options.add_argument(flag)
            browser = webdriver.Chrome(options, Service(driver))
            try:
                browser.set_script_timeout(SCROLL_S + WAIT_S)
                runs = [_gaps_ms(browser, link) for _ in range(RUNS)]
            finally:
                browser.quit()
        except WebDriverException as error:
            raise CommandError(f"console_page: {(error.msg or type(error).__name__).splitlines()[0]}") from error
        finally:
            _stop(local)
    what = f"{CARDS:,} cards and {MESSAGES_PER_S} messages a second"
    longest = tuple(max(gaps) for gaps in runs)
    middle = statistics.median(longest)
    met = middle <= MOST_MS
    return [
        Figure(f"longest frame, {what}", "ms", middle, goal=f"<= {MOST_MS}", met=met, runs=RUNS, all_runs=(longest,)),
        Figure(f"median frame, {what}", "ms", statistics.median(map(statistics.median, runs)), runs=RUNS),
    ]


def _gaps_ms(browser: Any, link: str) -> list[float]:
    """Return the times between the frames of a new page. Raises CommandError if it does not show every card."""
    browser.get(link)
    found: dict[str, Any] = browser.execute_async_script(MEASURE, CARDS, MESSAGES_PER_S, SCROLL_S)
    if found["cards"] != CARDS:
        raise CommandError(f"the page shows {found['cards']} cards, not {CARDS}")
    return [round(gap, 1) for gap in found["gaps"]]


def _stop(local: subprocess.Popen[str]) -> None:
    local.terminate()
    try:
        local.communicate(timeout=WAIT_S)
    except subprocess.TimeoutExpired:
        local.kill()
        local.communicate()


def _link(local: subprocess.Popen[str]) -> str:
    """Return the link that the endpoint prints."""
    assert local.stdout is not None
    for line in local.stdout:
        if found := re.search(r"console: (http://\S+)", line):
            return found[1]
    raise CommandError("the local endpoint did not start a console")
