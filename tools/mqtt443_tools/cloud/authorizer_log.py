"""The authorizer's log in CloudWatch: its last decisions, and when a device used which of its passwords.

The handler defines the lines (authorizer/mqtt443_authorizer/handler.py); here they are untrusted until parsed.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from mqtt443_tools.cloud.aws import Aws

MAX_EVENTS = 5000
WINDOWS = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))
ANY = "{ $.decision = * }"


def last(aws: Aws, log_group: str, *, now: datetime, count: int) -> list[dict[str, Any]]:
    """Return the newest decisions of the last day, oldest first; each with `at` in ISO 8601.

    Args:
        aws: account and region.
        log_group: the authorizer's.
        now: with a time zone.
        count: how many at most.
    """
    found: list[dict[str, Any]] = []
    for window in WINDOWS:  # CloudWatch reads forwards, and a day of a large fleet is long
        found = list(_decisions(aws, log_group, now - window, ANY))
        if len(found) >= count:
            break
    return found[-count:]


def last_uses(aws: Aws, log_group: str, client_id: str, since: datetime) -> dict[int, datetime]:
    """Return when each secret of a device last worked: 0 is the newest password, 1 the previous one.

    Args:
        aws: account and region.
        log_group: the authorizer's.
        client_id: the device's.
        since: when the newest password was made; earlier the numbers meant other passwords.
    """
    # A client id may hold whatever a JSON string can, except a wildcard of the pattern (mqtt443_authorizer.device).
    pattern = f'{{ $.decision = "allow" && $.client_id = {json.dumps(client_id, ensure_ascii=False)} }}'
    uses: dict[int, datetime] = {}
    for decision in _decisions(aws, log_group, since, pattern):
        index, at = decision.get("secret"), datetime.fromisoformat(decision["at"])
        if type(index) is int and at > uses.get(index, since):
            uses[index] = at
    return uses


def lines_since(aws: Aws, log_group: str, since: datetime) -> list[tuple[float, dict[str, Any]]]:
    """Return the decisions since a time, oldest first, each with its Unix seconds; MAX_EVENTS of them at most."""
    return list(_lines(aws, log_group, since, ANY))


def every_line_since(aws: Aws, log_group: str, since: datetime) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield all decisions since a time, as `lines_since` returns them, however many there are."""
    return _lines(aws, log_group, since, ANY, most=None)


def _decisions(aws: Aws, log_group: str, since: datetime, pattern: str) -> Iterator[dict[str, Any]]:
    for at_s, decision in _lines(aws, log_group, since, pattern):
        yield {**decision, "at": datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")}


def _lines(
    aws: Aws, log_group: str, since: datetime, pattern: str, *, most: int | None = MAX_EVENTS
) -> Iterator[tuple[float, dict[str, Any]]]:
    start_ms = int(since.timestamp() * 1000)
    events = aws.items(
        "logs", "filter_log_events", "events", logGroupName=log_group, startTime=start_ms, filterPattern=pattern
    )
    for event in islice(events, most):
        try:
            decision = json.loads(event["message"])
        except (ValueError, RecursionError):
            continue  # Lambda's own lines
        if isinstance(decision, dict) and "decision" in decision:
            yield event["timestamp"] / 1000, decision
