"""Benchmarks of the local endpoint, beside amqtt and mosquitto: connects, publishes, fan-out, idle sessions, floods.

The load is `mqtt443_tools.load`, on the same machine: its own time counts, for all brokers alike. Each run measures the
brokers one after the other, so that a machine that is busy for a while is busy for all of them.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from mqtt443_tools.load.fleet import Fleet, Stream
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.file_limit import raise_file_limit

from bench.brokers import TOPIC, Broker
from bench.comparison import OURS, Comparison
from bench.lab import Lab, Say

PUBLISHERS = 50
WINDOW = 20
PUBLISH_S = 2.0
PAYLOAD_BYTES = 100
CONNECTS = 200
AT_ONCE = 8  # as the first measurement of these brokers had it
MANY_AT_ONCE = 50  # of a fleet after an outage
SUBSCRIBERS = 1000
BURST = 30
FAN_OUT_S = 0.01  # in which a message, or a burst of them, is published
IDLE = (1000, 5000, 10_000)
COMPARED_IDLE = 5000  # the most that every broker is measured with
MOST_CLIENTS = max(IDLE)
OTHER_FILES = 200
TIMEOUT_S = 120.0
FREE = "localcore without sessions"
BARE = "bare TLS"
FLOOR_SHARE = 0.6  # of what TLS and the system calls allow, however fast the machine is
FLOOD_PER_S = 3000
GET_IN_S = 5.0
FLOOD_S = 1.8 * GET_IN_S  # the device comes after a third of it, so the flood lasts longer than it may take
FLOOD_REACHED = 0.9  # a machine that floods with less than this share of FLOOD_PER_S shows nothing
FLOOD_END_S = 30.0
SETTLE_S = 2.0


def localcore(only: str, say: Say, note: Say) -> list[Comparison]:
    """Measure the parts whose name contains `only`.

    Args:
        only: a part of a name in PARTS; "" or "localcore" for all.
        say: takes what is going on.
        note: takes what was left out, and why.

    Raises:
        CommandError: the local endpoint cannot be measured.
    """
    return [row for name, part in PARTS.items() if only in name for row in asyncio.run(part(Lab(say, note)))]


async def connect_rates(lab: Lab) -> list[Comparison]:
    """Measure connects, also with a slow authorizer."""
    with lab:
        running = lab.all(CONNECTS)
        slow = lab.ours(CONNECTS, slow=True)
        return [
            await lab.row(f"connects, {AT_ONCE} at once", running, connects, "mosquitto", 2),
            await lab.row(f"connects, {MANY_AT_ONCE} at once", running, connects_of_many),
            await lab.row(f"connects, authorizer of 50 ms, {MANY_AT_ONCE} at once", {OURS: slow}, connects_of_many),
        ]


async def fan_outs(lab: Lab) -> list[Comparison]:
    """Measure fan-out of one message, beside the least that a broker in Python can do, and of several at once."""
    name = f"fan-out to {SUBSCRIBERS:,} subscribers"
    with lab:
        running = lab.all(SUBSCRIBERS)
        one = await lab.row(f"{name}, one message", {**running, BARE: lab.bare(SUBSCRIBERS)}, fan_out, None, 30_000)
        burst = await lab.row(f"{name}, {BURST} messages", running, fan_out_of_burst)
    return [
        one,
        Comparison(f"{name}, one message, share of the floor", "1/s", one.runs, BARE, FLOOR_SHARE, one.others),
        burst,
    ]


async def idle_sessions(lab: Lab) -> list[Comparison]:
    """Measure publishes with a growing number of idle sessions, beside a localcore that has none, and memory."""
    most = min(MOST_CLIENTS, raise_file_limit() - OTHER_FILES)
    counts = [count for count in IDLE if count <= most]
    if most < MOST_CLIENTS:
        lab.note(f"without {MOST_CLIENTS:,} clients: `ulimit -Hn` allows {most:,} connections")
    name = "QoS 1 publishes"
    with lab:
        running = lab.all(PUBLISHERS + counts[-1])
        free = lab.ours(PUBLISHERS)
        rows = [await lab.row(f"{name}, no idle session", running, publishes, "amqtt", 3)]
        before_kb = running[OURS].rss_kb
        async with _Idle(running) as idle:
            for count in counts:
                compared = dict(running) if count <= COMPARED_IDLE else {OURS: running[OURS]}
                for broker in list(compared):
                    lab.say(f"{count:,} idle sessions: {broker}")
                    try:
                        await idle.grow(broker, count)
                    except CommandError as error:
                        if broker == OURS:
                            raise
                        lab.note(f"without {broker} from here on: {error}")
                        del running[broker], compared[broker]
                compared[FREE] = free
                rows.append(await lab.row(f"{name}, {count:,} idle sessions", compared, publishes, FREE, 0.9))
            used_kb = running[OURS].rss_kb
    each_kb = (used_kb - before_kb) / counts[-1]
    whole_mb = (before_kb + each_kb * MOST_CLIENTS) / 1000
    how = "" if counts[-1] == MOST_CLIENTS else f", extrapolated from {counts[-1]:,}"
    return [
        *rows,
        Comparison("memory of an idle client", "KB", {OURS: (each_kb,)}, goal=60),
        Comparison(f"memory with {MOST_CLIENTS:,} clients{how}", "MB", {OURS: (whole_mb,)}, goal=1000),
    ]


async def floods(lab: Lab) -> list[Comparison]:
    """Measure how long a device waits in a flood of half-open handshakes, and what memory the flood leaves."""
    memory: list[float] = []
    with lab:
        broker = lab.ours(PUBLISHERS)
        await publishes(broker)  # a first use takes memory of its own
        await asyncio.sleep(SETTLE_S)
        before_kb = broker.rss_kb

        async def get_in(broker: Broker) -> float:
            try:
                return await _connect_in_flood(broker)
            finally:
                await asyncio.sleep(SETTLE_S)
                memory.append((broker.rss_kb / before_kb - 1) * 100)

        name = f"{FLOOD_PER_S:,} half-open handshakes a second"
        waits = await lab.row(f"{name}: a device gets in", {OURS: broker}, get_in, goal=GET_IN_S, unit="s")
    return [waits, Comparison(f"{name}: memory afterwards", "%", {OURS: tuple(memory)}, goal=20)]


async def _connect_in_flood(broker: Broker) -> float:
    """Return how long a device takes to connect in the middle of a flood.

    Raises:
        CommandError: the machine is too slow for the flood, the device did not get in, or the flooder did not end.
    """
    order = ("-m", "bench.flooder", str(broker.target.port), str(FLOOD_PER_S), str(FLOOD_S))
    process = await asyncio.create_subprocess_exec(sys.executable, *order, stdout=asyncio.subprocess.PIPE)
    try:
        async with Fleet(broker.target, broker.logins[:1], timeout_s=TIMEOUT_S) as fleet:
            await asyncio.sleep(FLOOD_S / 3)
            began = time.monotonic()
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    while (await fleet.connect(1)).failed:  # a board would wait longer
                        pass
            except TimeoutError:
                raise CommandError(f"no device got in within {TIMEOUT_S:g} s of a flood") from None
            took = time.monotonic() - began
            await fleet.disconnect()
        try:
            async with asyncio.timeout(FLOOD_S + FLOOD_END_S):
                said, _ = await process.communicate()
        except TimeoutError:
            raise CommandError(f"the flooder did not end within {FLOOD_S + FLOOD_END_S:g} s") from None
        rate = float(said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if rate < FLOOD_REACHED * FLOOD_PER_S:
        raise CommandError(f"this machine opens {rate:,.0f} connections a second at most, not {FLOOD_PER_S:,}")
    return took


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
    """Return deliveries a second of one message at a time, so that none share a TLS record."""
    return await _fan_out(broker, 1, times=20)


async def fan_out_of_burst(broker: Broker) -> float:
    """Return deliveries a second of messages that are published together."""
    return await _fan_out(broker, BURST, times=1)


async def _fan_out(broker: Broker, messages: int, times: int) -> float:
    """Return the median of several fan-outs, each so short that a pause of the machine spoils it."""
    stream = Stream(messages / FAN_OUT_S, PAYLOAD_BYTES, qos=0, topics={broker.publisher.client_id: TOPIC})
    rates = []
    async with (
        Fleet(broker.target, broker.logins[:SUBSCRIBERS], timeout_s=TIMEOUT_S) as subscribers,
        Fleet(broker.target, [broker.publisher], 1, timeout_s=TIMEOUT_S) as publisher,
    ):
        await subscribers.connect(MANY_AT_ONCE)
        await subscribers.subscribe(TOPIC, qos=0)
        await publisher.connect(1)
        for _ in range(times):
            await subscribers.listen()
            await publisher.publish([stream], seconds=FAN_OUT_S)
            heard = await subscribers.heard(messages, within_s=TIMEOUT_S)
            if heard.done < messages * SUBSCRIBERS:
                raise CommandError(f"{messages * SUBSCRIBERS - heard.done:,} deliveries are missing")
            rates.append(heard.done / heard.seconds)
        await subscribers.disconnect()
    return statistics.median(rates)


class _Idle:
    """A growing number of idle, subscribed sessions at several brokers."""

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


PARTS: Mapping[str, Callable[[Lab], Coroutine[Any, Any, list[Comparison]]]] = {
    "localcore connects": connect_rates,
    "localcore fan-out": fan_outs,
    "localcore sessions": idle_sessions,
    "localcore flood": floods,
}
"""What `--only` can name."""
