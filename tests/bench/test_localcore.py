"""How the figures of the local endpoint are judged: by the median, with noise told from a goal that is missed."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.load.tally import Tally
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.support.errors import CommandError

from bench import brokers, localcore
from bench.comparison import Comparison
from bench.figures import Figure


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ((290.0, 310.0, 320.0), "met"),
        ((200.0, 295.0, 320.0), "noise"),
        ((200.0, 250.0, 299.0), "MISSED"),
        ((290.0, 295.0, 310.0), "MISSED"),  # a run met it, but the runs agree
    ],
)
def test_ratio_to_another_broker_decides(ours: tuple[float, ...], verdict: str) -> None:
    row = Comparison("publishes", "1/s", {"localcore": ours, "amqtt": (100.0, 100.0, 100.0)}, "amqtt", 3)
    assert row.verdict == verdict


def test_spread_of_the_ratio_tells_noise_of_the_other_broker() -> None:
    row = Comparison("publishes", "1/s", {"localcore": (290.0,) * 3, "amqtt": (80.0, 100.0, 110.0)}, "amqtt", 3)
    assert row.verdict == "noise"
    assert row.spread == "290 to 290; ratio 2.64 to 3.62"


def test_memory_must_not_exceed_its_goal() -> None:
    assert Comparison("memory", "KB", {"localcore": (59.0,)}, goal=60).verdict == "met"
    assert Comparison("memory", "KB", {"localcore": (61.0,)}, goal=60).verdict == "MISSED"


def test_goal_beside_a_broker_that_is_not_there_is_not_judged() -> None:
    assert Comparison("publishes", "1/s", {"localcore": (1.0,)}, "amqtt", 3).verdict == ""


@pytest.mark.parametrize(
    ("goal", "runs", "is_noise"),
    [
        ("<= 0.3", (0.2, 0.4, 0.5), True),
        ("<= 0.3", (0.31, 0.4, 0.5), False),
        (">= 95", (70.0, 94.0, 96.0), True),
        (">= 95", (90.0, 94.0, 96.0), False),
    ],
)
def test_time_that_a_busy_machine_cost_is_called_noise(goal: str, runs: tuple[float, ...], is_noise: bool) -> None:
    figure = Figure("round trip", "ms", runs[1], goal=goal, met=False, all_runs=(runs,))
    assert figure.is_noise is is_noise


def test_missing_mosquitto_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(CommandError, match="mosquitto is not installed"), brokers.mosquitto(Path("unused"), 1):
        pass


class FakeFleet:
    """A fleet whose clients get in, or not; the flood itself is real."""

    def __init__(self, done: Tally) -> None:
        self._done = done

    def __call__(self, *_: Any, **__: Any) -> FakeFleet:
        return self

    async def __aenter__(self) -> FakeFleet:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing runs."""

    async def connect(self, _: int) -> Tally:
        await asyncio.sleep(0)
        return self._done

    async def disconnect(self) -> Tally:
        return Tally()


@pytest.mark.parametrize(
    ("done", "patience", "message"),
    [
        (Tally(errors=Counter({"no CONNACK": 1})), {"TIMEOUT_S": 0.05}, "no device got in within 0.05 s of a flood"),
        (Tally(done=1), {"FLOOD_END_S": 0.0}, "the flooder did not end within 0.05 s"),
    ],
)
def test_flood_that_does_not_come_to_an_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, done: Tally, patience: dict[str, float], message: str
) -> None:
    for name, seconds in {"FLOOD_S": 0.05, **patience}.items():
        monkeypatch.setattr(localcore, name, seconds)
    monkeypatch.setattr(localcore, "Fleet", FakeFleet(done))
    with socket.create_server(("127.0.0.1", 0)) as endpoint:
        target = Target("localhost", "127.0.0.1", endpoint.getsockname()[1], "")
        broker = brokers.Broker(target, [Login("d")], Login("p"), 0)
        with pytest.raises(CommandError, match=message):
            asyncio.run(localcore._connect_in_flood(broker))
