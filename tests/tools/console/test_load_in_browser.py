"""What the page holds and draws stays bounded: 200 messages a second, and 1,000 cards.

`MQTT443_SOAK=1` (`make soak`) sends for a minute, or for `MQTT443_SOAK_S` seconds, and compares the memory of page and
server; without it, the test sends as much as fills every bound. Frame times are measured in `make bench`, not asserted
here.
"""

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.tools.console.conftest import Endpoint, connected

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from tests.tools.console.page import click, open_live, problems, until

MESSAGES_PER_S = 200
SENDERS = 4
"""AWS lets a connection publish 100 messages a second."""

SOAK = bool(os.environ.get("MQTT443_SOAK"))
SECONDS = int(os.environ.get("MQTT443_SOAK_S", "60")) if SOAK else 12
MAX_GROWTH = {
    **{"heap": 4 * 2**20, "nodes": 1000, "listeners": 100},
    **{"endpoint": 8 * 2**20, "console": 8 * 2**20},
}
"""Bytes and numbers that come to those of a page, an endpoint and a console whose bounds are all reached."""
MAX_MESSAGES, MAX_ROWS, MAX_SPARK_POINTS = 2000, 150, 40
CARDS = 1000
MODEL = "import('/page/js/model.js').then(model => {%s}).then(arguments[arguments.length - 1])"

pytestmark = pytest.mark.timeout(2 * SECONDS + 180)


def in_model(browser: Any, script: str) -> Any:
    """Run a script that has the page's `model`; return what it returns."""
    return browser.execute_async_script(MODEL % script)


def test_page_keeps_and_shows_a_bounded_number_of_messages(browser: Any, endpoint: Endpoint, tmp_path: Path) -> None:
    names = [f"sender-{number}" for number in range(SENDERS)]
    open_live(browser, endpoint.link)
    clients = [connected(endpoint, name, tmp_path) for name in names]
    click(browser, "#tab-messages")
    sent, full = 0, {}
    began = time.monotonic()
    try:
        while sent < SECONDS * MESSAGES_PER_S:
            client, name = clients[sent % SENDERS], names[sent % SENDERS]
            client.publish(f"telemetry/{name}", json.dumps({"value": sent, "text": "x" * 100}), qos=1)
            sent += 1
            if SOAK and sent == SECONDS * MESSAGES_PER_S // 3:
                full = memory(browser, endpoint)
            late = time.monotonic() > began + sent / MESSAGES_PER_S
            time.sleep(1 / MESSAGES_PER_S / (2 if late else 1))  # what a busy machine has missed comes in no burst
        told = "return model.totals.received + model.totals.dropped"
        until(browser, lambda: in_model(browser, told) >= sent, f"all {sent} messages are shown or counted")
    finally:
        for client in clients:
            client.disconnect()
            client.loop_stop()
    if SOAK:
        grown = {name: size - full[name] for name, size in memory(browser, endpoint).items()}
        print(f"{sent} messages in {time.monotonic() - began:.0f} s: {full}, grown by {grown}")
        assert {name: size for name, size in grown.items() if size > MAX_GROWTH[name]} == {}
    kept = in_model(
        browser,
        """return {
            messages: model.messages.length,
            events: model.events.length,
            devices: model.devices.size,
            points: Math.max(...[...model.devices.values()].flatMap(d => [...d.series.values()].map(s => s.length))),
            rows: document.querySelectorAll('#messages .row').length,
        }""",
    )
    assert kept == {**kept, "messages": MAX_MESSAGES, "rows": MAX_ROWS, "devices": SENDERS, "points": MAX_SPARK_POINTS}
    assert kept["events"] <= 4 * SENDERS
    assert problems(browser) == []


def memory(browser: Any, endpoint: Endpoint) -> dict[str, int]:
    """Return what page, endpoint and console hold, once all garbage of the page has been collected."""
    browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    counters = browser.execute_cdp_cmd("Memory.getDOMCounters", {})
    main = endpoint.command.process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    # The authorizer's process, the other child, ends when it is idle, and begins anew for a refresh.
    (console,) = (each for each in children if b"mqtt443_tools.console" in Path(f"/proc/{each}/cmdline").read_bytes())
    return {
        "heap": browser.execute_cdp_cmd("Runtime.getHeapUsage", {})["usedSize"],
        "nodes": counters["nodes"],
        "listeners": counters["jsEventListeners"],
        **{name: resident(pid) for name, pid in (("endpoint", main), ("console", console))},
    }


def resident(pid: int | str) -> int:
    """Return the resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) * 1024


def test_only_cards_in_sight_are_drawn_again(browser: Any, endpoint: Endpoint) -> None:
    open_live(browser, endpoint.link)
    feed(browser, 1)
    cards = "return document.querySelectorAll('.card').length"
    until(browser, lambda: browser.execute_script(cards) == CARDS, f"{CARDS} cards")
    nodes = browser.execute_script("return document.querySelectorAll('#devices *').length")
    browser.execute_script("""
        window.drawn = new Map();
        new MutationObserver((records) => {
            const now = new Set(records.map((each) => each.target.closest?.('.card')?.dataset.card));
            for (const id of now) if (id) window.drawn.set(id, (window.drawn.get(id) ?? 0) + 1);
        }).observe(document.querySelector('.cards'), { childList: true, characterData: true, subtree: true });
    """)
    first = "return document.querySelector('.card b')?.textContent"
    for value in ("2", "3", "4", "5"):
        feed(browser, int(value))
        until(browser, partial(equals, browser, first, value), "the new values in sight")
    drawn = browser.execute_script("return [window.drawn.size, Math.max(...window.drawn.values())]")
    assert drawn[0] < CARDS / 5, "cards out of sight are left alone"
    assert browser.execute_script("return document.querySelectorAll('#devices *').length") <= nodes + 2 * CARDS
    last = "const card = [...document.querySelectorAll('.card')].at(-1);"
    browser.execute_script(f"{last} card.scrollIntoView()")
    until(
        browser, partial(equals, browser, f"{last} return card.querySelector('b')?.textContent", "5"), "the last card"
    )
    assert problems(browser) == []


def test_cards_are_sorted_and_filtered_and_keep_the_focus(browser: Any, endpoint: Endpoint) -> None:
    open_live(browser, endpoint.link)
    feed(browser, 1)
    names = "return [...document.querySelectorAll('.card .name')].map(name => name.textContent)"
    until(browser, lambda: len(browser.execute_script(names)) == CARDS, f"{CARDS} cards")
    in_model(browser, "model.devices.get('device-0500').lastSeen += 60")
    focus = "document.querySelector('[data-device=device-0005]').focus()"
    browser.execute_script(f"{focus}; document.querySelector('[aria-label=\"Sort by\"]').value = 'seen'")
    browser.execute_script("document.querySelector('[aria-label=\"Sort by\"]').dispatchEvent(new Event('change'))")
    found = browser.execute_script(names)
    others = [f"device-{number:04}" for number in range(CARDS) if number != 500]
    assert found == ["device-0500", *sorted(others, key=found.index)]
    assert browser.execute_script("return document.activeElement.dataset.device") == "device-0005"
    click(browser, "[aria-label='Filter devices']")
    browser.switch_to.active_element.send_keys("DEVICE-099")
    wanted = [f"device-{number:04}" for number in range(990, 1000)]
    until(browser, lambda: sorted(browser.execute_script(names)) == wanted, "the cards that the filter names")
    assert problems(browser) == []


def test_card_of_a_device_that_made_room_goes(browser: Any, endpoint: Endpoint) -> None:
    open_live(browser, endpoint.link)
    names = "return [...document.querySelectorAll('.card .name')].map(name => name.textContent)"
    in_model(browser, "model.deviceOf('first'); model.deviceOf('second')")
    until(browser, lambda: browser.execute_script(names) == ["first", "second"], "both cards")
    in_model(browser, "model.devices.delete('first')")
    until(browser, lambda: browser.execute_script(names) == ["second"], "the card that is left")
    assert problems(browser) == []


def equals(browser: Any, script: str, value: str) -> bool:
    return bool(browser.execute_script(script) == value)


def feed(browser: Any, value: int) -> None:
    """Give each of 1,000 devices a reading, as if it had come from the server."""
    in_model(
        browser,
        f"""for (let number = 0; number < {CARDS}; number++) {{
            const client_id = `device-${{String(number).padStart(4, '0')}}`;
            model.addMessage({{topic: `telemetry/${{client_id}}`, payload: btoa('{{"value": {value}}}'), qos: 1,
                retain: false, client_id, received_at: Date.now() / 1000 + {value}}});
        }}""",
    )
