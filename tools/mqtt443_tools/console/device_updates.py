"""The progress of updates over the air, by device: from AWS IoT Jobs, in the cloud or in the local endpoint.

A look costs two calls while nothing happens. Each running job costs one more (three if it has more executions than fit
a page), each job that has just ended one, once, and each execution that has changed one. All of this has bounds: a
fleet of any size makes the same number of calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from mqtt443_tools.update.follow_job import ENDED, WORDS
from mqtt443_tools.update.job_service import JobService

MAX_JOBS = 5
MAX_LAST_JOBS = 10
MAX_LISTED = 100
MAX_DESCRIBED = 20
MAX_KNOWN = 1000
MAX_PAST = 10
RUNNING = ("QUEUED", "IN_PROGRESS")
DETAILS = ("step", "done", "reason", "version")
"""What a board reports (docs/updates.md)."""
Summary = dict[str, Any]
"""An execution: `job`, `status` in words, `running`, `at`, `version_at` and, once it has been described, `DETAILS`."""


class DeviceUpdates:
    """The last update of each device, as far as the last jobs tell.

    Args:
        service: AWS IoT Jobs.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._known: OrderedDict[str, Summary] = OrderedDict()
        self._ended: OrderedDict[str, Summary] = OrderedDict()
        """The executions that have ended and that no call has described yet."""
        self._listed: set[tuple[object, object]] = set()
        """The last jobs that have ended and whose executions have been listed."""
        self._calls = 0

    def look(self) -> list[dict[str, Any]]:
        """Look at the jobs; return an update for each device: `client_id`, `job`, `status`, `at`, and `DETAILS`.

        Raises:
            CommandError: the service refuses or does not answer.
        """
        running = self._list()
        self._calls = 0
        for client_id, summary in running.items():
            known = self._known.get(client_id)
            if known is None or (known["job"], known["version_at"]) != (summary["job"], summary["version_at"]):
                self._learn(client_id, summary)
        for client_id, known in list(self._known.items()):
            if known["running"] and client_id not in running:
                self._learn(client_id, known)
        self._learn_ended(running)
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

    def _list(self) -> dict[str, Summary]:
        """Return the executions that have not ended, by client id: of several, the one in progress, else the newest.

        Those that have ended are added to `_ended`.
        """
        jobs = self._service.call("list_jobs", status="IN_PROGRESS", maxResults=MAX_JOBS).get("jobs", ())
        last = self._service.call("list_jobs", maxResults=MAX_LAST_JOBS).get("jobs", ())
        ended = {(job["jobId"], job.get("createdAt")): job["jobId"] for job in last if job.get("status") in ENDED}
        waiting: dict[str, Summary] = {}
        in_progress: dict[str, Summary] = {}
        for job in [*(ended[key] for key in reversed(ended) if key not in self._listed), *_ids(reversed(jobs))]:
            for client_id, summary in self._executions(job):
                if summary["running"]:
                    (in_progress if summary["version_at"][0] == "IN_PROGRESS" else waiting)[client_id] = summary
                elif _is_newer(summary, self._ended.get(client_id)):
                    self._ended[client_id] = summary
        self._listed = set(ended)
        while len(self._ended) > MAX_KNOWN:
            self._ended.popitem(last=False)
        return waiting | in_progress

    def _executions(self, job: str) -> Iterator[tuple[str, Summary]]:
        """Yield a page of a job's executions; if there are more, also a page of those that have not ended."""
        page = self._page(job)
        yield from _summaries(job, page)
        if "nextToken" in page:
            for status in RUNNING:
                yield from _summaries(job, self._page(job, status=status))

    def _page(self, job: str, **only: str) -> Mapping[str, Any]:
        found = self._service.find("list_job_executions_for_job", jobId=job, maxResults=MAX_LISTED, **only)
        return found or {}

    def _learn_ended(self, running: Mapping[str, Summary]) -> None:
        """Learn what has ended without having been seen before, unless the device has a newer update."""
        for client_id, summary in list(self._ended.items()):
            if self._calls >= MAX_DESCRIBED:
                return
            del self._ended[client_id]
            if client_id not in running and _is_newer(summary, self._known.get(client_id)):
                self._learn(client_id, summary)

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


def _ids(jobs: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (str(job["jobId"]) for job in jobs)


def _summaries(job: str, page: Mapping[str, Any]) -> Iterator[tuple[str, Summary]]:
    for each in page.get("executionSummaries", ()):
        client_id = str(each.get("thingArn", "")).partition(":thing/")[2]
        yield client_id, _summary(job, each.get("jobExecutionSummary", {}))


def _is_newer(summary: Summary, known: Summary | None) -> bool:
    return known is None or float(summary["at"] or 0) > float(known["at"] or 0)


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
