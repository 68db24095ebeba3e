"""`python -m bench`: runs all benchmarks, prints the tables, and writes the JSON and the picture of the fleet.

Exits with 0 if every goal is met, with 1 if one is missed or something could not be measured. A goal hidden by noise is
named with the spread of the runs and the load of the machine; it was not shown to be met, so the exit status is 1 as
well.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.paths import ROOT
from rich.console import Console
from rich.table import Table

from bench import figures, fleet, plot
from bench.authorizer import authorizer
from bench.comparison import LESS_IS_BETTER, OURS, Comparison, number
from bench.console_page import console_page
from bench.figures import Figure
from bench.localcore import PARTS, localcore
from bench.machine import Usage
from bench.rig import bench
from bench.size import size

RESULTS = ROOT / "bench" / "results"
PICTURE = ROOT / "docs" / "fleet.svg"
PICTURED_OUTAGE_S = 300
SECTIONS = (figures.wire, figures.round_trip, figures.rate, figures.backlog, figures.memory)
NAMES = (*(section.__name__ for section in SECTIONS), "size", "authorizer", "console_page", "fleet", *PARTS)
"""What `--only` can name, in whole or in part."""


def main(
    out: Annotated[Path, typer.Option(help="Folder for the JSON.")] = RESULTS,
    only: Annotated[str, typer.Option(help="Measure only sections whose name contains this.")] = "",
) -> None:
    """Measure the link in comparison with umqtt.simple, the authorizer, the sizes and the fleet."""
    if not any(only in name for name in NAMES):
        raise typer.BadParameter(f"no section has {only} in its name: {', '.join(NAMES)}", param_hint="--only")
    progress = Console(stderr=True)
    measured: dict[str, list[Figure]] = {}
    failed = []

    def section(name: str, measure: Callable[[], list[Figure]]) -> None:
        if only in name:
            try:
                with progress.status(f"measuring: {name}"):
                    before = Usage.now()
                    figures = measure()
                    others = Usage.now().others_since(before)
                measured[name] = [replace(row, others=others) if row.all_runs else row for row in figures]
            except CommandError as error:
                print(f"{name}: {error}", file=sys.stderr)
                failed.append(name)

    try:
        with bench() as rig:
            for measure in SECTIONS:
                section(measure.__name__, lambda measure=measure: measure(rig))  # type: ignore[misc]
            section("size", lambda: size(rig))
    except CommandError as error:  # the setup failed
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    section("authorizer", authorizer)
    section("console_page", console_page)
    returns = fleet.simulate_all() if only in "fleet" else {}
    measured["fleet"] = [fleet_figure(outage_s, backs) for outage_s, backs in returns.items()]
    rows = [figure for part in measured.values() for figure in part]
    compared: list[Comparison] = []
    if any(only in name for name in PARTS):
        try:
            with progress.status("measuring: localcore") as status:
                compared = localcore(only, status.update, progress.print)
        except CommandError as error:
            print(f"localcore: {error}", file=sys.stderr)
            failed.append("localcore")
    show(rows, returns)
    if compared:
        Console(width=None if sys.stdout.isatty() else 140).print(beside_brokers(compared))
    if not only:
        write(out, rows, returns, compared)
    if returns:
        plot.write(PICTURE, returns[PICTURED_OUTAGE_S], PICTURED_OUTAGE_S)
    if not all_met(rows, compared, failed):
        raise typer.Exit(1)


def all_met(rows: list[Figure], compared: list[Comparison], failed: list[str]) -> bool:
    """Print which goals were missed, or missed by noise, and what was not measured; return whether there are none."""
    missed = [figure.name for figure in rows if figure.met is False and not figure.is_noise]
    missed += [row.name for row in compared if row.verdict == "MISSED"]
    for row in compared:
        if row.median(OURS) is None:
            failed = [*failed, row.name]
        elif row.goal is not None and row.judged is None:
            failed = [*failed, f"{row.name} (no {row.beside} to compare it with)"]
    noise = [f"{row.name} ({row.spread})" for row in rows if row.is_noise]
    noise += [f"{row.name} ({row.spread})" for row in compared if row.verdict == "noise"]
    causes = (
        ("missed", missed),
        ("missed by noise (measure again on a quiet machine)", noise),
        ("not measured", failed),
    )
    for what, names in causes:
        if names:
            print(f"{what}: {'; '.join(names)}", file=sys.stderr)
    return not (missed or noise or failed)


def fleet_figure(outage_s: int, backs: dict[str, fleet.Return]) -> Figure:
    """Return the most attempts per second of our fleet, and of fleets of umqtt.robust and mqtt_as."""
    ours, robust, mqtt_as, _ = (back.most_per_s for back in backs.values())
    return Figure(
        f"{fleet.BOARDS:,} boards, outage of {outage_s} s: attempts in the fullest second",
        "1/s",
        ours,
        robust,
        f"{mqtt_as:,} (simulated)",
        f"<= {fleet.MOST_PER_S}",
        ours <= fleet.MOST_PER_S,
    )


def show(rows: list[Figure], returns: dict[int, dict[str, fleet.Return]]) -> None:
    """Print the tables."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    if rows:
        console.print(comparison(rows))
    for outage_s, backs in returns.items():
        table = Table(f"{fleet.BOARDS:,} boards, outage of {outage_s} s")
        for heading in ("peak per second", "all back after, s", "failed attempts", "of them peak per second"):
            table.add_column(heading, justify="right")
        for name, back in backs.items():
            counts = (back.peak_per_s, back.all_back_s, back.failed_attempts, back.peak_failed_per_s)
            table.add_row(name, *(f"{count:,}" for count in counts))
        console.print(table)


def comparison(rows: list[Figure]) -> Table:
    """Return the table of figures."""
    table = Table("figure", "unit")
    for heading in ("mqtt443", "umqtt.simple 1.3.4", "times better", "mqtt_as 0.8.3, quoted", "goal"):
        table.add_column(heading, justify="right")
    for row in rows:
        verdict = "met" if row.met else f"missed by noise: {row.spread}" if row.is_noise else "MISSED"
        goal = "" if row.goal is None else f"{row.goal} {verdict}"
        ratio = f"{row.ratio:.3g}" if row.ratio else ""
        table.add_row(row.name, row.unit, number(row.ours), number(row.umqtt), ratio, row.mqtt_as or "", goal)
    return table


def beside_brokers(rows: list[Comparison]) -> Table:
    """Return the table of the local endpoint and other brokers."""
    table = Table("figure", "unit")
    for heading in ("localcore", "runs", "amqtt", "mosquitto", "ratio", "goal"):
        table.add_column(heading, justify="right")
    for row in rows:
        medians = [number(row.median(name)) for name in (OURS, "amqtt", "mosquitto")]
        ratio = f"{row.judged:.3g}" if row.beside is not None and row.judged is not None else ""
        limit = "<=" if row.unit in LESS_IS_BETTER else ">="
        times = "" if row.beside is None else f" times {row.beside}"
        goal = "" if row.goal is None else f"{limit} {row.goal:,g}{times}: {row.verdict or 'not measured'}"
        table.add_row(row.name, row.unit, medians[0], row.spread, *medians[1:], ratio, goal)
    return table


def write(
    folder: Path, rows: list[Figure], returns: dict[int, dict[str, fleet.Return]], compared: list[Comparison]
) -> None:
    """Write the report as JSON, atomically."""
    report: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"processors": os.cpu_count(), "kind": platform.machine(), "python": platform.python_version()},
        "figures": [row.to_json() for row in rows],
        "localcore": [{**asdict(row), "judged": row.judged, "verdict": row.verdict} for row in compared],
        "fleet": {
            outage_s: {name: asdict(back) for name, back in backs.items()} for outage_s, backs in returns.items()
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "figures.json.new"
    new.write_text(json.dumps(report, indent=1) + "\n")
    new.rename(folder / "figures.json")


if __name__ == "__main__":
    typer.run(main)
