"""What the board loses, and what it reports about it."""

import json

import pytest
from mqtt443 import errors

from tests.firmware.app_world import LOST, World


def test_readings_continue_while_the_link_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.connects = [errors.ConnectFailed("x")] * 3
    world.run()
    assert world.when("reading") == [100, 10000, 20000, 30000, 40000, 50000]
    assert world.published == [json.dumps({"seq": seq}) for seq in range(1, 7)]
    assert len([line for line in world.lines if line.startswith("kept")]) == 4


def test_reading_in_flight_when_the_link_breaks_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=60)
    world.publishes = [LOST, LOST]
    world.run()
    assert world.published == ['{"seq": 1}'] * 3


def test_backlog_is_told_of_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 60, interval_s=10)
    world.connects = [errors.ConnectFailed("x")] * 3
    world.run()
    assert 'published {"seq": 4} and 3 older' in world.lines


def test_losses_and_reset_cause_are_in_the_next_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 20, interval_s=10, qos=1)
    world.cause = "watchdog"
    world.restored = {"dropped": 3, "expired": 2, "seq": 7, "refused": 1}
    world.discarded = 4
    world.run()
    counts = {"dropped": 3, "expired": 2, "refused": 1, "too_large": 4}
    assert world.links == [{**counts, "started": "watchdog"}, counts]
    assert world.published[0] == '{"seq": 8}'
