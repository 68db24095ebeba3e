"""A config with which no board can connect, sent by one command to 200 boards: it costs one of them a failed job."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.localcore.control.local_jobs import LocalJobs

from tests.e2e.test_update import update
from tests.support.mqtt.client import Got, RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore

BOARDS = 200


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[RunningCore]:
    """An endpoint whose minute of a rollout does not end before the test does."""
    with RunningCore(tmp_path / "state", job_minute_s=3600) as core:
        yield core


def reached(core: RunningCore, job_id: str) -> list[str]:
    """Return the boards that have the job, whatever became of it there."""
    found = LocalJobs(core.state).items("list_job_executions_for_job", "executionSummaries", jobId=job_id)
    return [each["thingArn"].partition(":thing/")[2] for each in found]


def ask(board: RawClient, topic: str, request: dict[str, Any]) -> Any:
    board.send(client_publish(topic, json.dumps(request).encode()))
    answer = board.receive()
    assert isinstance(answer, Got), answer
    assert answer.topic == f"{topic}/accepted", answer
    return json.loads(answer.payload)


def test_bad_config_for_200_boards_stops_at_the_first(endpoint: RunningCore) -> None:
    passwords = {name: endpoint.add_device(name) for name in (f"hall-{number}" for number in range(BOARDS))}
    begun = update(endpoint, "--all", "--config", "port=1", "--yes", "--follow", "0", "--json")
    assert begun.returncode == 0, begun.stderr
    job_id = json.loads(begun.stdout)["job"]
    (first,) = reached(endpoint, job_id)
    with RawClient(endpoint) as board:
        board.connect(first, passwords[first])
        base = f"$aws/things/{first}/jobs"
        execution = ask(board, f"{base}/start-next", {})["execution"]
        assert execution["jobDocument"] == {"mqtt443": 1, "action": "config", "set": {"port": 1}, "within_s": 50}
        ask(board, f"{base}/{job_id}/update", {"status": "FAILED", "statusDetails": {"reason": "no TCP connection"}})
    ended = update(endpoint, "--status", job_id, "--json")
    answer = json.loads(ended.stdout)
    assert (answer["status"], answer["boards"]) == (
        "CANCELED",
        [{"client_id": first, "result": "failed", "details": "no TCP connection"}],
    )
    assert reached(endpoint, job_id) == [first]
    assert ended.returncode == 1
    assert (
        f"job {job_id} was cancelled (the abort threshold was reached): the only board that had it failed"
        in ended.stderr
    )
