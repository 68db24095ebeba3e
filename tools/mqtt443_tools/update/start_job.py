"""Starts a job: Things, stream, rollout and abort threshold. `follow_job` follows it."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.update.end_job import object_name
from mqtt443_tools.update.job_documents import Update
from mqtt443_tools.update.job_service import JobService

THING_NAME = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
MAX_TARGETS = 100
"""The most targets of one job (General Reference, "AWS IoT Device Management endpoints and quotas"); more need a
group."""
CALLS_AT_ONCE = 10


@dataclass(frozen=True)
class Rollout:
    """How fast a job reaches the boards, and when failures abort it.

    Attributes:
        per_minute: a constant rate, 1..1,000; None: one board first, and five times as many a minute with each success.
        abort_percent: the share of failures that cancels the job, above 0, up to 100.
        abort_after: the number of boards that must have ended before it can be cancelled, 1 or more.
        timeout_minutes: a board that has started must end within this time, 1..10,080.
    """

    per_minute: int | None = None
    abort_percent: float = 20.0
    abort_after: int = 1
    timeout_minutes: int = 60

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of CreateJob."""
        first = {
            "baseRatePerMinute": 1,
            "incrementFactor": 5.0,
            "rateIncreaseCriteria": {"numberOfSucceededThings": 1},
        }
        criterion = {
            "failureType": "ALL",
            "action": "CANCEL",
            "thresholdPercentage": self.abort_percent,
            "minNumberOfExecutedThings": self.abort_after,
        }
        return {
            "jobExecutionsRolloutConfig": (
                {"maximumPerMinute": 1000, "exponentialRate": first}
                if self.per_minute is None
                else {"maximumPerMinute": self.per_minute}
            ),
            "abortConfig": {"criteriaList": [criterion]},
            "timeoutConfig": {"inProgressTimeoutInMinutes": self.timeout_minutes},
        }


def check_targets(client_ids: Sequence[str]) -> None:
    """Check that each client id can be the name of a Thing. Raises UsageError."""
    for client_id in client_ids:
        if not THING_NAME.fullmatch(client_id):
            raise UsageError(
                f"{client_id}: jobs reach a Thing of this name, which has 1 to 128 of a-z, A-Z, 0-9, : _ -; "
                "this device cannot be updated over the air"
            )


def new_job_id(now: float) -> str:
    """Return a name for a job that sorts by time."""
    return f"update-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{secrets.token_hex(3)}"


def start_job(
    service: JobService,
    job_id: str,
    client_ids: Sequence[str],
    update: Update,
    rollout: Rollout,
    *,
    progress: Callable[[int, int], None],
) -> None:
    """Create the job with everything that it needs.

    Args:
        service: where.
        job_id: of the new job; its stream and group get the same name.
        client_ids: of the boards, checked by `check_targets`.
        update: what it asks the boards to do.
        rollout: how fast.
        progress: called with the number of prepared Things and of all.

    Raises:
        CommandError: a call failed; no board gets the job, and everything created so far is removed.
    """
    undo: list[Callable[[], object]] = []
    try:
        targets = _targets(service, job_id, client_ids, progress, undo)
        if update.needs_stream():
            _create_stream(service, job_id, update, undo)
        service.call(
            "create_job",
            jobId=job_id,
            targets=targets,
            document=update.document(job_id),
            description=f"mqtt443 {update.action}",
            targetSelection="SNAPSHOT",
            **rollout.parameters(),
        )
    except (CommandError, KeyboardInterrupt):
        for each in reversed(undo):
            each()
        raise


def _targets(
    service: JobService,
    job_id: str,
    client_ids: Sequence[str],
    progress: Callable[[int, int], None],
    undo: list[Callable[[], object]],
) -> list[str]:
    grouped = len(client_ids) > MAX_TARGETS
    if grouped:
        service.call("create_thing_group", thingGroupName=job_id)
        undo.append(lambda: service.find("delete_thing_group", thingGroupName=job_id))

    def prepare(client_id: str) -> str:
        if service.find("describe_thing", thingName=client_id) is None:
            service.call("create_thing", thingName=client_id)
        if grouped:
            service.call("add_thing_to_thing_group", thingGroupName=job_id, thingName=client_id)
        return service.arn("thing", client_id)

    arns = []
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        for arn in pool.map(prepare, client_ids):
            arns.append(arn)
            progress(len(arns), len(client_ids))
    return [service.arn("thinggroup", job_id)] if grouped else arns


def _create_stream(service: JobService, job_id: str, update: Update, undo: list[Callable[[], object]]) -> None:
    name = object_name(job_id)
    place = service.store(name, update.bundle)
    undo.append(lambda: service.discard(name))
    service.call(
        "create_stream",
        streamId=job_id,
        description=f"mqtt443 {update.action}",
        files=[{"fileId": 0, "s3Location": place}],
        roleArn=service.role_arn(),
    )
    undo.append(lambda: service.find("delete_stream", streamId=job_id))
