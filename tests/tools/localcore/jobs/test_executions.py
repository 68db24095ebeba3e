"""Jobs as a device sees them, on the topics and in the words of the AWS IoT Developer Guide."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools.localcore.jobs.account import Account


def test_next_job_is_started_reported_and_ended(account: Account) -> None:
    account.job()
    assert account.published[-1][0] == "$aws/things/dev-1/jobs/notify-next"
    assert account.published[-1][1]["execution"]["jobId"] == "job-1"
    verdict, answer = account.ask("jobs/start-next", {"clientToken": "t1", "statusDetails": {"step": "begun"}})
    assert (verdict, answer["clientToken"]) == ("accepted", "t1")
    execution = answer["execution"]
    assert execution["jobDocument"] == {"mqtt443": 1, "action": "report"}
    assert (execution["status"], execution["statusDetails"]) == ("IN_PROGRESS", {"step": "begun"})
    assert (execution["versionNumber"], execution["executionNumber"]) == (2, 1)
    verdict, answer = account.ask(
        "jobs/job-1/update", {"status": "SUCCEEDED", "expectedVersion": "2", "includeJobExecutionState": True}
    )
    assert verdict == "accepted"
    assert answer["executionState"] == {
        "status": "SUCCEEDED", "statusDetails": {"step": "begun"}, "versionNumber": 3,
    }  # fmt: skip
    assert (account.status(), account.counts()) == ("COMPLETED", {"Succeeded": 1})
    assert account.published[-1][1]["execution"] == {}
    assert "execution" not in account.ask("jobs/start-next")[1]


def test_execution_in_progress_comes_before_queued_ones_and_keeps_its_details(account: Account) -> None:
    account.job("first")
    account.job("second")
    account.ask("jobs/start-next", {"statusDetails": {"step": "1"}})
    execution = account.ask("jobs/start-next", {"statusDetails": {"step": "2"}})[1]["execution"]
    assert (execution["jobId"], execution["statusDetails"]) == ("first", {"step": "1"})
    pending = account.ask("jobs/get")[1]
    assert [each["jobId"] for each in pending["inProgressJobs"]] == ["first"]
    assert [each["jobId"] for each in pending["queuedJobs"]] == ["second"]


def test_queued_execution_can_be_updated_without_a_start(account: Account) -> None:
    account.job()
    assert account.ask("jobs/job-1/update", {"status": "IN_PROGRESS", "statusDetails": {"a": "b"}})[0] == "accepted"
    execution = account.ask("jobs/$next/get", {"includeJobDocument": False})[1]["execution"]
    assert (execution["status"], execution["statusDetails"]) == ("IN_PROGRESS", {"a": "b"})
    assert "jobDocument" not in execution
    assert "startedAt" in execution


@pytest.mark.parametrize("version", [1, "1", 3, "3"])
def test_update_of_another_version_is_rejected_with_the_state(account: Account, version: object) -> None:
    account.job()
    account.ask("jobs/start-next")
    verdict, answer = account.ask("jobs/job-1/update", {"status": "SUCCEEDED", "expectedVersion": version})
    assert (verdict, answer["code"]) == ("rejected", "VersionMismatch")
    assert answer["executionState"]["versionNumber"] == 2


def test_ended_execution_cannot_change(account: Account) -> None:
    account.job()
    account.ask("jobs/job-1/update", {"status": "FAILED", "statusDetails": {"reason": "no"}})
    verdict, answer = account.ask("jobs/job-1/update", {"status": "SUCCEEDED"})
    assert (verdict, answer["code"]) == ("rejected", "InvalidStateTransition")
    assert answer["executionState"]["status"] == "FAILED"
    assert account.ask("jobs/job-1/get")[1]["code"] == "TerminalStateReached"


@pytest.mark.parametrize(
    ("topic", "request_", "code"),
    [
        ("jobs/none/get", {}, "ResourceNotFound"),
        ("jobs/none/update", {"status": "FAILED"}, "ResourceNotFound"),
        ("jobs/job-1/get", {"executionNumber": 2}, "ResourceNotFound"),
        ("jobs/job-1/update", {}, "InvalidRequest"),
        ("jobs/job-1/update", {"status": "QUEUED"}, "InvalidRequest"),
        ("jobs/job-1/update", {"status": "FAILED", "expectedVersion": "x"}, "InvalidRequest"),
        ("jobs/job-1/update", {"status": "FAILED", "statusDetails": {"a": 1}}, "InvalidRequest"),
        ("jobs/job-1/update", {"status": "FAILED", "statusDetails": {"a": "x" * 1025}}, "InvalidRequest"),
        ("jobs/start-next", {"stepTimeoutInMinutes": 0}, "InvalidRequest"),
        ("jobs/start-next", {"clientToken": "x" * 65}, "InvalidRequest"),
        ("jobs/start-next", b"{", "InvalidJson"),
        ("jobs/start-next", b"\xff", "InvalidJson"),
        ("jobs/start-next", b"[]", "InvalidRequest"),
        ("jobs/bogus", {}, "InvalidTopic"),
        ("jobs/job-1/bogus", {}, "InvalidTopic"),
    ],
)
def test_bad_request_is_rejected_with_its_code(account: Account, topic: str, request_: Any, code: str) -> None:
    account.job()
    verdict, answer = account.ask(topic, request_)
    assert (verdict, answer["code"]) == ("rejected", code)
    assert account.counts() == {"Queued": 1}


def test_time_in_progress_and_of_a_step_is_limited(account: Account) -> None:
    account.job("whole", timeoutConfig={"inProgressTimeoutInMinutes": 10})
    account.job("step")
    account.ask("jobs/start-next")
    account.clock.advance(599)
    assert account.counts("whole") == {"InProgress": 1}
    account.clock.advance(1)
    assert (account.counts("whole"), account.status("whole")) == ({"TimedOut": 1}, "COMPLETED")
    account.ask("jobs/start-next", {"stepTimeoutInMinutes": 1})
    account.clock.advance(30)
    account.ask("jobs/step/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": 2})
    account.clock.advance(119)
    assert account.counts("step") == {"InProgress": 1}
    account.ask("jobs/step/update", {"status": "IN_PROGRESS", "stepTimeoutInMinutes": -1})
    account.clock.advance(10**6)
    assert account.counts("step") == {"InProgress": 1}


def test_device_sees_only_its_own_jobs(account: Account) -> None:
    account.job("job-1", "dev-2")
    assert account.ask("jobs/start-next")[1].keys() == {"timestamp"}
    assert account.ask("jobs/job-1/update", {"status": "FAILED"})[1]["code"] == "ResourceNotFound"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(
    ["status", "statusDetails", "expectedVersion", "executionNumber", "clientToken", "stepTimeoutInMinutes",
     "includeJobDocument", "includeJobExecutionState", "f", "l", "o", "n", "b", "c", "s"]
)  # fmt: skip
topics = st.sampled_from(
    ["jobs/get", "jobs/start-next", "jobs/job-1/get", "jobs/job-1/update", "jobs/$next/get", "jobs/$next/update",
     "streams/s/describe/json", "streams/s/get/json"]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(topics, st.dictionaries(names, values, max_size=6) | values, st.binary(max_size=40))
def test_any_request_gets_one_answer_of_the_documented_form(
    account: Account, topic: str, request_: Any, raw: bytes
) -> None:
    account.call("create_thing", thingName="dev-1")
    for payload in (request_, raw):
        answers = account.answers(topic, payload)
        assert answers
        for answered, answer in answers:
            assert re.search(r"/(accepted|rejected|data/json|description/json|rejected/json)$", answered)
            if answered.endswith("rejected"):
                assert {"code", "message", "timestamp"} <= answer.keys()


def test_cost_of_a_request_does_not_grow_with_history(account: Account) -> None:
    def steps() -> int:
        count = 0

        def note() -> int:
            nonlocal count
            count += 1
            return 0

        account.services._database.set_progress_handler(note, 10)  # type: ignore[union-attr]
        account.ask("jobs/start-next")
        account.ask("jobs/get")
        account.services._database.set_progress_handler(None, 0)  # type: ignore[union-attr]
        return count

    account.job("now")
    few = steps()
    for number in range(100):
        account.job(f"old-{number}", "dev-2")
        account.ask(f"jobs/old-{number}/update", {"status": "SUCCEEDED"}, "dev-2")
    assert steps() <= 2 * few + 10
