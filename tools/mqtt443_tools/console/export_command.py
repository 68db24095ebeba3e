"""The command `mqtt443 export`: writes the history of the local endpoint, for scripts and spreadsheets."""

import csv
import json
import math
import re
import sys
import time
from typing import Annotated

import typer

from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import StateOption
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
FIELDS = {
    "messages": ("received_at", "client_id", "topic", "qos", "retain", "payload"),
    "events": ("time", "outcome", "reason", "detail", "client_id", "source", "connection_id"),
}


def export(
    *,
    events: Annotated[bool, typer.Option("--events", help="Write events instead of messages.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write CSV; default: one JSON object per line.")] = False,
    since: Annotated[str, typer.Option(help="How far back: a number with s, m, h or d.")] = "7d",
    state: StateOption = STATE,
) -> None:
    """Write the messages or events that the local endpoint has stored, as NDJSON or CSV; payloads are Base64."""
    needs_posix("mqtt443 export")
    from mqtt443_tools.localcore.history import HISTORY_FILE, History  # noqa: PLC0415 - needs POSIX

    seconds = _seconds(since)
    path = state / HISTORY_FILE
    if not path.exists():
        raise CommandError(f"{path} does not exist; `mqtt443 local --state {state}` writes it while it runs")
    kind = "events" if events else "messages"
    history = History(path)
    try:
        rows = history.export(kind, time.time() - seconds)
        if not as_csv:
            for row in rows:
                print(json.dumps(row))
            return
        writer = csv.DictWriter(sys.stdout, FIELDS[kind], extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    finally:
        history.close()


def _cell(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = float(match[1]) * UNITS_S[match[2]] if match else math.nan
    if not math.isfinite(seconds):
        raise UsageError(f"--since {text}: expected a number with s, m, h or d, such as 1h")
    return seconds
