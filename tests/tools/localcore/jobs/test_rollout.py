"""Rollout, abort threshold, cancellation, and what outlives a restart of the endpoint."""

from __future__ import annotations

from typing import Any

import pytest
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import ARN, Account

FAST = {
    "maximumPerMinute": 1000,
    "exponentialRate": {
        "baseRatePerMinute": 1, "incrementFactor": 5.0, "rateIncreaseCriteria": {"numberOfSucceededThings": 1},
    },
}  # fmt: skip
ABORT = {
    "criteriaList": [
        {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 20.0, "minNumberOfExecutedThings": 1}
    ]
}


def fleet(account: Account, size: int) -> list[str]:
    things = [f"dev-{number}" for number in range(size)]
    account.call("create_thing_group", thingGroupName="fleet")
    for thing in things:
        account.call("create_thing", thingName=thing)
        account.call("add_thing_to_thing_group", thingGroupName="fleet", thingName=thing)
    return things


def end_all(account: Account, things: list[str], status: str) -> int:
    """End all executions that are queued; return how many those were."""
    ended = 0
    for thing in things:
        if "execution" in account.ask("jobs/start-next", {}, thing)[1]:
            account.ask("jobs/job-1/update", {"status": status}, thing)
            ended += 1
    return ended


def start(account: Account) -> None:
    account.call(
        "create_job",
        jobId="job-1",
        targets=[f"{ARN}:thinggroup/fleet"],
        document="{}",
        jobExecutionsRolloutConfig=FAST,
        abortConfig=ABORT,
    )


def test_rollout_begins_with_one_and_grows_with_each_success(account: Account) -> None:
    things = fleet(account, 200)
    start(account)
    batches = []
    for _ in range(6):
        batches.append(end_all(account, things, "SUCCEEDED"))
        account.clock.advance(60)
    assert batches[0] == 1
    assert batches[1] == 5
    assert sum(batches) == 200
    assert (account.status(), account.counts()) == ("COMPLETED", {"Succeeded": 200})


def test_first_failure_stops_the_rollout_to_200_boards(account: Account) -> None:
    things = fleet(account, 200)
    start(account)
    assert end_all(account, things, "FAILED") == 1
    account.clock.advance(3600)
    assert end_all(account, things, "FAILED") == 0
    assert (account.status(), account.counts()) == ("CANCELED", {"Failed": 1})


def test_abort_leaves_executions_in_progress_alone(account: Account) -> None:
    account.job("job-1", "dev-1", "dev-2", "dev-3", abortConfig=ABORT)
    account.ask("jobs/start-next", {}, "dev-1")
    account.ask("jobs/job-1/update", {"status": "REJECTED"}, "dev-2")
    assert account.counts() == {"Rejected": 1, "InProgress": 1, "Canceled": 1}
    assert account.published[-1] == (
        "$aws/things/dev-3/jobs/notify-next",
        {"timestamp": int(account.clock.time()), "execution": {}},
    )
    account.ask("jobs/job-1/update", {"status": "SUCCEEDED"}, "dev-1")
    assert account.counts() == {"Rejected": 1, "Succeeded": 1, "Canceled": 1}


def test_cancel_with_force_ends_executions_in_progress(account: Account) -> None:
    account.job("job-1", "dev-1", "dev-2")
    account.ask("jobs/start-next")
    account.call("cancel_job", jobId="job-1", comment="enough", force=True)
    assert account.counts() == {"Canceled": 2}
    job = account.call("describe_job", jobId="job-1")["job"]
    assert (job["status"], job["comment"], job["forceCanceled"]) == ("CANCELED", "enough", True)
    assert account.ask("jobs/job-1/update", {"status": "SUCCEEDED"})[1]["code"] == "InvalidStateTransition"


def test_deleted_job_leaves_nothing_and_its_devices_take_the_next_one(account: Account) -> None:
    account.job("job-1", "dev-1", "dev-2", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    account.job("job-2")
    with pytest.raises(ServiceError, match="cancel it first") as refused:
        account.call("delete_job", jobId="job-1")
    assert refused.value.exception == "InvalidStateTransitionException"
    account.call("delete_job", jobId="job-1", force=True)
    assert account.published[-1][1]["execution"]["jobId"] == "job-2"
    with pytest.raises(ServiceError, match="job-1 cannot be found"):
        account.call("describe_job", jobId="job-1")
    account.clock.advance(3600)
    assert account.ask("jobs/start-next", {}, "dev-2")[1].get("execution") is None
    account.ask("jobs/job-2/update", {"status": "SUCCEEDED"})
    account.call("delete_job", jobId="job-2")
    assert account.call("list_jobs")["jobs"] == []


def test_list_of_executions_comes_in_pages(account: Account) -> None:
    things = fleet(account, 7)
    account.call("create_job", jobId="job-1", targets=[f"{ARN}:thinggroup/fleet"], document="{}")
    found, token = [], None
    while True:
        more: dict[str, Any] = {} if token is None else {"nextToken": token}
        page = account.call("list_job_executions_for_job", jobId="job-1", maxResults=3, **more)
        found += [each["thingArn"].rpartition("/")[2] for each in page["executionSummaries"]]
        if (token := page.get("nextToken")) is None:
            break
    assert found == things


def test_rollout_and_timeouts_go_on_after_a_restart(account: Account) -> None:
    account.job("job-1", "dev-1", "dev-2", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    account.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    account.services.close()
    again = Account(account.state, account.clock)
    account.clock.advance(60)
    assert again.counts() == {"TimedOut": 1, "Queued": 1}
    again.services.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"jobId": "job-1"}, "ResourceAlreadyExists"),
        ({"document": "{"}, "InvalidRequest"),
        ({"document": "x" * 40_000}, "InvalidRequest"),
        ({"targets": []}, "InvalidRequest"),
        ({"targets": [f"{ARN}:thing/unknown"]}, "ResourceNotFound"),
        ({"targets": ["arn:aws:iot:us-east-1:1:thing/dev-1"]}, "InvalidRequest"),
        ({"targetSelection": "CONTINUOUS"}, "InvalidRequest"),
        ({"jobExecutionsRolloutConfig": {"maximumPerMinute": 0}}, "InvalidRequest"),
        ({"abortConfig": {"criteriaList": []}}, "InvalidRequest"),
        ({"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}, "InvalidRequest"),
    ],
)
def test_job_that_aws_would_refuse_is_refused(account: Account, changes: dict[str, object], code: str) -> None:
    account.job()
    request = {"jobId": "job-2", "targets": [f"{ARN}:thing/dev-1"], "document": "{}", **changes}
    with pytest.raises(ServiceError) as refused:
        account.services.call("create_job", request)
    assert refused.value.code == code
    assert len(account.call("list_jobs")["jobs"]) == 1


def test_unknown_call_is_refused(account: Account) -> None:
    with pytest.raises(ServiceError, match="no such call"):
        account.services.call("delete_everything", {})
