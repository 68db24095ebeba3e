"""The counts of a fleet: how often something was done, how fast, and why it failed. Tallies can be added."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

STEP = 1.02
"""Factor between two latency classes: percentiles are accurate to 2 %, and the size of a tally is bounded."""

LEAST_S = 1e-6
_CLASSES_PER_E = 1 / math.log(STEP)


@dataclass
class Tally:
    """Counts of one kind of work.

    Attributes:
        done: number of successes.
        errors: number of failures, by cause.
        latencies: number of successes, by latency class.
        per_s: number of successes in each second of the monotonic clock.
        first, last: monotonic seconds of the first start and of the last end; infinite if nothing was done.
    """

    done: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)
    per_s: Counter[int] = field(default_factory=Counter)
    first: float = math.inf
    last: float = -math.inf

    def add(self, began: float, ended: float) -> None:
        """Count a success; both times are seconds of the monotonic clock."""
        self.done += 1
        self.latencies[_class(ended - began)] += 1
        self.per_s[int(ended)] += 1
        self.first = min(self.first, began)
        self.last = max(self.last, ended)

    def fail(self, cause: str) -> None:
        """Count a failure."""
        self.errors[cause] += 1

    @property
    def failed(self) -> int:
        """Number of failures."""
        return self.errors.total()

    @property
    def seconds(self) -> float:
        """Seconds from the first start to the last end; 0 if nothing was done."""
        return max(0.0, self.last - self.first) if self.done else 0.0

    @property
    def rate(self) -> float:
        """Successes per second."""
        return self.done / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float | None:
        """Return the latency in milliseconds that `percent` (0..100) of all did not exceed, None if there is none."""
        wanted = math.ceil(self.latencies.total() * percent / 100)
        seen = 0
        for at in sorted(self.latencies):
            seen += self.latencies[at]
            if seen >= wanted:
                return LEAST_S * STEP**at * 1000
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the tally as JSON."""
        return {
            "done": self.done,
            "errors": dict(self.errors),
            "latencies": dict(self.latencies),
            "per_s": dict(self.per_s),
            "span": [self.first, self.last] if self.done else None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Tally:
        """Return the tally that `to_json` wrote."""
        span = value["span"] or (math.inf, -math.inf)
        return cls(
            value["done"],
            Counter(value["errors"]),
            Counter({int(at): count for at, count in value["latencies"].items()}),
            Counter({int(at): count for at, count in value["per_s"].items()}),
            *span,
        )


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    whole = Tally()
    for tally in tallies:
        whole.done += tally.done
        whole.errors += tally.errors
        whole.latencies += tally.latencies
        whole.per_s += tally.per_s
        whole.first = min(whole.first, tally.first)
        whole.last = max(whole.last, tally.last)
    return whole


def _class(seconds: float) -> int:
    return round(math.log(seconds / LEAST_S) * _CLASSES_PER_E) if seconds > LEAST_S else 0
