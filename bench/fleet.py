"""A fleet after an outage, in simulated time: when its boards come back, by the way they wait between two attempts.

All boards lose their connection at the same moment and try again until an attempt falls behind the outage's end. Ours
wait as the board's own `mqtt443.backoff` says; beside them the waits of umqtt.robust, of mqtt_as, and an exponential
one without jitter. An attempt during the outage fails at once, as a refused connection does.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mqtt443.backoff import NETWORK_FIRST_MS, NETWORK_LAST_MS, STABLE_MS, Backoff

BOARDS = 1000
SPREAD_S = 0.1  # within which all boards notice that the connection is gone
OUTAGES_S = (0, 10, 300)
SEED = 443
MOST_PER_S = 500  # of ours in any second: the goal

Waits = Callable[[random.Random], Iterator[float]]


def ours(source: random.Random) -> Iterator[float]:
    """Waits of a board of ours whose connection was stable before, in seconds."""
    backoff = Backoff(source.randrange)
    yield backoff.delay_ms(False, STABLE_MS) / 1000
    while True:
        yield backoff.delay_ms(False) / 1000


def fixed(seconds: float) -> Waits:
    """The same wait each time."""

    def waits(_: random.Random) -> Iterator[float]:
        while True:
            yield seconds

    return waits


def exponential(_: random.Random) -> Iterator[float]:
    """Our ladder without its jitter."""
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
    """How a fleet came back. `arrivals`: connections in each second after the end of the outage."""

    arrivals: tuple[int, ...]
    attempts_in_vain: int
    peak_in_vain_per_s: int

    @property
    def peak_per_s(self) -> int:
        """The most connections in one second."""
        return max(self.arrivals)

    @property
    def most_per_s(self) -> int:
        """The most attempts in one second, in vain or not."""
        return max(self.peak_per_s, self.peak_in_vain_per_s)

    @property
    def all_back_s(self) -> int:
        """Seconds after the outage within which the last board was back."""
        return len(self.arrivals)


def simulate_all() -> dict[int, dict[str, Return]]:
    """Return how each fleet comes back from each outage."""
    return {outage_s: {name: simulate(waits, outage_s) for name, waits in STRATEGIES.items()} for outage_s in OUTAGES_S}


def simulate(waits: Waits, outage_s: float, boards: int = BOARDS, seed: int = SEED) -> Return:
    """Let a fleet of so many boards through an outage of so many seconds."""
    source = random.Random(seed)
    arrivals: Counter[int] = Counter()
    vain: Counter[int] = Counter()
    for _ in range(boards):
        at_s = source.uniform(0, SPREAD_S)
        for wait_s in waits(source):
            at_s += wait_s
            if at_s >= outage_s:
                break
            vain[int(at_s)] += 1
        arrivals[int(at_s - outage_s)] += 1
    curve = tuple(arrivals[second] for second in range(max(arrivals) + 1))
    return Return(curve, vain.total(), max(vain.values(), default=0))
