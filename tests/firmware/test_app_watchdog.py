"""What feeds the watchdog, and when a start counts as good."""

import itertools

import pytest
from mqtt443 import errors

from tests.firmware.app_world import World


def test_watchdog_is_fed_by_idle_seconds_readings_and_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 30, interval_s=20)
    world.connects = [errors.ConnectFailed("x")]
    world.run()
    assert max(b - a for a, b in itertools.pairwise([0, *world.fed, 30_000])) <= 1100


def test_watchdog_is_not_fed_while_an_answer_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 14, interval_s=60)
    world.deaf = True
    world.run()
    assert world.fed[-1] == 100, "a PUBACK that does not come is no progress"
    world = World(monkeypatch, 14, interval_s=60)
    world.pinged = True
    world.run()
    assert world.fed[-1] == 100, "nor is a PINGRESP"


def test_puback_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 30, interval_s=60, timeout_s=10)
    world.deaf = True
    world.run()
    assert any(line.startswith("PeerVanished: no answer within 10 s: PUBACK") for line in world.lines)
    assert world.when("close")[0] == 10_100


@pytest.mark.parametrize(("connects", "seconds"), [([], 1), ([errors.ConnectFailed("x")] * 9, 7)])
def test_board_is_healthy_once_it_is_connected_or_waits(
    monkeypatch: pytest.MonkeyPatch, connects: list[Exception], seconds: int
) -> None:
    world = World(monkeypatch, seconds)
    world.connects = list(connects)
    assert world.run().boots_marked == 1
