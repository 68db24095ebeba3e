"""The jobs client of the AWS IoT Device SDK against the local endpoint and its default policy."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from awscrt import mqtt5
from awscrt.mqtt_request_response import ClientOptions, SubscriptionStatusEventType
from awsiot import ServiceStreamOptions, V2ServiceException, iotjobs, mqtt5_client_builder
from mqtt443_tools.localcore.control.local_jobs import LocalJobs

from tests.support.mqtt.endpoint import RunningCore

THING, PASSWORD, WAIT_S = "dev-1", "p@ss word", 20.0
DOCUMENT = {"mqtt443": 1, "action": "report"}


@pytest.fixture
def service(core: RunningCore) -> LocalJobs:
    core.add_device(THING, password=PASSWORD)
    service = LocalJobs(core.state)
    service.call("create_thing", thingName=THING)
    return service


def create(service: LocalJobs, job_id: str) -> None:
    target = service.arn("thing", THING)
    service.call("create_job", jobId=job_id, targets=[target], document=json.dumps(DOCUMENT))


@pytest.fixture
def jobs(core: RunningCore, service: LocalJobs) -> Iterator[iotjobs.IotJobsClientV2]:
    connected: queue.Queue[Any] = queue.Queue()
    stopped: queue.Queue[Any] = queue.Queue()
    client = mqtt5_client_builder.websockets_with_custom_authorizer(
        endpoint=core.host,
        port=core.port,
        client_id=THING,
        ca_filepath=str(core.ca),
        auth_username=THING,
        auth_password=PASSWORD,
        on_lifecycle_connection_success=connected.put,
        on_lifecycle_stopped=stopped.put,
    )
    client.start()
    connected.get(timeout=WAIT_S)
    options = ClientOptions(max_request_response_subscriptions=8, max_streaming_subscriptions=2)
    yield iotjobs.IotJobsClientV2(client, options)
    client.stop(mqtt5.DisconnectPacket())
    stopped.get(timeout=WAIT_S)


def test_sdk_is_told_of_a_job_and_carries_it_out(jobs: iotjobs.IotJobsClientV2, service: LocalJobs) -> None:
    changes: queue.Queue[Any] = queue.Queue()
    ready: queue.Queue[Any] = queue.Queue()
    stream = jobs.create_next_job_execution_changed_stream(
        iotjobs.NextJobExecutionChangedSubscriptionRequest(thing_name=THING),
        ServiceStreamOptions(changes.put, lambda event: ready.put(event.type)),
    )
    stream.open()
    assert ready.get(timeout=WAIT_S) == SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
    create(service, "job-1")
    assert changes.get(timeout=WAIT_S).execution.job_document == DOCUMENT
    pending = jobs.get_pending_job_executions(iotjobs.GetPendingJobExecutionsRequest(thing_name=THING)).result(WAIT_S)
    assert [each.job_id for each in pending.queued_jobs] == ["job-1"]
    started = jobs.start_next_pending_job_execution(
        iotjobs.StartNextPendingJobExecutionRequest(thing_name=THING, status_details={"step": "one"})
    ).result(WAIT_S)
    execution = started.execution
    assert (execution.job_id, execution.status, execution.job_document) == ("job-1", "IN_PROGRESS", DOCUMENT)
    about = {"thing_name": THING, "job_id": "job-1"}
    updated = jobs.update_job_execution(
        iotjobs.UpdateJobExecutionRequest(
            **about,
            status="SUCCEEDED",
            expected_version=execution.version_number,
            status_details={"version": "1"},
            include_job_execution_state=True,
        )
    ).result(WAIT_S)
    assert (updated.execution_state.status, updated.execution_state.status_details) == ("SUCCEEDED", {"version": "1"})
    assert service.call("describe_job", jobId="job-1")["job"]["status"] == "COMPLETED"
    assert changes.get(timeout=WAIT_S).execution.job_id is None  # nothing else is pending


def test_sdk_gets_the_rejection_of_a_wrong_version(jobs: iotjobs.IotJobsClientV2, service: LocalJobs) -> None:
    create(service, "job-1")
    described = jobs.describe_job_execution(
        iotjobs.DescribeJobExecutionRequest(thing_name=THING, job_id="$next", include_job_document=True)
    ).result(WAIT_S)
    assert (described.execution.job_id, described.execution.job_document) == ("job-1", DOCUMENT)
    update = iotjobs.UpdateJobExecutionRequest(
        thing_name=THING, job_id="job-1", status="IN_PROGRESS", expected_version=7
    )
    with pytest.raises(V2ServiceException) as refused:
        jobs.update_job_execution(update).result(WAIT_S)
    assert refused.value.modeled_error.code == "VersionMismatch"
    missing = iotjobs.DescribeJobExecutionRequest(thing_name=THING, job_id="none")
    with pytest.raises(V2ServiceException) as refused:
        jobs.describe_job_execution(missing).result(WAIT_S)
    assert refused.value.modeled_error.code == "ResourceNotFound"
