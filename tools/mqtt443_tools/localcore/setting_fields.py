"""The four kinds of field that `settings.Settings` is made of; their meaning is explained there."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

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


def choice(default: T, why: str, *choices: T, low: float | None = None) -> T:
    """Choose where AWS does not say."""
    return _field("undocumented", default, why, choices=choices, low=low)
