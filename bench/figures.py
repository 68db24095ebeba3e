"""The figures: what is measured, how often, and the goals. `rig` and `programs/` do the measuring."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from bench.comparison import NOISY, took_by_others
from bench.machine import BUSY
from bench.rig import Bench, Job

T = TypeVar("T")

RUNS = 3
ROUND_TRIPS = 100
RTTS_MS = (0, 20, 100, 200)
WINDOWS = (8, 32)
PACE_PER_S = 100  # AWS General Reference, "AWS IoT Core protocol quotas"
PACED_MESSAGES = 300
UMQTT_MS = 44  # round trip of umqtt on loopback


@dataclass(frozen=True)
class Figure:
    """One row of the report.

    Attributes:
        name: what is measured.
        unit: of the values.
        ours: median of `runs` runs of mqtt443.
        umqtt: the same for umqtt.simple.
        mqtt_as: a published figure of mqtt_as, as text.
        goal: the limit for `ours`, such as "<= 5".
        met: whether `ours` meets the goal.
        runs: number of runs.
        all_runs: the values of all runs, of mqtt443 and of umqtt.
        more: whether a higher value is better.
        others: share of the processors that other programs took during the runs, 0 to 1.
    """

    name: str
    unit: str
    ours: float
    umqtt: float | None = None
    mqtt_as: str | None = None
    goal: str | None = None
    met: bool | None = None
    runs: int = 1
    all_runs: tuple[tuple[float, ...], ...] = ()
    more: bool = False
    others: float = 0.0

    @property
    def is_noise(self) -> bool:
        """Whether nothing follows from the median that missed the goal.

        Either a run met it and the runs differ too much (NOISY), or other programs took too much of the machine (BUSY).
        """
        if self.met is not False or self.goal is None or not self.all_runs:
            return False
        if self.others > BUSY:
            return True
        sign, limit = self.goal.split()
        ours = self.all_runs[0]
        if max(ours) <= NOISY * min(ours):
            return False
        return min(ours) <= float(limit) if sign == "<=" else max(ours) >= float(limit)

    @property
    def spread(self) -> str:
        """The least and the largest value of ours; what else ran."""
        if not self.all_runs:
            return ""
        return f"{min(self.all_runs[0]):.3g} to {max(self.all_runs[0]):.3g}{took_by_others(self.others)}"

    @property
    def ratio(self) -> float | None:
        """By which factor ours is better than umqtt's."""
        if not self.umqtt or not self.ours:
            return None
        return self.ours / self.umqtt if self.more else self.umqtt / self.ours

    def to_json(self) -> dict[str, Any]:
        """Return the figure in the form of the JSON report."""
        return {**asdict(self), "ratio": self.ratio}


def wire(bench: Bench) -> list[Figure]:
    """Count TLS records and bytes of each packet and the round trips to the first PUBACK; the same in every run."""
    figures = []
    for client in ("ours", "ours, wss", "ours, tls"):
        ours, peer = _packets(bench, client), _packets(bench, "umqtt")
        where = client.removeprefix("ours").removeprefix(", ") or "alpn"
        own = where != "wss"  # the upgrade and the frames add to it
        figures += [
            _counted(f"CONNECT, {where}: records", "records", ours[0], peer[0], "8", most=1 if own else 2),
            _counted(f"CONNECT, {where}: wire", "bytes", ours[1], peer[1], None),
            _counted(f"QoS 0 publish, {where}: records", "records", ours[2], peer[2], "4", most=1),
            _counted(f"QoS 0 publish, {where}: wire", "bytes", ours[3], peer[3], "253", most=140 if own else None),
            _counted(f"QoS 1 publish, {where}: records", "records", ours[4], peer[4], "5", most=1),
            _counted(f"QoS 1 publish, {where}: wire", "bytes", ours[5], peer[5], "284", most=140 if own else None),
            _counted(
                f"first QoS 1 publish of a connection, {where}: records", "records", ours[6], peer[6], "5", most=1
            ),
            _counted(f"first QoS 1 publish of a connection, {where}: wire", "bytes", ours[7], peer[7], "284"),
            _counted(f"start to first PUBACK, {where}", "round trips", ours[8], peer[8], None, most=5 if own else 6),
        ]
    return figures


def _packets(bench: Bench, client: str) -> list[int]:
    """Return records and bytes of CONNECT, of a QoS 0, a QoS 1 and the first QoS 1 publish, then the round trips."""
    counts, turns = {}, 0
    for messages in (0, -1, -2, 2, 1):
        passage = bench.measure(client, "connect", messages, rtt_s=0).passage
        counts[messages] = (passage.up.data_records, sum(passage.up.sizes))
        turns = passage.turns
    tcp = 1  # the relay counts only what follows
    return [
        *counts[0],
        # The first publish of a connection carries the topic, later ones its alias.
        *(counts[-2][n] - counts[-1][n] for n in (0, 1)),
        *(counts[2][n] - counts[1][n] for n in (0, 1)),
        *(counts[1][n] - counts[0][n] for n in (0, 1)),
        tcp + turns,
    ]


def _counted(
    name: str, unit: str, ours: int, umqtt: int | None, mqtt_as: str | None, *, most: int | None = None
) -> Figure:
    goal = None if most is None else f"<= {most}"
    return Figure(name, unit, ours, umqtt, mqtt_as, goal, None if most is None else ours <= most)


def round_trip(bench: Bench) -> list[Figure]:
    """Measure from publish to PUBACK on loopback, with QoS 1, one message at a time without pauses."""

    def median_ms(client: str) -> float:
        return float(statistics.median(bench.measure(client, "round_trips", ROUND_TRIPS).result)) / 1000

    *ours, umqtt = _columns([[median_ms(client) for client in ("ours", "ours, wss", "umqtt")] for _ in range(RUNS)])
    return [
        _timed(f"QoS 1 round trip on loopback, {where}", "ms", (took, umqtt), "about 100 (its README)", most=0.3)
        for where, took in zip(("alpn", "wss"), ours, strict=True)
    ]


def rate(bench: Bench) -> list[Figure]:
    """Measure QoS 1 messages per second on links with a round-trip time, with more to send than the link can carry.

    Ours respects AWS's limit; umqtt waits for each PUBACK.
    """
    figures = []
    fullest = 0
    for rtt_ms in RTTS_MS:
        jobs = []
        for client, window in (*(("ours", window) for window in WINDOWS), ("umqtt", 1)):
            # If the window (of umqtt: one message) limits the rate, a few windows are enough.
            limited = window * 1000 < PACE_PER_S * max(rtt_ms, UMQTT_MS if client == "umqtt" else 0)
            count = 20 * window if limited else PACED_MESSAGES
            jobs.append(Job(client, "rate", count, rtt_s=rtt_ms / 1000 or 1e-6, window=window))
        # umqtt runs at the same time as the larger window, because it uses almost no time.
        runs = [bench.side_by_side(jobs[:1]) + bench.side_by_side(jobs[1:]) for _ in range(RUNS)]
        *ours, umqtt = (
            tuple(1000 * job.count / run.result for run in row) for job, row in zip(jobs, _columns(runs), strict=True)
        )
        for window, mine in zip(WINDOWS, ours, strict=True):
            least = 95 if (rtt_ms, window) == (100, max(WINDOWS)) else None
            name = f"QoS 1 messages per second at {rtt_ms} ms, window {window}"
            figures.append(_timed(name, "1/s", (mine, umqtt), "10", least=least, more=True))
        fullest = max(fullest, *(run.fullest_second for row in runs for run in row))
    name = "publishes in the fullest second, as they arrived"
    return [*figures, _counted(name, "messages", fullest, None, None, most=PACE_PER_S)]


def backlog(bench: Bench) -> list[Figure]:
    """Measure the sending of 1,000 waiting readings; without a round-trip time, or umqtt would take minutes."""
    jobs = [Job(*of, 1000, rtt_s=0) for of in (("ours", "backlog"), ("ours", "flash_backlog"), ("umqtt", "backlog"))]
    first = bench.side_by_side(jobs)
    more = [bench.side_by_side(jobs[:2]) for _ in range(RUNS - 1)]
    umqtt = (first[2],)
    figures = []
    for where, ours in zip(("memory", "flash"), _columns([first[:2], *more]), strict=True):
        seconds = tuple(tuple(run.result / 1000 for run in runs) for runs in (ours, umqtt))
        figures.append(_timed(f"backlog of 1,000 readings in {where}, loopback", "s", seconds, None))
        records = tuple(tuple(float(run.passage.up.data_records) for run in runs) for runs in (ours, umqtt))
        figures.append(_timed(f"backlog of 1,000 readings in {where}: records", "records", records, None))
    return figures


def memory(bench: Bench) -> list[Figure]:
    """Measure the heap on the 32-bit interpreter that a publish allocates and that a connected client holds."""

    def of(client: str, task: str) -> int:
        return int(bench.measure(client, task, 60, interpreter="alpn32").result)

    publish = of("umqtt", "allocate")
    return [
        Figure("heap allocated by a QoS 1 publish", "bytes", of("ours", "allocate"), publish),
        Figure("heap allocated from outbox to PUBACK", "bytes", of("ours", "allocate_queued"), publish),
        Figure("heap held while connected, umqtt frozen", "bytes", of("ours", "hold"), of("umqtt", "hold")),
    ]


def _columns(rows: Sequence[Sequence[T]]) -> list[tuple[T, ...]]:
    return list(zip(*rows, strict=True))


def _timed(
    name: str,
    unit: str,
    runs: Sequence[tuple[float, ...]],
    mqtt_as: str | None,
    *,
    most: float | None = None,
    least: float | None = None,
    more: bool = False,
) -> Figure:
    """Return a figure with the medians of both runs."""
    ours, umqtt = (statistics.median(run) for run in runs)
    goal, met = None, None
    if most is not None:
        goal, met = f"<= {most}", ours <= most
    if least is not None:
        goal, met = f">= {least}", ours >= least
    return Figure(name, unit, ours, umqtt, mqtt_as, goal, met, len(runs[0]), tuple(runs), more)
