"""Reads the fields of a request from a device or a command: checks type and range, and names the field in errors."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from mqtt443_tools.localcore.jobs.service_errors import ServiceError, invalid

NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
"""A Thing or a Thing group (IoT API Reference)."""

JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
STREAM_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
DETAIL_KEY = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
MAX_DETAILS = 10
MAX_DETAIL_CHARACTERS = 1024
MAX_TOKEN_BYTES = 64


def load_json(text: str) -> Any:
    """Parse JSON that can be written again as JSON in UTF-8.

    Python's parser also takes NaN, numbers beyond a double, and halves of surrogate pairs. Raises ValueError, or
    RecursionError for deep nesting.
    """
    value = json.loads(text, parse_constant=_refuse_number, parse_float=_finite)
    compact_json(value)
    return value


def compact_json(value: Any) -> bytes:
    """Return a value as compact JSON. Raises ValueError for a value that is not JSON in UTF-8."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"a number of {len(text)} digits is beyond a double")
    return number


def parse_json(payload: bytes) -> dict[str, Any]:
    """Parse the payload of an MQTT request. Raises ServiceError."""
    try:
        request = load_json(payload.decode())
    except (ValueError, RecursionError):
        raise ServiceError("InvalidJson", "The request is not valid UTF-8-encoded JSON.") from None
    if not isinstance(request, dict):
        raise invalid("The request is not a JSON object.")
    return request


def text(request: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
    """Return a required string that matches a pattern as a whole. Raises ServiceError."""
    value = request.get(key)
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        raise invalid(f"{key}: must be text of the form {pattern.pattern if pattern else 'any'}")
    return value


def optional_text(request: Mapping[str, Any], key: str) -> str | None:
    """Return a text, None if it is absent. Raises ServiceError."""
    return None if request.get(key) is None else text(request, key)


def section(request: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return an object, an empty one if it is absent. Raises ServiceError."""
    value = request.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid(f"{key}: must be an object")
    return value


def whole(
    request: Mapping[str, Any], key: str, low: int, high: int, *, default: int | None = None, code: str | None = None
) -> int | None:
    """Return a whole number in a range, `default` if it is absent.

    Raises ServiceError, with `code` for a number that is out of range.
    """
    value = request.get(key)
    if value is None:
        return default
    if type(value) is not int:
        raise invalid(f"{key}: must be a whole number")
    if not low <= value <= high:
        raise ServiceError(code or "InvalidRequest", f"{key}: must be a whole number from {low} to {high}")
    return value


def flag(request: Mapping[str, Any], key: str, *, default: bool = False) -> bool:
    """Return a boolean, `default` if it is absent. Raises ServiceError."""
    value = request.get(key, default)
    if not isinstance(value, bool):
        raise invalid(f"{key}: must be true or false")
    return value


def details(request: Mapping[str, Any]) -> dict[str, str] | None:
    """Return `statusDetails`, None if absent: 10 pairs, with values of 1,024 characters. Raises ServiceError."""
    value = request.get("statusDetails")
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > MAX_DETAILS:
        raise invalid(f"statusDetails: must be an object of at most {MAX_DETAILS} pairs")
    for key, detail in value.items():
        if not DETAIL_KEY.fullmatch(key):
            raise invalid("statusDetails: a key is of the form [a-zA-Z0-9:_-]{1,128}")
        if not isinstance(detail, str) or not 0 < len(detail) <= MAX_DETAIL_CHARACTERS or not detail.isprintable():
            raise invalid(f"statusDetails: {key}: must be printable text of 1 to {MAX_DETAIL_CHARACTERS} characters")
    return value


def step_minutes(request: Mapping[str, Any]) -> int | None:
    """Return `stepTimeoutInMinutes`: 1 to 10,080, -1 to end the step timer, None if absent. Raises ServiceError."""
    if request.get("stepTimeoutInMinutes") == -1:
        return -1
    return whole(request, "stepTimeoutInMinutes", 1, 10_080)
