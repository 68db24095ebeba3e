"""How fast a job reaches its targets, and when failures abort it (Developer Guide, "How job configurations work")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mqtt443_tools.localcore.jobs.request_fields import section, whole
from mqtt443_tools.localcore.jobs.service_errors import invalid

MAX_PER_MINUTE = 1000
"""The quota "Job execution roll out rate", which is also the rate of a job without a rollout configuration."""

TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")
FAILURES = {
    "FAILED": ("FAILED",),
    "REJECTED": ("REJECTED",),
    "TIMED_OUT": ("TIMED_OUT",),
    "ALL": ("FAILED", "REJECTED", "TIMED_OUT"),
}


def check_rollout(rollout: Mapping[str, Any]) -> None:
    """Check a `jobExecutionsRolloutConfig`. Raises ServiceError."""
    whole(rollout, "maximumPerMinute", 1, MAX_PER_MINUTE)
    if rollout.get("exponentialRate") is None:
        return
    exponential = section(rollout, "exponentialRate")
    criteria = section(exponential, "rateIncreaseCriteria")
    if whole(exponential, "baseRatePerMinute", 1, MAX_PER_MINUTE) is None or not criteria:
        raise invalid("exponentialRate: must have baseRatePerMinute, incrementFactor and rateIncreaseCriteria")
    _check_number(exponential.get("incrementFactor"), "incrementFactor", 1.1, 5)
    names = [name for name in ("numberOfNotifiedThings", "numberOfSucceededThings") if criteria.get(name) is not None]
    if len(names) != 1:
        raise invalid("rateIncreaseCriteria: must be either numberOfNotifiedThings or numberOfSucceededThings")
    whole(criteria, names[0], 1, 2**31 - 1)


def check_abort(abort: Mapping[str, Any]) -> None:
    """Check an `abortConfig`. Raises ServiceError."""
    criteria = abort.get("criteriaList")
    if not isinstance(criteria, list) or not criteria:
        raise invalid("abortConfig: must have a criteriaList")
    for each in criteria:
        if (
            not isinstance(each, dict)
            or each.get("failureType") not in tuple(FAILURES)
            or each.get("action") != "CANCEL"
        ):
            raise invalid(f"criteriaList: failureType must be one of {', '.join(FAILURES)}, action CANCEL")
        _check_number(each.get("thresholdPercentage"), "thresholdPercentage", 0.01, 100)
        if whole(each, "minNumberOfExecutedThings", 1, 2**31 - 1) is None:
            raise invalid("criteriaList: minNumberOfExecutedThings is missing")


def rate_per_minute(rollout: Mapping[str, Any], counts: Mapping[str, int]) -> int:
    """Return how many targets are notified in the minute that begins now.

    The rate is multiplied by the increment factor each time the `rateIncreaseCriteria` are met again.
    """
    limit: int = rollout.get("maximumPerMinute") or MAX_PER_MINUTE
    exponential = rollout.get("exponentialRate")
    if exponential is None:
        return limit
    criteria = exponential["rateIncreaseCriteria"]
    if criteria.get("numberOfSucceededThings") is not None:
        steps = counts.get("SUCCEEDED", 0) // criteria["numberOfSucceededThings"]
    else:
        steps = sum(counts.values()) // criteria["numberOfNotifiedThings"]
    base, factor = exponential["baseRatePerMinute"], exponential["incrementFactor"]
    if steps * math.log(factor) >= math.log(limit):
        return limit
    return min(limit, int(base * factor**steps))


def aborts(abort: Mapping[str, Any], counts: Mapping[str, int]) -> bool:
    """Return whether a job's failures abort it.

    AWS speaks of "executed things" without a definition: here they are the executions that have ended.
    """
    ended = sum(counts.get(status, 0) for status in TERMINAL)
    for each in abort.get("criteriaList", ()):
        failed = sum(counts.get(status, 0) for status in FAILURES[each["failureType"]])
        if ended >= each["minNumberOfExecutedThings"] and failed * 100 >= each["thresholdPercentage"] * max(ended, 1):
            return True
    return False


def _check_number(value: object, name: str, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise invalid(f"{name}: must be a number from {low:g} to {high:g}")
