"""The four kinds of field that `settings.Settings` is made of; their meaning is explained there."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from mqtt443_tools.localcore.localcore_errors import SettingError

T = TypeVar("T")


def _field(
    kind: str,
    default: T,
    why: str,
    *,
    choices: tuple[object, ...] = (),
    low: float | None = None,
    high: float | None = None,
) -> T:
    metadata = {"kind": kind, "why": why, "choices": choices, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


def place(default: T, why: str) -> T:
    """Say where this endpoint lives."""
    return _field("place", default, why)


def limit(default: T, source: str, *, low: float = 0, high: float | None = None) -> T:
    """Set a quota that AWS documents."""
    return _field("limit", default, source, low=low, high=high)


def guard(default: T, why: str, *, low: float = 0) -> T:
    """Set a bound that protects this machine."""
    return _field("guard", default, why, low=low)


def choice(default: T, why: str, *others: T, low: float | None = None) -> T:
    """Choose a behaviour that AWS does not document; without `others`, any number from `low` up is valid."""
    return _field("undocumented", default, why, choices=(default, *others) if others else (), low=low)


def check_field(field: dataclasses.Field[Any], value: object) -> None:
    """Check that a value is among the choices, or in the range, of its field. Raises SettingError."""
    choices, low = field.metadata["choices"], field.metadata["low"]
    if choices and value not in choices:
        raise SettingError(f"{field.name}={value!r}: must be one of {', '.join(map(str, choices))}")
    if low is not None and (not isinstance(value, (int, float)) or value < low):
        raise SettingError(f"{field.name}={value!r}: must be a number, at least {low:g}")
    if (high := field.metadata["high"]) is not None and isinstance(value, (int, float)) and value > high:
        raise SettingError(f"{field.name}={value!r}: must be at most {high:g}")
    if field.name.endswith("port") and (not isinstance(value, int) or not 0 <= value <= 65535):
        raise SettingError(f"{field.name}={value!r}: must be a port, 0 to 65535")
