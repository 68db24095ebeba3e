"""Resets and deep sleep: when they come and what survives them."""

import pytest
from mqtt443 import errors

from tests.firmware.app_world import LOST, World


def test_chain_that_failed_so_often_resets_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 1000, reset_after=3)
    world.connects = [errors.ConnectFailed("no TCP connection")] * 9
    world.run()
    ((what, _, cause, counters, _),) = world.endings
    assert (what, counters["failures"], len(world.when("connect"))) == ("reset", 0, 3)
    assert cause.startswith("3 failures; ConnectFailed: no TCP connection")


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"reset_after": 0}, errors.ConnectFailed("x")), ({"reset_after": 3}, errors.ClosedBeforeConnack("x"))],
)
def test_no_reset_where_it_is_off_or_the_server_refuses(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, int], error: Exception
) -> None:
    world = World(monkeypatch, 3000, **changes)
    world.connects = [error] * 9
    world.run()
    assert world.endings == []
    assert len(world.when("connect")) > 5


def test_success_begins_the_count_of_failures_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200, reset_after=3, interval_s=60)
    failed = errors.ConnectFailed("x")
    world.connects = [failed, failed, None, failed]
    world.publishes = [LOST]
    assert world.run().endings == []


def test_failures_in_a_row_are_counted_before_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 200)
    world.connects = [errors.ConnectFailed("x")] * 4
    world.run()
    assert world.failures == [0, 1, 2, 3, 4]


def test_deep_sleep_starts_after_the_last_puback_until_the_next_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 100, deep_sleep=True, interval_s=60)
    world.publishes = [700]
    world.run()
    ((what, ms, counters),) = world.endings
    # 100 ms to connect, 700 to publish, half a second for commands.
    assert (what, ms, counters["seq"]) == ("sleep", 60_000 - 1300, 1)
    assert world.events[-1][1] == "disconnect"


def test_queued_command_runs_before_deep_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100, deep_sleep=True, commands=True)
    world.incoming = [(0, b'{"command": "send_now"}')]
    world.run()
    assert world.published == ['{"seq": 1}', '{"seq": 2}']
    assert "command send_now" in world.lines


def test_deep_sleep_after_a_failure_keeps_the_reading_and_the_backoff(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, 500, deep_sleep=True, interval_s=10)
    world.connects = [errors.ClosedBeforeConnack("no")]
    world.restored = {"failures": 1}
    world.run()
    ((what, ms, counters),) = world.endings
    assert (what, counters["failures"], world.when("reading")) == ("sleep", 2, [100])
    assert ms == 9900, "the next reading is not missed"
    assert counters["wait_s"] == 50, "the rest of 60 s, the second step of the ladder of refusals"


def test_board_that_sleeps_takes_every_reading_of_an_outage_and_keeps_the_backoff(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counters: dict[str, int] = {"failures": 1}
    attempts = []
    for wake in range(30):
        world = World(monkeypatch, 500, deep_sleep=True, interval_s=5)
        world.connects = [errors.ConnectFailed("no")]
        world.restored = counters
        world.run()
        ((what, ms, counters),) = world.endings
        assert (what, world.seq) == ("sleep", wake + 1)
        assert ms + world.ticks.now_ms == 5000, "each wake is for one reading, in its rhythm"
        if world.when("connect"):
            attempts.append(wake)
    # 10, 20, 40 and 60 s of backoff, in wakes of 5 s.
    assert attempts == [0, 2, 6, 14, 26]


def test_restart_comes_after_the_puback_of_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, 100, commands=True)
    world.incoming = [(0, b'{"command": "restart"}')]
    world.run()
    assert world.endings[0][:3] == ("reset", "", "command restart")
    assert world.events[-1][1] == "disconnect"
