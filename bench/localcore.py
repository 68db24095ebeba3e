"""Benchmarks of the local endpoint, beside amqtt and mosquitto: connects, publishes, fan-out, idle sessions, memory.

The load is `mqtt443_tools.load`, on the same machine: its own time counts, for all brokers alike. Each run measures the
brokers one after the other, so that a machine that is busy for a while is busy for all of them.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from mqtt443_tools.load.fleet import Fleet, Stream
from mqtt443_tools.support.errors import CommandError

from bench import brokers
from bench.brokers import TOPIC, Broker

RUNS = 3
PUBLISHERS = 50
WINDOW = 20
PUBLISH_S = 2.0
PAYLOAD_BYTES = 100
CONNECTS = 200
AT_ONCE = 8  # as the first measurement of these brokers had it
MANY_AT_ONCE = 50  # of connects that are not what is measured, and of those with a slow authorizer
SUBSCRIBERS = 1000
MESSAGES = 30
IDLE = (1000, 5000, 10_000)
COMPARED_IDLE = 5000  # the most that every broker is measured with
CLIENTS = PUBLISHERS + max(IDLE)
TIMEOUT_S = 120.0
OURS = "localcore"


@dataclass(frozen=True)
class Comparison:
    """One row: what was measured, and the values of all runs by broker.

    Attributes:
        name: what was measured.
        unit: of the values.
        runs: by broker; the median counts.
        beside: the broker, or the row of localcore, that the goal is a ratio to; None for a goal on the value itself.
        goal: the least ratio or value; for `unit` KB or MB the most; None for no goal.
        base: the value that the ratio is to, if it is not a broker's in this row.
    """

    name: str
    unit: str
    runs: Mapping[str, tuple[float, ...]]
    beside: str | None = None
    goal: float | None = None
    base: float | None = None

    def median(self, broker: str) -> float | None:
        """Return a broker's median, None if it was not measured."""
        return statistics.median(self.runs[broker]) if self.runs.get(broker) else None

    @property
    def ratio(self) -> float | None:
        """Return what the goal is compared with."""
        ours = self.median(OURS)
        base = self.base if self.base is not None else self.median(self.beside) if self.beside is not None else 1.0
        return None if ours is None or not base else ours / base

    @property
    def verdict(self) -> str:
        """Return `met`, `MISSED`, `noise` (a run of ours met it, the median did not), or nothing without a goal."""
        if self.goal is None or self.ratio is None:
            return ""
        ours = self.median(OURS)
        assert ours  # a ratio has one
        best = self.ratio / ours * (min if self.unit in {"KB", "MB"} else max)(self.runs[OURS])
        if self._meets(self.ratio):
            return "met"
        return "noise" if self._meets(best) else "MISSED"

    @property
    def spread(self) -> str:
        """Return the least and the largest value of ours."""
        return f"{min(self.runs[OURS]):,.3g} to {max(self.runs[OURS]):,.3g}" if self.runs.get(OURS) else ""

    def _meets(self, value: float) -> bool:
        assert self.goal is not None  # the caller looked
        return value <= self.goal if self.unit in {"KB", "MB"} else value >= self.goal


Measure = Callable[[Broker], Awaitable[float]]


def localcore(say: Callable[[str], None]) -> list[Comparison]:
    """Measure everything. A broker that is not there is left out, after a line that says so."""
    return asyncio.run(_compare(say))


async def _compare(say: Callable[[str], None]) -> list[Comparison]:
    with ExitStack() as stack:
        running: dict[str, Broker] = {}
        for name, start in ((OURS, brokers.localcore), ("amqtt", brokers.amqtt), ("mosquitto", brokers.mosquitto)):
            try:
                running[name] = stack.enter_context(start(_folder(stack), CLIENTS))
            except CommandError as error:
                if name == OURS:
                    raise
                say(f"without {name}: {error}")
        rows = [
            Comparison(
                f"connects, {AT_ONCE} at once", "1/s", await _runs(running, connects, say, "connects"), "mosquitto", 2
            ),
            Comparison(
                "fan-out to 1,000 subscribers, QoS 0",
                "1/s",
                await _runs(running, fan_out, say, "fan-out"),
                None,
                30_000,
            ),
        ]
        slow = stack.enter_context(brokers.localcore(_folder(stack), CONNECTS, slow=True))
        values = await _runs({OURS: slow}, connects_of_many, say, "connects with a slow authorizer")
        rows.append(Comparison(f"connects, authorizer of 50 ms, {MANY_AT_ONCE} at once", "1/s", values))
        return rows + await _with_idle_sessions(running, say)


async def _with_idle_sessions(running: Mapping[str, Broker], say: Callable[[str], None]) -> list[Comparison]:
    name = "QoS 1 publishes"
    free = Comparison(f"{name}, no idle session", "1/s", await _runs(running, publishes, say, name), "amqtt", 3)
    rows = [free]
    before = running[OURS].rss_kb
    async with _Idle(running) as idle:
        for count in IDLE:
            compared = running if count <= COMPARED_IDLE else {OURS: running[OURS]}
            for broker in compared:
                say(f"{count:,} idle sessions: {broker}")
                await idle.grow(broker, count)
            values = await _runs(compared, publishes, say, f"{name} with {count:,} idle sessions")
            row = f"{name}, {count:,} idle sessions"
            rows.append(Comparison(row, "1/s", values, goal=0.9, base=free.median(OURS)))
        rss_kb = running[OURS].rss_kb
    most = max(IDLE)
    return [
        *rows,
        Comparison("memory of an idle client", "KB", {OURS: ((rss_kb - before) / most,)}, goal=60),
        Comparison(f"memory with {most:,} clients", "MB", {OURS: (rss_kb / 1000,)}, goal=1000),
    ]


async def connects(broker: Broker) -> float:
    """Return connects a second, CONNACK included."""
    return await _connects(broker, AT_ONCE)


async def connects_of_many(broker: Broker) -> float:
    """Return connects a second of a fleet that connects after an outage."""
    return await _connects(broker, MANY_AT_ONCE)


async def _connects(broker: Broker, at_once: int) -> float:
    async with Fleet(broker.target, broker.logins[:CONNECTS], timeout_s=TIMEOUT_S) as fleet:
        done = await fleet.connect(at_once)
        await fleet.disconnect()
    if done.failed:
        raise CommandError(f"connects failed: {dict(done.errors)}")
    return done.rate


async def publishes(broker: Broker) -> float:
    """Return QoS 1 publishes a second, PUBACK included."""
    async with Fleet(broker.target, broker.logins[:PUBLISHERS], timeout_s=TIMEOUT_S) as fleet:
        await fleet.connect(MANY_AT_ONCE)
        done = await fleet.saturate(seconds=PUBLISH_S, window=WINDOW, size=PAYLOAD_BYTES)
        await fleet.disconnect()
    return done.rate


async def fan_out(broker: Broker) -> float:
    """Return deliveries a second of messages that all subscribers get."""
    async with (
        Fleet(broker.target, broker.logins[:SUBSCRIBERS], timeout_s=TIMEOUT_S) as subscribers,
        Fleet(broker.target, [broker.publisher], 1, timeout_s=TIMEOUT_S) as publisher,
    ):
        await subscribers.connect(MANY_AT_ONCE)
        await subscribers.subscribe(TOPIC, qos=0)
        await publisher.connect(1)
        await subscribers.listen()
        stream = Stream(MESSAGES * 100, PAYLOAD_BYTES, qos=0, topics={broker.publisher.client_id: TOPIC})
        await publisher.publish([stream], seconds=0.01)
        heard = await subscribers.heard(MESSAGES, within_s=TIMEOUT_S)
        await subscribers.disconnect()
    return heard.rate


class _Idle:
    """Idle, subscribed sessions at several brokers, more and more of them."""

    def __init__(self, running: Mapping[str, Broker]) -> None:
        self._running = running
        self._fleets: list[Fleet] = []
        self._counts = dict.fromkeys(running, 0)

    async def __aenter__(self) -> _Idle:
        return self

    async def __aexit__(self, *_: object) -> None:
        for fleet in self._fleets:
            await fleet.__aexit__()

    async def grow(self, name: str, count: int) -> None:
        """Connect sessions until a broker has `count`. Raises CommandError if it does not take them all."""
        broker, first = self._running[name], PUBLISHERS + self._counts[name]
        logins = broker.logins[first : PUBLISHERS + count]
        fleet = await Fleet(broker.target, logins, timeout_s=TIMEOUT_S).__aenter__()
        self._fleets.append(fleet)
        done = await fleet.connect(MANY_AT_ONCE)
        subscribed = await fleet.subscribe("commands/{client_id}")
        if done.failed or subscribed.failed:
            raise CommandError(f"{name} with {count:,} sessions: {dict(done.errors + subscribed.errors)}")
        self._counts[name] = count


async def _runs(
    running: Mapping[str, Broker], measure: Measure, say: Callable[[str], None], what: str
) -> dict[str, tuple[float, ...]]:
    """Measure each broker RUNS times; one that fails is left out, after a line that says why."""
    values: dict[str, list[float]] = {name: [] for name in running}
    for run in range(RUNS):
        for name in list(values):
            say(f"{what}: {name}, run {run + 1} of {RUNS}")
            try:
                values[name].append(await measure(running[name]))
            except CommandError as error:
                say(f"{what}: without {name}: {error}")
                del values[name]
    return {name: tuple(each) for name, each in values.items()}


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mqtt443-bench-")))
