"""Draws the reconnection curves of `fleet` as an SVG picture for the documentation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from mqtt443_tools.load.line_chart import line_chart

from bench.fleet import BOARDS, Return

SHOWN_S = 62
DATED = re.compile(rb"<!--.*?-->")
"""Comments of pygal, one of which has the date."""

WIDTHS = "".join(f".serie-{place} .line{{stroke-width:{px}px}}" for place, px in enumerate((2.5, 9, 3, 1.5)))
"""The curves of the two fixed waits coincide; the upper one is narrower, so both can be seen."""


def draw(returns: Mapping[str, Return], outage_s: int) -> bytes:
    """Return the picture as SVG, with one curve per strategy; the same curves give the same bytes."""
    chart = line_chart(
        f"{BOARDS:,} boards after an outage of {outage_s} s",
        "seconds after its end",
        "connections per second",
        legend_at_bottom_columns=2,
        css=("file://style.css", "file://graph.css", f"inline:{WIDTHS}"),
    )
    for name, back in returns.items():
        arrivals = back.arrivals + (0,) * (SHOWN_S - len(back.arrivals))
        chart.add(name, list(enumerate(arrivals[:SHOWN_S])), show_dots=False)
    picture: bytes = chart.render()
    return DATED.sub(b"", picture) + b"\n"


def write(path: Path, returns: Mapping[str, Return], outage_s: int) -> None:
    """Draw the picture to a file."""
    path.write_bytes(draw(returns, outage_s))
