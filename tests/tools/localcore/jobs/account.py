"""An account with jobs, its device's requests and its control calls; the calls are checked against AWS's model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session  # type: ignore[import-untyped]
from botocore import validate, xform_name
from mqtt443_tools.localcore.jobs.iot_services import CONTROL_CALLS, IotServices
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE, open_jobs_database
from mqtt443_tools.localcore.jobs.streams import store_object
from mqtt443_tools.localcore.settings import Settings

from tests.support.mqtt.manual_clock import ManualClock

ARN = "arn:aws:iot:eu-west-1:123456789012"
MODELS = [botocore.session.get_session().get_service_model(name) for name in ("iot", "iot-data")]
SHAPES = {xform_name(name): model.operation_model(name) for model in MODELS for name in model.operation_names}
EVERYTHING = {"thresholdPercentage": 100.0, "minNumberOfExecutedThings": 10**6}


class Account:
    """The services without an endpoint around them."""

    def __init__(self, state: Path, clock: ManualClock | None = None, **settings: Any) -> None:
        self.state = state
        state.mkdir(mode=0o700, exist_ok=True)
        self.clock = clock or ManualClock()
        self.published: list[tuple[str, Any]] = []
        self.log: list[str] = []
        self.services = IotServices(Settings(state=state, **settings), self.clock, self._publish, self.log.append)
        self.services.start()

    def _publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, json.loads(payload)))

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Make a control call; request and answer are ones that AWS's service model allows."""
        assert operation in CONTROL_CALLS
        _check(parameters, SHAPES[operation].input_shape)
        answer = self.services.call(operation, parameters)
        _check(answer, SHAPES[operation].output_shape)
        return answer

    def ask(self, topic: str, request: object = None, thing: str = "dev-1") -> tuple[str, dict[str, Any]]:
        """Publish a request of a device; return the last level of the answer's topic, and the answer."""
        ((answered, payload),) = self.answers(topic, request, thing)
        full = f"$aws/things/{thing}/{topic}"
        assert answered.startswith(full)
        return answered.removeprefix(full).strip("/"), payload

    def answers(self, topic: str, request: object = None, thing: str = "dev-1") -> list[tuple[str, dict[str, Any]]]:
        """Publish a request of a device; return all answers."""
        payload = request if isinstance(request, bytes) else json.dumps(request or {}).encode()
        before = len(self.published)
        direct = self.services.request(f"$aws/things/{thing}/{topic}", payload)
        published = [each for each in self.published[before:] if f"{thing}/streams/" in each[0]]
        return [*((answered, json.loads(content)) for answered, content in direct), *published]

    def job(self, job_id: str = "job-1", *things: str, document: Any = None, **parameters: Any) -> None:
        """Create a job for Things, dev-1 if none is named."""
        for thing in things or ("dev-1",):
            self.call("create_thing", thingName=thing)
        targets = [f"{ARN}:thing/{thing}" for thing in things or ("dev-1",)]
        text = json.dumps({"mqtt443": 1, "action": "report"} if document is None else document)
        self.call("create_job", jobId=job_id, targets=targets, document=text, **parameters)

    def counts(self, job_id: str = "job-1") -> dict[str, int]:
        """Return the numbers of a job's Things that are not 0, by the middle of their names."""
        details = self.call("describe_job", jobId=job_id)["job"]["jobProcessDetails"]
        return {name[8:-6]: count for name, count in details.items() if count}

    def status(self, job_id: str = "job-1") -> str:
        """Return the status of a job."""
        return str(self.call("describe_job", jobId=job_id)["job"]["status"])

    def put(self, name: str, content: bytes) -> dict[str, str]:
        """Put an object into the emulated bucket; return its place."""
        database = open_jobs_database(self.state / JOBS_FILE)
        store_object(database, "bucket", name, content)
        database.close()
        return {"bucket": "bucket", "key": name}


def _check(values: dict[str, Any], shape: Any) -> None:
    if shape is None:
        assert values == {}
        return
    report = validate.ParamValidator().validate(values, shape)
    assert not report.has_errors(), report.generate_report()
    assert set(values) <= set(shape.members), values
