"""The lists of executions: by job and by Thing, a page at a time."""

from __future__ import annotations

import pytest
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import Account


def jobs_of(account: Account, thing: str = "dev-1", **parameters: object) -> list[str]:
    answer = account.call("list_job_executions_for_thing", thingName=thing, **parameters)
    return [each["jobId"] for each in answer["executionSummaries"]]


def test_executions_of_a_thing_come_with_the_newest_first(account: Account) -> None:
    for job in ("job-1", "job-2", "job-3"):
        account.job(job)
    account.job("other", "dev-2")
    account.ask("jobs/start-next")
    assert jobs_of(account) == ["job-3", "job-2", "job-1"]
    assert jobs_of(account, status="IN_PROGRESS") == ["job-1"]
    assert jobs_of(account, jobId="job-2") == ["job-2"]
    assert jobs_of(account, "dev-2") == ["other"]
    (started,) = account.call("list_job_executions_for_thing", thingName="dev-1", jobId="job-1")["executionSummaries"]
    assert {"queuedAt", "startedAt", "lastUpdatedAt"} <= set(started["jobExecutionSummary"])


def test_pages_of_a_thing_meet_without_a_gap(account: Account) -> None:
    for number in range(5):
        account.job(f"job-{number}")
    found: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = account.call("list_job_executions_for_thing", thingName="dev-1", maxResults=2, **more)
        found += [each["jobId"] for each in page["executionSummaries"]]
        if "nextToken" not in page:
            break
        more = {"nextToken": page["nextToken"]}
    assert found == [f"job-{number}" for number in reversed(range(5))]


def test_thing_that_does_not_exist_and_a_foreign_token_are_refused(account: Account) -> None:
    with pytest.raises(ServiceError, match="not found"):
        jobs_of(account, "nobody")
    account.job()
    for token in ("\u00b2", "9" * 20, "9" * 5000):
        with pytest.raises(ServiceError, match="nextToken"):
            jobs_of(account, nextToken=token)


def test_jobs_are_listed_by_status(account: Account) -> None:
    account.job("job-1")
    account.ask("jobs/job-1/update", {"status": "SUCCEEDED"})
    account.job("job-2")
    for status, expected in (("IN_PROGRESS", ["job-2"]), ("COMPLETED", ["job-1"])):
        assert [each["jobId"] for each in account.call("list_jobs", status=status)["jobs"]] == expected
