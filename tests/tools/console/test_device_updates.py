"""The progress of updates on the page: found with few calls, whatever the size of the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.console.device_updates import MAX_DESCRIBED, DeviceUpdates
from mqtt443_tools.localcore.jobs.service_errors import ServiceError

from tests.tools.localcore.jobs.account import Account


class Service:
    """The JobService of an account; counts its calls."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.calls: Counter[str] = Counter()

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[operation] += 1
        return self.account.call(operation, **parameters)

    def find(self, operation: str, **parameters: Any) -> dict[str, Any] | None:
        try:
            return self.call(operation, **parameters)
        except ServiceError as error:
            assert error.code == "ResourceNotFound"
            return None


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    account = Account(tmp_path / "state")
    yield Service(account)
    account.services.close()


@pytest.fixture
def updates(service: Service) -> DeviceUpdates:
    return DeviceUpdates(service)  # type: ignore[arg-type]  # the part of a JobService that is used


def report(service: Service, job: str, status: str, thing: str = "dev-1", **details: str) -> None:
    verdict, _ = service.account.ask(f"jobs/{job}/update", {"status": status, "statusDetails": details}, thing)
    assert verdict == "accepted"


def test_update_is_followed_from_waiting_to_its_end(service: Service, updates: DeviceUpdates) -> None:
    assert updates.look() == []
    service.account.job("update-1")
    (found,) = updates.look()
    assert (found["client_id"], found["job"], found["status"]) == ("dev-1", "update-1", "waiting")
    report(service, "update-1", "IN_PROGRESS", step="download", done="4096")
    (found,) = updates.look()
    assert (found["status"], found["step"], found["done"], found["running"]) == (
        "in progress",
        "download",
        "4096",
        True,
    )
    report(service, "update-1", "FAILED", reason="no space")
    (found,) = updates.look()
    assert (found["status"], found["reason"], found["running"]) == ("failed", "no space", False)
    service.account.job("update-2")
    assert [each["job"] for each in updates.look()] == ["update-2"]


def test_update_that_begins_and_ends_between_two_looks_is_on_the_card(service: Service, updates: DeviceUpdates) -> None:
    updates.look()
    service.account.job("update-1")
    report(service, "update-1", "FAILED", reason="no space")
    (found,) = updates.look()
    assert (found["job"], found["status"], found["reason"]) == ("update-1", "failed", "no space")
    service.account.clock.advance(5)
    service.account.job("update-2", "dev-1", "dev-2")
    report(service, "update-2", "SUCCEEDED", step="done")
    assert {each["client_id"]: (each["job"], each["status"]) for each in updates.look()} == {
        "dev-1": ("update-2", "done"),
        "dev-2": ("update-2", "waiting"),
    }, "the job goes on, though not for dev-1"


def test_first_look_finds_the_newest_update_of_each_device(service: Service, updates: DeviceUpdates) -> None:
    for job, status in (("update-1", "FAILED"), ("update-2", "SUCCEEDED"), ("update-3", "REJECTED")):
        service.account.job(job, *(("dev-1", "dev-2") if job == "update-1" else ("dev-1",)))
        for thing in ("dev-1", "dev-2") if job == "update-1" else ("dev-1",):
            report(service, job, status, thing)
        service.account.clock.advance(5)
    found = {each["client_id"]: (each["job"], each["status"]) for each in updates.look()}
    assert found == {"dev-1": ("update-3", "rejected"), "dev-2": ("update-1", "failed")}
    service.calls.clear()
    updates.look()
    assert service.calls == {"list_jobs": 2}, "what has ended is asked for once"


def test_running_update_is_shown_rather_than_one_that_has_ended(service: Service, updates: DeviceUpdates) -> None:
    service.account.job("update-1")
    service.account.job("update-2")
    report(service, "update-1", "SUCCEEDED")
    (found,) = updates.look()
    assert (found["job"], found["status"]) == ("update-2", "waiting")


def test_look_costs_two_calls_while_nothing_runs_and_none_for_what_has_not_changed(
    service: Service, updates: DeviceUpdates
) -> None:
    updates.look()
    assert service.calls == {"list_jobs": 2}
    service.account.job("update-1")
    updates.look()
    service.calls.clear()
    updates.look()
    assert service.calls == {"list_jobs": 2, "list_job_executions_for_job": 1}


def test_fleet_costs_a_bounded_number_of_calls_and_is_complete_in_the_end(
    service: Service, updates: DeviceUpdates
) -> None:
    things = [f"dev-{number}" for number in range(2 * MAX_DESCRIBED + 5)]
    service.account.job("update-1", *things)
    for _ in range(3):
        service.calls.clear()
        found = updates.look()
        assert service.calls["describe_job_execution"] <= MAX_DESCRIBED
    assert {each["client_id"] for each in found} == set(things)


def test_fleet_that_was_updated_between_two_looks_is_complete_in_the_end(
    service: Service, updates: DeviceUpdates
) -> None:
    things = [f"dev-{number}" for number in range(2 * MAX_DESCRIBED + 5)]
    service.account.job("update-1", *things)
    for thing in things:
        report(service, "update-1", "SUCCEEDED", thing)
    for _ in range(3):
        service.calls.clear()
        found = updates.look()
        assert service.calls["describe_job_execution"] <= MAX_DESCRIBED
    assert {each["client_id"]: each["status"] for each in found} == dict.fromkeys(things, "done")


def test_job_larger_than_a_page_shows_what_runs(
    service: Service, updates: DeviceUpdates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mqtt443_tools.console.device_updates.MAX_LISTED", 3)
    service.account.job("update-1", *(f"dev-{number}" for number in range(4)))
    report(service, "update-1", "IN_PROGRESS", "dev-3")
    found = updates.look()
    assert {each["client_id"]: each["status"] for each in found}["dev-3"] == "in progress"
    assert service.calls["list_job_executions_for_job"] == 3


def test_deleted_job_leaves_the_card(service: Service, updates: DeviceUpdates) -> None:
    service.account.job("update-1")
    assert updates.look() != []
    service.account.call("delete_job", jobId="update-1", force=True)
    assert updates.look() == []


def test_last_updates_of_a_device_with_what_it_reported(service: Service, updates: DeviceUpdates) -> None:
    assert updates.of_device("nobody") == []
    for job in ("update-1", "update-2"):
        service.account.job(job)
    report(service, "update-1", "REJECTED", reason="unknown action")
    assert [(each["job"], each["status"], each.get("reason")) for each in updates.of_device("dev-1")] == [
        ("update-2", "waiting", None),
        ("update-1", "rejected", "unknown action"),
    ]
