"""The results of a load: as a table, as JSON, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from mqtt443_tools.load.line_chart import line_chart
from mqtt443_tools.load.tally import Tally
from mqtt443_tools.support.extras import missing_extra
from mqtt443_tools.support.printable import printable

PERCENTILES = (50, 95, 99, 100)
PICTURED = ("connect", "telemetry", "deliveries")


def table(results: Mapping[str, Tally]) -> Table:
    """Return the table of counts, rates and latencies."""
    shown = Table("")
    for heading in ("done", "failed", "per second", "p50 ms", "p95 ms", "p99 ms", "max ms"):
        shown.add_column(heading, justify="right")
    for name, tally in results.items():
        if tally.done or tally.failed:
            latencies = (_number(tally.percentile_ms(percent)) for percent in PERCENTILES)
            shown.add_row(name, f"{tally.done:,}", f"{tally.failed:,}", _number(tally.rate), *latencies)
    return shown


def errors(results: Mapping[str, Tally]) -> list[str]:
    """Return a line for each kind of work and cause of failure, the most frequent first."""
    return [
        f"{name}: {count:,} x {printable(cause)}"
        for name, tally in results.items()
        for cause, count in tally.errors.most_common()
    ]


def to_json(results: Mapping[str, Tally]) -> dict[str, Any]:
    """Return the results as JSON; `per_second` starts at the second of the very first event."""
    start = _start(results)
    return {
        name: {
            "done": tally.done,
            "failed": tally.failed,
            "per_s": round(tally.rate, 2),
            "latency_ms": {
                f"p{percent}": None if value is None else round(value, 3)
                for percent in PERCENTILES
                for value in [tally.percentile_ms(percent)]
            },
            "errors": dict(tally.errors),
            "per_second": _series(tally, start),
        }
        for name, tally in results.items()
    }


def check_can_draw() -> None:
    """Raise CommandError if no picture can be drawn here."""
    try:
        import pygal  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise missing_extra("--picture", "load") from error


def draw(path: Path, results: Mapping[str, Tally], title: str) -> None:
    """Write the rates over time to a file, as SVG. Raises OSError."""
    chart = line_chart(title, "seconds", "per second", dots_size=2)
    start = _start(results)
    for name, tally in results.items():
        if name.startswith(PICTURED):
            first = min(tally.per_s, default=start)
            chart.add(name, [(first - start + at, count) for at, count in enumerate(_series(tally, first))])
    path.write_bytes(chart.render() + b"\n")


def _start(results: Mapping[str, Tally]) -> int:
    return min((second for tally in results.values() for second in tally.per_s), default=0)


def _series(tally: Tally, start: int) -> list[int]:
    return [tally.per_s[second] for second in range(start, max(tally.per_s, default=start - 1) + 1)]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
