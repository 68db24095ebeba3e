"""Simulates how a fleet reconnects after an outage, with different ways of waiting between attempts.

All boards lose their connection at the same time and try again until an attempt succeeds after the end of the outage.
Our boards wait as the board's own `mqtt443.backoff` says. They are compared with the waits of umqtt.robust and of
mqtt_as, and with an exponential wait without jitter. An attempt during the outage fails at once, like a refused
connection.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mqtt443.backoff import NETWORK_FIRST_MS, NETWORK_LAST_MS, STABLE_MS, Backoff

BOARDS = 1000
SPREAD_S = 0.1  # time in which all boards notice that the connection is lost
OUTAGES_S = (0, 10, 300)
SEED = 443
MOST_PER_S = 500  # goal for our boards in any second

Waits = Callable[[random.Random], Iterator[float]]


def ours(source: random.Random) -> Iterator[float]:
    """Yield the waits of one of our boards in seconds, after a stable connection."""
    backoff = Backoff(source.randrange)
    yield backoff.delay_ms(False, STABLE_MS) / 1000
    while True:
        yield backoff.delay_ms(False) / 1000


def fixed(seconds: float) -> Waits:
    """Return waits that are always the same."""

    def waits(_: random.Random) -> Iterator[float]:
        while True:
            yield seconds

    return waits


def exponential(_: random.Random) -> Iterator[float]:
    """Yield our exponential waits without the jitter."""
    wait_ms = NETWORK_FIRST_MS
    while True:
        yield wait_ms / 1000
        wait_ms = min(wait_ms * 2, NETWORK_LAST_MS)


STRATEGIES: dict[str, Waits] = {
    "mqtt443 (full jitter)": ours,
    "fixed 2 s (umqtt.robust)": fixed(2),
    "fixed 1 s (mqtt_as)": fixed(1),
    "exponential without jitter": exponential,
}


@dataclass(frozen=True)
class Return:
    """How a fleet reconnected.

    Attributes:
        arrivals: connections in each second after the end of the outage.
        failed_attempts: attempts during the outage.
        peak_failed_per_s: the most of these in one second.
    """

    arrivals: tuple[int, ...]
    failed_attempts: int
    peak_failed_per_s: int

    @property
    def peak_per_s(self) -> int:
        """The most connections in one second."""
        return max(self.arrivals)

    @property
    def most_per_s(self) -> int:
        """The most attempts in one second, failed or not."""
        return max(self.peak_per_s, self.peak_failed_per_s)

    @property
    def all_back_s(self) -> int:
        """Seconds after the outage until the last board was connected."""
        return len(self.arrivals)


def simulate_all() -> dict[int, dict[str, Return]]:
    """Simulate every fleet after every outage."""
    return {outage_s: {name: simulate(waits, outage_s) for name, waits in STRATEGIES.items()} for outage_s in OUTAGES_S}


def simulate(waits: Waits, outage_s: float, boards: int = BOARDS, seed: int = SEED) -> Return:
    """Simulate one fleet after an outage of `outage_s` seconds."""
    source = random.Random(seed)
    arrivals: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    for _ in range(boards):
        at_s = source.uniform(0, SPREAD_S)
        for wait_s in waits(source):
            at_s += wait_s
            if at_s >= outage_s:
                break
            failed[int(at_s)] += 1
        arrivals[int(at_s - outage_s)] += 1
    curve = tuple(arrivals[second] for second in range(max(arrivals) + 1))
    return Return(curve, failed.total(), max(failed.values(), default=0))
