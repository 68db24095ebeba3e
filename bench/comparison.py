"""One figure of the local endpoint beside those of other brokers, and how its goal is judged."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from bench.machine import BUSY

OURS = "localcore"
NOISY = 1.2
"""Runs whose largest value is more than this times the least say more about the machine than about us."""

LESS_IS_BETTER = frozenset({"KB", "MB", "s", "%"})
NOT_OF_TIME = frozenset({"KB", "MB", "%"})


@dataclass(frozen=True)
class Comparison:
    """One row: what was measured, and the values of all runs by broker.

    Attributes:
        name: what was measured.
        unit: of the values; for those in LESS_IS_BETTER the goal is an upper limit, else a lower one.
        runs: by broker, in the order of the runs; the median counts.
        beside: the broker that the goal is a ratio to; None for a goal on the value itself.
        goal: a ratio or a value; None for no goal.
        others: share of the processors that other programs took during the runs, 0 to 1.
    """

    name: str
    unit: str
    runs: Mapping[str, tuple[float, ...]]
    beside: str | None = None
    goal: float | None = None
    others: float = 0.0

    def median(self, broker: str) -> float | None:
        """Return a broker's median, None if it was not measured."""
        return statistics.median(self.runs[broker]) if self.runs.get(broker) else None

    @property
    def judged(self) -> float | None:
        """What the goal is compared with: our median, or its ratio to the median of the other broker."""
        ours = self.median(OURS)
        base = 1.0 if self.beside is None else self.median(self.beside)
        return None if ours is None or not base else ours / base

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, `noise`, or nothing without a goal.

        `noise`: nothing follows from the median that missed it, because a run met it and the runs differ too much
        (NOISY), or because other programs took too much of the machine (BUSY). On a quiet machine, a goal that runs of
        about the same value miss is MISSED, even if one of them met it.
        """
        if self.goal is None or self.judged is None:
            return ""
        if self._meets(self.judged):
            return "met"
        if self.others > BUSY and self.unit not in NOT_OF_TIME:
            return "noise"
        each = self._each
        is_noisy = any(max(values) > NOISY * min(values) for values in (self.runs[OURS], each))
        return "noise" if is_noisy and any(map(self._meets, each)) else "MISSED"

    @property
    def spread(self) -> str:
        """The least and the largest value of ours, and of the ratio if the goal is one; what else ran."""
        if not self.runs.get(OURS):
            return ""
        return f"{self._values}{took_by_others(self.others)}"

    @property
    def _values(self) -> str:
        values = f"{number(min(self.runs[OURS]))} to {number(max(self.runs[OURS]))}"
        each = self._each
        return (
            values if self.beside is None or not each else f"{values}; ratio {number(min(each))} to {number(max(each))}"
        )

    @property
    def _each(self) -> tuple[float, ...]:
        """What each run alone would be judged by."""
        if self.beside is None:
            return self.runs[OURS]
        return tuple(ours / base for ours, base in zip(self.runs[OURS], self.runs.get(self.beside, ()), strict=False))

    def _meets(self, value: float) -> bool:
        assert self.goal is not None  # the caller looked
        return value <= self.goal if self.unit in LESS_IS_BETTER else value >= self.goal


def took_by_others(share: float) -> str:
    """Return what to add to the spread of runs that had too little of the machine; nothing if they had enough."""
    return f"; other programs took {share:.0%} of the processors" if share > BUSY else ""


def number(value: float | None) -> str:
    """Format a figure with three significant digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
