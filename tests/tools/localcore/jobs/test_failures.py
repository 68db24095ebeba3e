"""What cannot be carried out: calls with members of a wrong type, and a database that fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from mqtt443_tools.localcore.jobs.iot_services import CONTROL_CALLS, RETRY_S
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import ARN, EVERYTHING, SHAPES, Account

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "9" * 5000,
    [],
    [1],
    ["x"],
    {},
    {"x": 1},
    {"x": {"y": []}},
)
ROLLOUT = {
    "maximumPerMinute": 5,
    "exponentialRate": {
        "baseRatePerMinute": 1, "incrementFactor": 2.0, "rateIncreaseCriteria": {"numberOfSucceededThings": 1},
    },
}  # fmt: skip
ABORT = {"criteriaList": [{"failureType": "FAILED", "action": "CANCEL", **EVERYTHING}]}
REQUEST: dict[str, Any] = {
    "thingName": "dev-1", "thingGroupName": "group", "jobId": "job-1", "targets": [f"{ARN}:thing/dev-1"],
    "document": "{}", "attributePayload": {"attributes": {"a": "b"}}, "jobExecutionsRolloutConfig": ROLLOUT,
    "abortConfig": ABORT, "timeoutConfig": {"inProgressTimeoutInMinutes": 5}, "streamId": "stream",
    "files": [{"fileId": 0, "s3Location": {"bucket": "bucket", "key": "file"}}], "roleArn": "r" * 20, "payload": "{}",
}  # fmt: skip
NEW = {"create_job": "jobId", "create_stream": "streamId"}


def changed(value: Any) -> Iterator[Any]:
    """Yield a value with one of its parts, or all of it, replaced by something odd."""
    yield from ODD
    if isinstance(value, dict):
        for key, part in value.items():
            yield from ({**value, key: other} for other in changed(part))
    elif isinstance(value, list):
        yield from ([other] for part in value for other in changed(part))


@contextmanager
def without(account: Account, table: str) -> Iterator[None]:
    """Let every use of a table fail while the block runs."""
    other = sqlite3.connect(account.state / JOBS_FILE, isolation_level=None)
    other.execute(f"ALTER TABLE {table} RENAME TO gone")
    yield
    other.execute(f"ALTER TABLE gone RENAME TO {table}")
    other.close()


@pytest.mark.parametrize("operation", CONTROL_CALLS)
def test_call_with_an_odd_member_is_carried_out_or_refused(account: Account, operation: str) -> None:
    account.put("file", b"x")
    account.job()
    account.call("create_thing_group", thingGroupName="group")
    members = SHAPES[operation].input_shape.members
    for name in members:
        for number, odd in enumerate(changed(REQUEST.get(name))):
            request = {key: value for key, value in REQUEST.items() if key in members}
            if operation in NEW:
                request[NEW[operation]] = f"{name}-{number}"
            try:
                account.services.call(operation, {**request, name: odd})
            except ServiceError as refused:
                assert refused.code != "InternalFailure", (name, odd, account.log)
    account.clock.advance(3600)
    assert account.log == []


def test_database_that_fails_rejects_requests_and_calls_and_the_log_says_why(account: Account) -> None:
    account.job()
    with without(account, "executions"):
        answered, answer = account.ask("jobs/get")
        assert (answered, answer["code"]) == ("rejected", "InternalError")
        with pytest.raises(ServiceError) as refused:
            account.services.call("list_job_executions_for_job", {"jobId": "job-1"})
        assert refused.value.exception == "InternalFailureException"
    with without(account, "streams"):
        ((_, answer),) = account.answers("streams/stream/describe/json")
        assert answer["o"] == "InternalError"
    assert [line.partition(": no such table")[0] for line in account.log] == [
        "$aws/things/dev-1/jobs/get",
        "list_job_executions_for_job",
        "$aws/things/dev-1/streams/stream",
    ]
    assert account.ask("jobs/get")[0] == "accepted"


def test_rollout_goes_on_once_the_database_works_again(account: Account) -> None:
    account.job("job-1", "dev-1", "dev-2", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    with without(account, "waiting"):
        account.clock.advance(60)
        assert len(account.log) == 1 and account.log[0].endswith(f"trying again in {RETRY_S:g} s")
    account.clock.advance(RETRY_S)
    assert account.counts() == {"Queued": 2}
