"""Runs the brokers that a benchmark of the local endpoint compares, and measures them repeatedly."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from mqtt443_tools.support.errors import CommandError

from bench import brokers
from bench.brokers import Broker
from bench.comparison import OURS, Comparison
from bench.machine import Usage

RUNS = 3

Measure = Callable[[Broker], Awaitable[float]]
Say = Callable[[str], None]


class Lab:
    """Brokers that run until the end of the block, and repeated measurements of them."""

    def __init__(self, say: Say, note: Say) -> None:
        self.say = say
        self.note = note
        self._stack = ExitStack()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ours(self, clients: int, *, slow: bool = False) -> Broker:
        """Start a localcore; see brokers.localcore. Raises CommandError."""
        return self._stack.enter_context(brokers.localcore(self._folder(), clients, slow=slow))

    def bare(self, clients: int) -> Broker:
        """Start the least that a broker can do; see brokers.bare. Raises CommandError."""
        return self._stack.enter_context(brokers.bare(self._folder(), clients))

    def all(self, clients: int) -> dict[str, Broker]:
        """Start every broker; one that is not there is left out, after a line that says so. Raises CommandError."""
        running = {OURS: self.ours(clients)}
        for name, start in (("amqtt", brokers.amqtt), ("mosquitto", brokers.mosquitto)):
            try:
                running[name] = self._stack.enter_context(start(self._folder(), clients))
            except CommandError as error:
                self.note(f"without {name}: {error}")
        return running

    async def row(
        self,
        name: str,
        running: Mapping[str, Broker],
        measure: Measure,
        beside: str | None = None,
        goal: float | None = None,
        *,
        unit: str = "1/s",
    ) -> Comparison:
        """Measure each broker RUNS times, and RUNS times more if noise hides whether the goal is met."""
        values: dict[str, tuple[float, ...]] = dict.fromkeys(running, ())
        before = Usage.now()
        for first in (1, RUNS + 1):
            await self._runs(name, running, measure, values, first)
            row = Comparison(name, unit, dict(values), beside, goal, Usage.now().others_since(before))
            if row.verdict != "noise":
                break
        return row

    async def _runs(
        self,
        name: str,
        running: Mapping[str, Broker],
        measure: Measure,
        values: dict[str, tuple[float, ...]],
        first: int,
    ) -> None:
        for run in range(first, first + RUNS):
            for broker in list(values):
                self.say(f"{name}: {broker}, run {run}")
                try:
                    values[broker] += (await measure(running[broker]),)
                except CommandError as error:
                    self.note(f"{name}: without {broker}: {error}")
                    del values[broker]

    def _folder(self) -> Path:
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="mqtt443-bench-")))
