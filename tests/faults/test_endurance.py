"""One board, faults of every kind one after another: no reading is lost, nothing hangs, and the heap is flat."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.registration import set_enabled
from mqtt443_tools.localcore.auth.account import DEVICES_FILE

from tests.faults.boards import PACE, REFUSED, TIMEOUT_S, WAIT_S, Rig, rig
from tests.faults.conftest import BOTH_VERSIONS, Form
from tests.support.mqtt.client import RawClient
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import UNHARMED, Direction, Fault, Harm, Treatment

KEEPALIVE_S = 60
# The log has a line each second, except during a wait, which has a deadline.
SILENCE_S = 1.5 * KEEPALIVE_S
# The classes of errors are made when they are first needed, in the short form some for the first time after half time.
SLACK_BYTES = 8192
STARVED_S = 120.0
QUIET_READINGS = 30

WIFI = {"ssid": "a network", "password": "its password"}
SENSORS = """
import gc

def read():
    gc.collect()
    return {"heap_bytes": gc.mem_alloc()}
"""

# The faults of one connection, repeated in an order that the seed decides: what the relay does while it connects, or
# after some records; or what happens around the board, while the relay only slows the link down.
WHILE_CONNECTING: tuple[Harm, ...] = ("reset", "close", "silence")
LATER: tuple[Harm, ...] = ("reset", "close", "silence", "deafen")
AROUND = ("cut after a stall", "silence of a slow link", "cut of a crawling link", "takeover", "refusal")
AROUND_WIFI = ("Wi-Fi gone", "Wi-Fi lying")
KINDS = (
    *(f"{harm} while connecting" for harm in WHILE_CONNECTING),
    *(f"{harm} later" for harm in LATER),
    *AROUND,
    *AROUND_WIFI,
)


class Course:
    """The faults of each connection; only the seed decides."""

    def __init__(self, form: Form, longest: int) -> None:
        self._form = form
        self._longest = longest
        self._deck: list[str] = []
        self.kinds: list[str] = []
        """Of the connections so far."""
        self.calm = False
        """Whether later connections are left alone."""
        self.blocked = False
        """Whether nothing passes on any connection."""

    def patience(self, n: int) -> int:
        """How many readings arrive before something happens around the n-th connection."""
        return self._form.random(f"patience {n}").randrange(8, self._longest)

    def treatment(self, n: int) -> Treatment:
        """The relay's, for the n-th connection."""
        if self.calm or self.blocked:
            self.kinds.append("")
            return UNHARMED if self.calm else Treatment(Fault("silence"))
        random = self._form.random(f"treatment {n}")
        if not self._deck:
            self._deck = random.sample(KINDS, len(KINDS))
        kind = self._deck.pop()
        self.kinds.append(kind)
        word, _, when = kind.partition(" ")
        harm = cast(Harm, word)
        ways: list[tuple[Direction, int]] = [("up", 700), ("down", 1200)]
        direction, last = random.choice(ways)
        match kind:
            case "cut after a stall":
                return Treatment(Fault("stall", direction, random.randrange(last), seconds=2 / PACE))
            case "silence of a slow link":
                # Shorter than the interval: a reading is told of once no other is on its way.
                return Treatment(rtt_s=random.choice([0.1, 0.4]) / PACE)
            case "cut of a crawling link":
                return Treatment(piece_bytes=random.choice([1, 7, 100]))
        if when == "while connecting":
            return Treatment(Fault(harm, direction, random.randrange(last)))
        if when == "later":
            return Treatment(Fault(harm, direction, random.randrange(3, self._longest), "data_records"))
        return UNHARMED


class Endurance:
    """The board's run through a course; `faults` counts what happened."""

    def __init__(self, running: Rig, course: Course, mqtt: str) -> None:
        self.running = running
        self.course = course
        self._refusal = REFUSED[mqtt]
        self._struck: Counter[str] = Counter()
        self._last = -1
        self._since = 0

    @property
    def arrived(self) -> int:
        """How many messages have arrived, duplicates included."""
        return len(self.running.core.messages)

    @property
    def faults(self) -> Counter[str]:
        met = Counter(
            kind
            for kind, passage in zip(tuple(self.course.kinds), tuple(self.running.relay.passages), strict=False)
            if passage.harmed and kind.endswith((" connecting", " later"))
        )
        return met + self._struck

    def run(self, readings: int, faults: int) -> None:
        """Continue until this number of readings has arrived and this number of faults has happened."""
        while self.arrived < readings or self.faults.total() < faults:
            self.running.core.next_message(STARVED_S)
            n = len(self.running.relay.passages) - 1
            if n != self._last:
                self._last, self._since = n, self.arrived
            kind = self.course.kinds[n] if n >= 0 else ""
            if kind in AROUND + AROUND_WIFI and self.arrived - self._since >= self.course.patience(n):
                self.strike(kind)
                self._struck[kind] += 1
                # The connection on which it happened has had its fault: whatever comes next is another one.
                self.wait(partial(self._connected_after, n), "a new connection")

    def _connected_after(self, n: int) -> bool:
        return len(self.running.relay.passages) > n + 1

    def strike(self, kind: str) -> None:
        """Cause it now."""
        running = self.running
        match kind:
            case "takeover":
                with RawClient(running.core) as twin:
                    assert twin.connect(running.client_id, running.password).code == 0
            case "refusal":
                store = SqliteStore(running.core.state / DEVICES_FILE)
                set_enabled(store, running.client_id, False)
                running.relay.strike("reset")
                self.wait_for_an(self._refusal)
                set_enabled(store, running.client_id, True)
            case "Wi-Fi gone":
                running.board.virtual.set_world(wifi_up=False)
                running.relay.strike("silence")
                self.wait_for_an("WifiError")
                running.board.virtual.set_world(wifi_up=True)
            case "Wi-Fi lying":
                self.course.blocked = True
                running.relay.strike("silence")
                self.wait_for_an("HandshakeTimeout")
                self.course.blocked = False
            case "silence of a slow link":
                running.relay.strike("silence")
            case _:
                running.relay.strike("reset")

    def wait_for_an(self, error: str) -> None:
        before = self.running.errors.count(error)
        self.wait(lambda: self.running.errors.count(error) > before, error)

    def wait(self, met: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + STARVED_S
        while not met():
            assert time.monotonic() < deadline, f"no {what}:\n" + "\n".join(self.running.board.lines[-100:])
            time.sleep(0.05)

    def rest(self) -> int:
        """Let all waiting readings through, then some new ones; return the heap in use afterwards."""
        self.course.calm = True
        self.running.relay.strike("reset")
        lines = self.running.board.lines
        before = len(lines)
        self.wait(
            lambda: sum("published" in line and "older" not in line for line in lines[before:]) > QUIET_READINGS,
            "PUBACKs",
        )
        messages = self.running.core.messages
        heap: int = min(json.loads(message.payload)["heap_bytes"] for message in messages[-QUIET_READINGS // 2 :])
        self.course.calm = False
        self.running.relay.strike("reset")
        return heap

    def longest_silence(self) -> tuple[float, str]:
        """The longest time between two lines of the log, in seconds of the board, and the line that ended it."""
        lines = [
            (float(at[1]), line) for line in self.running.board.lines if (at := re.match(r"\[ *(\d+\.\d+)\]", line))
        ]
        return max((b - a, line) for (a, _), (b, line) in itertools.pairwise(lines))


@BOTH_VERSIONS
@pytest.mark.timeout(3 * WAIT_S + STARVED_S)
def test_board_loses_nothing_hangs_nowhere_and_does_not_grow(
    tmp_path: Path, form: Form, mqtt: str, capsys: pytest.CaptureFixture[str]
) -> None:
    readings, faults = form.pick(150, 10_000), form.pick(len(KINDS), 200)
    course = Course(form, form.pick(20, 150))
    (tmp_path / "endurance").mkdir()
    (tmp_path / "endurance" / "sensors.py").write_text(SENSORS)
    began = time.monotonic()
    with (
        RunningCore(tmp_path / "state", publish_rate_per_s=0) as core,
        rig(
            core,
            tmp_path / "endurance",
            course.treatment,
            # The watchdog keeps the board's pace: it would bite where nothing is done for 120 s.
            world={"pace": PACE},
            wifi=WIFI,
            keepalive_s=KEEPALIVE_S,
            outbox_bytes=1048576,
            mqtt=mqtt,
        ) as running,
    ):
        run = Endurance(running, course, mqtt)
        run.run(readings // 2, faults // 2)
        before = run.rest()
        run.run(readings, faults)
        after = run.rest()
    took_s = time.monotonic() - began
    messages = [json.loads(message.payload) for message in core.messages]
    again, (silence_s, ended_by) = running.check_readings(), run.longest_silence()
    with capsys.disabled():
        print(
            f"\nseed {form.seed}: {len(set(running.arrived))} readings through {run.faults.total()} faults and "
            f"{len(running.relay.passages)} connections in {took_s:.0f} s: none lost, {again} came twice; "
            f"longest silence of the log {silence_s:.1f} s; heap in use {before} bytes at half time, {after} in the end"
            f"\n{ended_by[:100]}\n{dict(sorted(run.faults.items()))}\n{dict(Counter(running.errors))}"
        )
    assert not [message for message in messages if "dropped" in message.get("link", {})]
    assert run.faults.total() >= faults
    # Each fault repeats at most what was in flight: 8.
    assert again <= 8 * len(running.relay.passages)
    assert TIMEOUT_S <= silence_s <= SILENCE_S, "a board that never stopped waiting, or never waited"
    assert after <= before + form.pick(SLACK_BYTES, SLACK_BYTES // 8)
