"""Tasks that use outbox and sender: all messages arrive, from RAM and from flash, packed into few records."""

from collections.abc import Iterator

import pytest

from bench.rig import Bench, Job, bench
from tests.support.board.interpreters import need

MESSAGES = 60


@pytest.fixture(scope="module")
def rig() -> Iterator[Bench]:
    need("alpn")
    with bench() as rig:
        yield rig


@pytest.mark.parametrize("task", ["backlog", "flash_backlog"])
def test_backlog_arrives_whole_in_fewer_records_than_messages(rig: Bench, task: str) -> None:
    run = rig.measure("ours", task, MESSAGES, rtt_s=0.05)
    assert run.fullest_second == MESSAGES
    connect = 1
    assert MESSAGES / 8 <= run.passage.up.data_records - connect < MESSAGES


def test_concurrent_jobs_are_counted_separately(rig: Bench) -> None:
    jobs = [Job("ours", "rate", 10, rtt_s=0.02), Job("umqtt", "rate", 5, rtt_s=0.02)]
    assert [run.fullest_second for run in rig.side_by_side(jobs)] == [18, 6]
