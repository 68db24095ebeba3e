"""How a chart is drawn: the part that was zoomed into, its dots, width and colours."""

from typing import Any

import pytest

from tests.tools.console.conftest import Endpoint

pytest.importorskip("selenium", reason="needs selenium (the extra test)")

from tests.tools.console.page import problems, until

CHARTS = """
import('/page/js/charts.js').then(async ({ Charts }) => {
    const charts = new Charts(document.querySelector('main'));
    const begun = Math.floor(Date.now() / 1000) - 100;
    const add = (first, last) => {
        for (let at = first; at <= last; at++) {
            const payload = btoa(JSON.stringify({ value: at }));
            charts.series.add({ topic: 'telemetry/a', payload, client_id: 'a', received_at: begun + at });
        }
    };
    const range = async () => {
        await new Promise(requestAnimationFrame);
        const { min, max } = charts.plots.get('value').scales.x;
        return [min - begun, max - begun];
    };
    const found = {};
    add(0, 9);
    charts.draw(1000);
    found.whole = await range();
    charts.plots.get('value').setScale('x', { min: begun + 2, max: begun + 5 });
    found.zoomed = await range();
    add(10, 19);
    charts.draw(1000);
    found.kept = await range();
    charts.draw(1000, true);
    found.again = await range();
    const hasDots = () => charts.plots.get('value').series[1].points.show(charts.plots.get('value'), 1);
    found.dotsOfFew = hasDots();
    add(20, 99);
    charts.draw(1000);
    found.dotsOfMany = hasDots();
    charts.destroy();
    return found;
}).then(arguments[arguments.length - 1])
"""
OPEN_CHART = """
import('/page/js/charts.js').then(({ Charts }) => {
    const box = document.createElement('div');
    document.querySelector('main').append(box);
    const charts = new Charts(box);
    for (const at of [1, 2, 3]) {
        const payload = btoa(JSON.stringify({ value: at }));
        charts.series.add({ topic: 'telemetry/a', payload, client_id: 'a', received_at: Date.now() / 1000 - 100 + at });
    }
    charts.draw(1000);
    window.opened = { box, charts };
}).then(arguments[arguments.length - 1])
"""
CHART_WIDTH = "return window.opened.box.querySelector('.uplot').clientWidth"
CHART_COLOURS = """
const { box } = window.opened;
const canvas = box.querySelector('canvas');
const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
box.style.color = 'var(--accent)';
const accent = getComputedStyle(box).color.match(/[0-9]+/g).map(Number);
let drawn = 0;
for (let at = 0; at < pixels.length; at += 4) drawn += accent.every((part, of) => pixels[at + of] === part);
return { accent: String(accent), isDrawn: drawn > 0 };
"""


def test_part_of_a_chart_that_was_zoomed_into_stays(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    shown = browser.execute_async_script(CHARTS)
    assert (shown.pop("dotsOfFew"), shown.pop("dotsOfMany")) == (True, False)
    assert shown == {"whole": [0, 9], "zoomed": [2, 5], "kept": [2, 5], "again": [0, 19]}
    assert problems(browser) == []


def test_chart_follows_the_width_of_its_box(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    browser.execute_async_script(OPEN_CHART)
    for box, chart in ((1016, 500), (600, 600), (416, 416), (100, 240), (816, 400)):
        browser.execute_script(f"window.opened.box.style.width = '{box}px'")
        until(browser, lambda: browser.execute_script(CHART_WIDTH) == chart, f"{box}")  # noqa: B023 - used at once
    assert problems(browser) == []


def test_chart_follows_the_colours_that_the_viewer_prefers(browser: Any, endpoint: Endpoint) -> None:
    browser.get(endpoint.link)
    browser.execute_async_script(OPEN_CHART)
    accents = set()
    for scheme in ("light", "dark", "light"):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        until(browser, lambda: browser.execute_script(CHART_COLOURS)["isDrawn"], scheme)
        accents.add(browser.execute_script(CHART_COLOURS)["accent"])
    assert len(accents) == 2
    assert problems(browser) == []
