"""The authorizer's log in CloudWatch: its last decisions, and when a device used which of its passwords.

What a line holds is the handler's business (authorizer/mqtt443_authorizer/handler.py); here it is hostile until parsed.
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
    """Give the newest decisions of the last day, the oldest first; each with `at` in ISO 8601.

    :param log_group: the authorizer's
    """
    found: list[dict[str, Any]] = []
    for window in WINDOWS:  # CloudWatch reads forwards, and a day of a large fleet is long
        found = list(_decisions(aws, log_group, now - window, ANY))
        if len(found) >= count:
            break
    return found[-count:]


def last_uses(aws: Aws, log_group: str, client_id: str, since: datetime) -> dict[int, datetime]:
    """Give when a device was last let in with which secret: 0 is the newest password, 1 the one before.

    :param since: when the newest password was made; before that the numbers meant others
    """
    # Client ids hold whatever JSON strings can, but no wildcard of the pattern (authorizer.device).
    pattern = f'{{ $.decision = "allow" && $.client_id = {json.dumps(client_id, ensure_ascii=False)} }}'
    uses: dict[int, datetime] = {}
    for decision in _decisions(aws, log_group, since, pattern):
        index, at = decision.get("secret"), datetime.fromisoformat(decision["at"])
        if type(index) is int and at > uses.get(index, since):
            uses[index] = at
    return uses


def _decisions(aws: Aws, log_group: str, since: datetime, pattern: str) -> Iterator[dict[str, Any]]:
    start_ms = int(since.timestamp() * 1000)
    events = aws.items(
        "logs", "filter_log_events", "events", logGroupName=log_group, startTime=start_ms, filterPattern=pattern
    )
    for event in islice(events, MAX_EVENTS):
        try:
            decision = json.loads(event["message"])
        except (ValueError, RecursionError):
            continue  # Lambda's own lines
        if isinstance(decision, dict) and "decision" in decision:
            at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
            yield {**decision, "at": at.isoformat(timespec="seconds")}
