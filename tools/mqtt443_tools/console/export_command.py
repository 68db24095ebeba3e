"""The command `mqtt443 export`: writes what an endpoint has stored, for scripts and spreadsheets.

The local endpoint stores messages and events. AWS IoT stores no messages; of a stack, the authorizer's log remains.
"""

import csv
import json
import math
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import (
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
    place_options,
    refuse_aws_options,
)
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
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
) -> None:
    """Write the messages that the local endpoint has stored; payloads are Base64.

    AWS IoT stores no messages: of a stack, --events writes the logins in the authorizer's log.
    """
    needs_posix("mqtt443 export")
    begin = time.time() - _seconds(since)
    kind = "events" if events else "messages"
    if stack is None:
        refuse_aws_options(region, profile)
        rows = _stored(state, kind, begin)
    elif events:
        rows = _logged(stack, region, profile, state, begin)
    else:
        place = place_options(state, stack, region, profile)
        raise UsageError(
            f"AWS IoT stores no messages: record them with `mqtt443 watch{place} --json > messages.ndjson`,"
            f" or export the logins with `mqtt443 export{place} --events`"
        )
    _write(rows, FIELDS[kind], as_csv=as_csv)


def _stored(state: Path, kind: str, begin: float) -> Iterator[dict[str, Any]]:
    """Yield what the local endpoint has stored since `begin` (Unix seconds)."""
    from mqtt443_tools.localcore.history import HISTORY_FILE, History  # noqa: PLC0415 - needs POSIX

    path = state / HISTORY_FILE
    if not path.exists():
        raise CommandError(f"{path} does not exist; `mqtt443 local --state {state}` writes it while it runs")
    history = History(path)
    try:
        yield from history.export(kind, begin)
    finally:
        history.close()


def _logged(stack: str, region: str | None, profile: str | None, state: Path, begin: float) -> Iterator[dict[str, Any]]:
    """Yield the lines of a stack's authorizer since `begin` (Unix seconds), as the console's events."""
    from mqtt443_tools.cloud.authorizer_log import every_line_since  # noqa: PLC0415 - loads boto3
    from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415 - loads boto3
    from mqtt443_tools.cloud.aws_backend import AwsBackend  # noqa: PLC0415 - loads boto3
    from mqtt443_tools.console.aws_source import event_of  # noqa: PLC0415 - loads boto3

    aws = open_aws(profile, region)
    log_group = AwsBackend(aws, stack, state).stack.outputs["LogGroup"]
    for at_s, line in every_line_since(aws, log_group, datetime.fromtimestamp(max(begin, 0), UTC)):
        yield event_of(at_s, line)


def _write(rows: Iterable[dict[str, Any]], fields: tuple[str, ...], *, as_csv: bool) -> None:
    if not as_csv:
        for row in rows:
            print(json.dumps(row))
        return
    rows = iter(rows)
    first = list(islice(rows, 1))  # what is wrong is said before anything is written
    writer = csv.DictWriter(sys.stdout, fields, extrasaction="ignore")
    writer.writeheader()
    for row in chain(first, rows):
        writer.writerow({name: _cell(value) for name, value in row.items()})


def _cell(value: object) -> object:
    """Return a value that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = float(match[1]) * UNITS_S[match[2]] if match else math.nan
    if not math.isfinite(seconds):
        raise UsageError(f"--since {text}: expected a number with s, m, h or d, such as 1h")
    return seconds
