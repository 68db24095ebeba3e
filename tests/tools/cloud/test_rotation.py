"""Rotation over the air in an account: the calls fit AWS's service model, and the authorizer's log decides.

moto has no end of a job; it is emulated here, and each request and answer is held against botocore's model.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from mqtt443_authorizer.secret import match
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.cloud.aws_jobs import AwsJobs
from mqtt443_tools.device.registration import add_device
from mqtt443_tools.update.follow_job import BoardResult
from mqtt443_tools.update.rotation import Rotation

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.stubs import ACCOUNT, Refuse

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
START = 1_790_000_000
COUNTS = {"SUCCEEDED": "numberOfSucceededThings", "FAILED": "numberOfFailedThings"}


class Account:
    """Jobs that end at once with `status`, and an authorizer's log that shows a login from `seen_s` on."""

    def __init__(self, cloud: Cloud, status: str, seen_s: float) -> None:
        cloud.deploy()
        self._cloud = cloud
        self._status = status
        self._seen_s = seen_s
        self.secret = 0
        self.jobs: dict[str, dict[str, Any]] = {}
        self.documents: list[dict[str, Any]] = []
        self.busy = 0
        for operation in ("create_job", "describe_job", "list_job_executions_for_job", "delete_job"):
            cloud.answers.on("iot", operation, getattr(self, operation))
        cloud.answers.on("iot", "describe_job_execution", self.describe_job_execution)
        cloud.answers.on("logs", "filter_log_events", self.log)
        self.backend = AwsBackend(cloud.aws, STACK, cloud.state)
        self.old = add_device(self.backend.store, "sensor-1", now=START - 100).password

    def now(self) -> float:
        return START + self._cloud.patience.now_s

    def rotate(self) -> list[BoardResult]:
        pace = self._cloud.patience
        service = AwsJobs(self._cloud.aws, STACK)
        self.rotation = Rotation(
            self.backend, service, follow_s=60, now=self.now, clock=lambda: pace.now_s, sleep=pace.sleep
        )
        return list(self.rotation.run(["sensor-1"]))

    def fits(self, password: str) -> int | None:
        device = self.backend.store.by_client_id("sensor-1")
        assert device is not None
        return match(device.secrets, password.encode(), admit=True)

    def create_job(self, **request: Any) -> dict[str, Any]:
        self.jobs[request["jobId"]] = request
        self.documents.append(json.loads(request["document"]))
        return {}

    def describe_job(self, jobId: str) -> dict[str, Any]:
        if jobId not in self.jobs:
            raise Refuse("ResourceNotFoundException")
        return {"job": {"jobId": jobId, "status": "COMPLETED", "jobProcessDetails": {COUNTS[self._status]: 1}}}

    def list_job_executions_for_job(self, jobId: str) -> dict[str, Any]:
        assert jobId in self.jobs
        thing = f"arn:aws:iot:eu-west-1:{ACCOUNT}:thing/sensor-1"
        return {"executionSummaries": [{"thingArn": thing, "jobExecutionSummary": {"status": self._status}}]}

    def describe_job_execution(self, **_: str) -> dict[str, Any]:
        return {"execution": {"statusDetails": {"detailsMap": {"reason": "ClosedBeforeConnack"}}}}

    def delete_job(self, jobId: str, **_: bool) -> dict[str, Any]:
        if jobId not in self.jobs:
            raise Refuse("ResourceNotFoundException")
        if self.busy:
            self.busy -= 1
            raise Refuse("LimitExceededException", "ten jobs are being deleted")
        del self.jobs[jobId]
        return {}

    def log(self, **_: Any) -> dict[str, Any]:
        if self._cloud.patience.now_s < self._seen_s:
            return {"events": []}
        login = {"decision": "allow", "client_id": "sensor-1", "secret": self.secret}
        return {"events": [{"timestamp": (START + 10) * 1000, "message": json.dumps(login)}]}


def test_old_password_ends_when_the_log_shows_the_new_one(cloud: Cloud) -> None:
    account = Account(cloud, "SUCCEEDED", seen_s=30)
    account.busy = 2
    (row,) = account.rotate()
    assert (row.result, row.details) == ("done", "")
    assert cloud.patience.now_s >= 30
    ((action, new),) = [(document["action"], document["password"]) for document in account.documents]
    assert (action, account.fits(new), account.fits(account.old)) == ("password", 0, None)
    assert account.jobs == {}  # although AWS deleted other jobs at first
    assert account.rotation.not_deleted == []


def test_log_without_the_new_password_ends_none(cloud: Cloud) -> None:
    account = Account(cloud, "SUCCEEDED", seen_s=10_000)
    (row,) = account.rotate()
    assert row.result == "unclear"
    assert (account.fits(account.documents[0]["password"]), account.fits(account.old)) == (0, 1)
    cloud.patience.now_s = 10_000
    assert [each.result for each in account.rotate()] == ["done"]
    assert account.fits(account.old) is None
    assert len(account.documents) == 1


def test_failure_on_the_board_takes_the_new_password_back(cloud: Cloud) -> None:
    account = Account(cloud, "FAILED", seen_s=0)
    account.secret = 1
    (row,) = account.rotate()
    assert (row.result, row.details) == ("failed", "ClosedBeforeConnack")
    assert (account.fits(account.documents[0]["password"]), account.fits(account.old)) == (None, 0)
    assert account.jobs == {}


def test_job_that_aws_refuses_leaves_the_old_password(cloud: Cloud) -> None:
    account = Account(cloud, "SUCCEEDED", seen_s=0)
    cloud.answers.on("iot", "create_job", Refuse("LimitExceededException", "too many jobs"))
    with pytest.raises(Exception, match="too many jobs"):
        account.rotate()
    device = account.backend.store.by_client_id("sensor-1")
    assert device is not None
    assert (len(device.secrets), account.fits(account.old)) == (1, 0)


def test_passwords_used_within_one_second_prove_nothing(cloud: Cloud) -> None:
    account = Account(cloud, "SUCCEEDED", seen_s=0)
    account.rotate()
    device = account.backend.store.by_client_id("sensor-1")
    assert device is not None
    events = [
        {"timestamp": (START + 20) * 1000, "message": json.dumps({"decision": "allow", "secret": secret})}
        for secret in (0, 1)
    ]
    cloud.answers.on("logs", "filter_log_events", {"events": events})
    assert account.backend.last_login(device) is None
    cloud.answers.on("logs", "filter_log_events", {"events": events[:1]})
    assert account.backend.last_login(device) == (0, START + 20)
