"""The figures: what is measured, how often, and what it should be. How it is measured is `rig`'s and `programs/`'."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import Any

from bench.rig import Bench

RUNS = 3
RATE_MESSAGES = 20


@dataclass(frozen=True)
class Figure:
    """One row: `ours` and `umqtt` are medians of `runs` runs. `goal`: the most (or least) it should be, and whether."""

    name: str
    unit: str
    ours: float
    umqtt: float | None = None
    mqtt_as: str | None = None
    goal: str | None = None
    met: bool | None = None
    runs: int = 1
    all_runs: tuple[tuple[float, ...], ...] = ()

    @property
    def ratio(self) -> float | None:
        """How many times umqtt's figure is ours."""
        return self.umqtt / self.ours if self.umqtt and self.ours else None

    def to_json(self) -> dict[str, Any]:
        """Return the figure as it goes into the results."""
        return {**asdict(self), "ratio": self.ratio}


def wire(bench: Bench) -> list[Figure]:
    """TLS records and bytes of each packet, round trips up to the first PUBACK: counted, so the same each run."""
    figures = []
    for client in ("ours", "ours, wss", "ours, tls"):
        ours, peer = _packets(bench, client), _packets(bench, "umqtt")
        where = client.removeprefix("ours").removeprefix(", ") or "alpn"
        own = where != "wss"  # the upgrade and its frames cost what they cost
        figures += [
            _counted(f"CONNECT, {where}: records", "records", ours[0], peer[0], "8", most=1 if own else 2),
            _counted(f"CONNECT, {where}: wire", "bytes", ours[1], peer[1], None),
            _counted(f"QoS 0 publish, {where}: records", "records", ours[2], peer[2], "4", most=1),
            _counted(f"QoS 0 publish, {where}: wire", "bytes", ours[3], peer[3], "253", most=168 if own else None),
            _counted(f"QoS 1 publish, {where}: records", "records", ours[4], peer[4], "5", most=1),
            _counted(f"QoS 1 publish, {where}: wire", "bytes", ours[5], peer[5], "284", most=168 if own else None),
            _counted(f"start to first PUBACK, {where}", "round trips", ours[6], peer[6], None, most=5 if own else 6),
        ]
    return figures


def _packets(bench: Bench, client: str) -> list[int]:
    """Return records and bytes of CONNECT, of QoS 0, of QoS 1; then round trips."""
    counts = []
    for messages in (0, -1, 1):
        _, passage = bench.measure(client, "connect", messages, rtt_s=0)
        assert passage is not None
        counts.append((passage.up.data_records, sum(passage.up.sizes)))
    connect, qos0, qos1 = counts
    tcp = 1  # the relay sees what follows
    return [
        *connect,
        *(qos0[n] - connect[n] for n in (0, 1)),
        *(qos1[n] - connect[n] for n in (0, 1)),
        tcp + passage.turns,
    ]


def _counted(name: str, unit: str, ours: int, umqtt: int, mqtt_as: str | None, *, most: int | None = None) -> Figure:
    goal = None if most is None else f"<= {most}"
    return Figure(name, unit, ours, umqtt, mqtt_as, goal, None if most is None else ours <= most)


def round_trip(bench: Bench) -> list[Figure]:
    """Publish to PUBACK on loopback, QoS 1, nothing in between."""
    runs = _runs(lambda client: statistics.median(bench.measure(client, "round_trips", 100)[0]) / 1000)
    return [_timed("QoS 1 round trip on loopback", "ms", runs, "about 100 (its README)", most=0.3)]


def rate(bench: Bench) -> list[Figure]:
    """QoS 1 messages a second, over links with a round-trip time; each waits for its PUBACK before the next."""
    figures = []
    for rtt_ms in (0, 20, 100, 200):

        def a_second(client: str, rtt_ms: int = rtt_ms) -> float:
            took_ms, _ = bench.measure(client, "send", RATE_MESSAGES, rtt_s=rtt_ms / 1000 or 1e-6)
            return 1000 * RATE_MESSAGES / float(took_ms)

        figures.append(_timed(f"QoS 1 messages a second at {rtt_ms} ms", "1/s", _runs(a_second), "10"))
    return figures


def backlog(bench: Bench) -> list[Figure]:
    """A backlog of 1,000 readings, at no round-trip time, so that umqtt's does not take minutes."""
    ours = [float(bench.measure("ours", "send", 1000)[0]) / 1000 for _ in range(RUNS)]
    peer = float(bench.measure("umqtt", "send", 1000)[0]) / 1000
    middle = statistics.median(ours)
    return [
        Figure("backlog of 1,000 readings, loopback", "s", middle, peer, runs=RUNS, all_runs=(tuple(ours), (peer,)))
    ]


def memory(bench: Bench) -> list[Figure]:
    """Heap on the 32-bit interpreter: what a publish allocates, and what a connected client holds."""

    def of(client: str, task: str) -> int:
        return int(bench.measure(client, task, 60, interpreter="alpn32")[0])

    return [
        Figure("heap allocated by a QoS 1 publish", "bytes", of("ours", "allocate"), of("umqtt", "allocate")),
        Figure("heap held while connected, umqtt frozen", "bytes", of("ours", "hold"), of("umqtt", "hold")),
    ]


def _runs(measure: Any) -> tuple[tuple[float, ...], ...]:
    """Return the runs of ours and of umqtt, taken in turn so that a busy moment hits both."""
    pairs = [(measure("ours"), measure("umqtt")) for _ in range(RUNS)]
    return tuple(zip(*pairs, strict=True))


def _timed(
    name: str,
    unit: str,
    runs: tuple[tuple[float, ...], ...],
    mqtt_as: str | None,
    *,
    most: float | None = None,
) -> Figure:
    ours, umqtt = (statistics.median(run) for run in runs)
    goal = None if most is None else f"<= {most}"
    met = None if most is None else ours <= most
    return Figure(name, unit, ours, umqtt, mqtt_as, goal, met, len(runs[0]), runs)
