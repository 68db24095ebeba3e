"""Backoff: full jitter, and two ladders that start over only after a stable connection."""

from mqtt443.backoff import STABLE_MS, Backoff


def longest(limit: int) -> int:
    return limit - 1


def test_network_faults_double_from_five_seconds_to_a_minute() -> None:
    backoff = Backoff(longest)
    assert [backoff.delay_ms(False) for _ in range(6)] == [5000, 10000, 20000, 40000, 60000, 60000]


def test_reconnect_waits_longer_after_refusal() -> None:
    backoff = Backoff(longest)
    waits = [backoff.delay_ms(True) for _ in range(7)]
    assert waits == [30000, 60000, 120000, 240000, 480000, 900000, 900000]


def test_jitter_is_full_above_the_one_second_that_aws_asks_for() -> None:
    asked: list[int] = []

    def lowest(limit: int) -> int:
        asked.append(limit)
        return 0

    assert Backoff(lowest).delay_ms(False) == 1000
    assert asked == [4001]


def test_short_connection_does_not_reset() -> None:
    backoff = Backoff(longest)
    backoff.delay_ms(False)
    assert backoff.delay_ms(False, STABLE_MS - 1) == 10000


def test_stable_connection_resets_both_ladders() -> None:
    backoff = Backoff(longest)
    for _ in range(3):
        backoff.delay_ms(True)
        backoff.delay_ms(False)
    assert backoff.delay_ms(False, STABLE_MS) == 5000
    assert backoff.delay_ms(True) == 30000


def test_ladders_climb_apart() -> None:
    backoff = Backoff(longest)
    for _ in range(5):
        backoff.delay_ms(False)
    assert backoff.delay_ms(True) == 30000
    assert backoff.delay_ms(False) == 60000
