"""Follows a job until it has ended: yields counts while it runs, and a row for each board at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.update.job_service import JobService

COUNTS = {
    "numberOfQueuedThings": "waiting",
    "numberOfInProgressThings": "in progress",
    "numberOfSucceededThings": "done",
    "numberOfFailedThings": "failed",
    "numberOfRejectedThings": "rejected",
    "numberOfTimedOutThings": "timed out",
    "numberOfCanceledThings": "cancelled",
    "numberOfRemovedThings": "removed",
}
WORDS = {
    "QUEUED": "waiting",
    "IN_PROGRESS": "in progress",
    "SUCCEEDED": "done",
    "FAILED": "failed",
    "REJECTED": "rejected",
    "TIMED_OUT": "timed out",
    "CANCELED": "cancelled",
    "REMOVED": "removed",
}
BAD = {"failed", "rejected", "timed out"}
ENDED = {"COMPLETED", "CANCELED"}
MAX_EXPLAINED = 100
"""How many boards are asked for details: each costs a call."""


@dataclass(frozen=True)
class JobState:
    """A job at one moment.

    Attributes:
        status: `IN_PROGRESS`, `CANCELED`, `COMPLETED`, `DELETION_IN_PROGRESS` or `SCHEDULED`.
        counts: number of boards by status, if above 0.
        why: why it was cancelled, "" if it was not.
    """

    status: str
    counts: dict[str, int]
    why: str

    @property
    def has_ended(self) -> bool:
        """Whether no board is working on it and none will start."""
        return self.status in ENDED and not self.counts.get("in progress") and not self.counts.get("waiting")

    def line(self) -> str:
        """Return it as one line."""
        shown = ", ".join(f"{count} {word}" for word, count in self.counts.items()) or "no board has it yet"
        status = WORDS.get(self.status, self.status.lower().replace("_", " "))
        return f"{status}: {shown}"


@dataclass(frozen=True)
class BoardResult:
    """The result of the job on one board; `details` is the board's report, "" if it was not requested."""

    client_id: str
    result: str
    details: str


def job_state(service: JobService, job_id: str) -> JobState:
    """Return the state of a job. Raises CommandError, also if the job does not exist."""
    found = find_job(service, job_id)
    if found is None:
        raise CommandError(f"there is no job {job_id}: is it in another region or state folder, or was it deleted?")
    return found


def find_job(service: JobService, job_id: str) -> JobState | None:
    """Return the state of a job, None if it does not exist. Raises CommandError."""
    found = service.find("describe_job", jobId=job_id)
    if found is None:
        return None
    job = found["job"]
    details = job.get("jobProcessDetails", {})
    counts = {word: details[name] for name, word in COUNTS.items() if details.get(name)}
    why = job.get("comment") or job.get("reasonCode") or ""
    return JobState(str(job.get("status", "")), counts, str(why) if job.get("status") == "CANCELED" else "")


def follow(
    service: JobService,
    job_id: str,
    on_change: Callable[[JobState], None],
    *,
    timeout_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> JobState:
    """Follow a job until it has ended, or until the timeout; return its last state.

    Args:
        service: where it is.
        job_id: of the job.
        on_change: called with each new state.
        timeout_s: seconds to follow the job; None for no limit.
        clock: monotonic seconds.
        sleep: waits for seconds.

    Raises:
        CommandError: as `job_state`.
    """
    end = None if timeout_s is None else clock() + timeout_s
    seen = None
    while True:
        state = job_state(service, job_id)
        if state != seen:
            on_change(state)
            seen = state
        if state.has_ended or (end is not None and clock() >= end):
            return state
        sleep(service.poll_s)


def results(service: JobService, job_id: str) -> Iterator[BoardResult]:
    """Yield the result of the job on each of its boards, with the reason for failures."""
    explained = 0
    for execution in service.items("list_job_executions_for_job", "executionSummaries", jobId=job_id):
        client_id = str(execution.get("thingArn", "")).partition(":thing/")[2]
        word = WORDS.get(execution.get("jobExecutionSummary", {}).get("status"), "unknown")
        details = ""
        if word in BAD and explained < MAX_EXPLAINED:
            explained += 1
            details = _details(service, job_id, client_id)
        yield BoardResult(client_id, word, details)


def _details(service: JobService, job_id: str, client_id: str) -> str:
    found: dict[str, Any] = service.find("describe_job_execution", jobId=job_id, thingName=client_id) or {}
    reported = found.get("execution", {}).get("statusDetails", {}).get("detailsMap", {})
    reason = reported.get("reason")
    if reason:
        return str(reason)
    return ", ".join(f"{key}: {value}" for key, value in sorted(reported.items()))
