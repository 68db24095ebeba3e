"""The progress of updates over the air, by device: from AWS IoT Jobs, in the cloud or in the local endpoint.

A look costs one call while no job runs. While jobs run, it costs two calls for each, and one for each execution that
has changed, within bounds: a fleet of any size makes the same number of calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from mqtt443_tools.update.follow_job import WORDS
from mqtt443_tools.update.job_service import JobService

MAX_JOBS = 5
MAX_LISTED = 100
MAX_DESCRIBED = 20
MAX_KNOWN = 1000
MAX_PAST = 10
RUNNING = ("QUEUED", "IN_PROGRESS")
DETAILS = ("step", "done", "reason", "version")
"""What a board reports (docs/updates.md)."""


class DeviceUpdates:
    """The last update of each device that had one since the first look.

    Args:
        service: AWS IoT Jobs.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._calls = 0

    def look(self) -> list[dict[str, Any]]:
        """Look at the jobs; return an update for each device: `client_id`, `job`, `status`, `at`, and `DETAILS`.

        Raises:
            CommandError: the service refuses or does not answer.
        """
        running = self._running()
        self._calls = 0
        for client_id, summary in running.items():
            known = self._known.get(client_id)
            if known is None or (known["job"], known["version_at"]) != (summary["job"], summary["version_at"]):
                self._learn(client_id, summary)
        for client_id, known in list(self._known.items()):
            if known["running"] and client_id not in running:
                self._learn(client_id, known)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return [_shown(client_id, each) for client_id, each in self._known.items()]

    def of_device(self, client_id: str) -> list[dict[str, Any]]:
        """Return the last updates of one device, the newest first, as `look` does.

        Raises:
            CommandError: the service refuses or does not answer.
        """
        found = self._service.find("list_job_executions_for_thing", thingName=client_id, maxResults=MAX_PAST)
        past = []
        for each in (found or {}).get("executionSummaries", ()):
            summary = _summary(each.get("jobId"), each.get("jobExecutionSummary", {}))
            past.append(_shown(client_id, {**summary, **self._details(client_id, summary["job"])}))
        return sorted(past, key=lambda each: float(each["at"] or 0), reverse=True)

    def _running(self) -> dict[str, dict[str, Any]]:
        """Return the executions that have not ended, by client id: of several, the one in progress, else the newest."""
        jobs = self._service.call("list_jobs", status="IN_PROGRESS", maxResults=MAX_JOBS).get("jobs", ())
        found: dict[str, dict[str, Any]] = {}
        for status in RUNNING:
            for job in reversed(jobs):
                page = self._service.find(
                    "list_job_executions_for_job", jobId=job["jobId"], status=status, maxResults=MAX_LISTED
                )
                for each in (page or {}).get("executionSummaries", ()):
                    client_id = str(each.get("thingArn", "")).partition(":thing/")[2]
                    found[client_id] = _summary(job["jobId"], each.get("jobExecutionSummary", {}))
        return found

    def _learn(self, client_id: str, summary: Mapping[str, Any]) -> None:
        """Ask for the details of an execution, if this look has calls left for it."""
        if self._calls >= MAX_DESCRIBED:
            return
        self._calls += 1
        found = self._execution(client_id, str(summary["job"]))
        if found is None:
            self._known.pop(client_id, None)  # the job has been deleted
            return
        self._known[client_id] = {**_summary(summary["job"], found), **_details_of(found)}
        self._known.move_to_end(client_id)

    def _details(self, client_id: str, job: str) -> dict[str, str]:
        return _details_of(self._execution(client_id, job) or {})

    def _execution(self, client_id: str, job: str) -> dict[str, Any] | None:
        found = self._service.find("describe_job_execution", jobId=job, thingName=client_id)
        return None if found is None else dict(found.get("execution", {}))


def _summary(job: object, execution: Mapping[str, Any]) -> dict[str, Any]:
    status = str(execution.get("status", ""))
    at = execution.get("lastUpdatedAt")
    return {
        "job": str(job),
        "status": WORDS.get(status, status.lower()),
        "running": status in RUNNING,
        "at": at.timestamp() if isinstance(at, datetime) else at,
        "version_at": (status, at),
    }


def _details_of(execution: Mapping[str, Any]) -> dict[str, str]:
    said = execution.get("statusDetails", {}).get("detailsMap", {})
    return {name: str(said[name]) for name in DETAILS if name in said}


def _shown(client_id: str, known: Mapping[str, Any]) -> dict[str, Any]:
    return {"client_id": client_id, **{name: value for name, value in known.items() if name != "version_at"}}
