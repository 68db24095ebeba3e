"""Lists of job executions, by job and by Thing, as the control plane gives them.

AWS IoT API Reference, "ListJobExecutionsForJob" and "ListJobExecutionsForThing".
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from typing import Any

from mqtt443_tools.localcore.jobs.request_fields import JOB_ID, optional_text, text, whole
from mqtt443_tools.localcore.jobs.service_errors import invalid
from mqtt443_tools.localcore.jobs.thing_registry import Params, ThingRegistry

MAX_PAGE = 250
TOKEN = re.compile(r"[0-9]{1,18}")
"""The number of an execution, which SQLite keeps in 64 bits."""


class ExecutionLists:
    """The lists.

    Args:
        database: see `jobs_database`.
        registry: of the Things.
        job_of: returns the job that a call names; raises ServiceError if there is none.
    """

    def __init__(
        self, database: sqlite3.Connection, registry: ThingRegistry, job_of: Callable[[Params], sqlite3.Row]
    ) -> None:
        self._db = database
        self._registry = registry
        self._job_of = job_of

    def list_job_executions_for_job(self, params: Params) -> Params:
        """ListJobExecutionsForJob: the newest last, a page at a time."""
        row = self._job_of(params)
        size, after, status = _page(params)
        rows = self._db.execute(
            "SELECT * FROM executions WHERE job = ? AND number > ? AND (? IS NULL OR status = ?)"
            " ORDER BY number LIMIT ?",
            (row["number"], after or 0, status, status, size),
        ).fetchall()
        found = [
            {"thingArn": self._registry.thing_arn(each["thing"]), "jobExecutionSummary": _summary(each)}
            for each in rows
        ]
        return {"executionSummaries": found} | _more(rows, size)

    def list_job_executions_for_thing(self, params: Params) -> Params:
        """ListJobExecutionsForThing: the newest first, a page at a time."""
        thing = text(params, "thingName")
        self._registry.describe_thing({"thingName": thing})  # raises if it does not exist, as AWS does
        size, before, status = _page(params)
        job = None if params.get("jobId") is None else text(params, "jobId", JOB_ID)
        rows = self._db.execute(
            "SELECT e.*, j.job_id FROM executions e JOIN jobs j ON j.number = e.job WHERE e.thing = ?"
            " AND (? IS NULL OR e.number < ?) AND (? IS NULL OR e.status = ?) AND (? IS NULL OR j.job_id = ?)"
            " ORDER BY e.number DESC LIMIT ?",
            (thing, before, before, status, status, job, job, size),
        ).fetchall()
        found = [{"jobId": each["job_id"], "jobExecutionSummary": _summary(each)} for each in rows]
        return {"executionSummaries": found} | _more(rows, size)


def _page(params: Params) -> tuple[int, int | None, str | None]:
    """Return the size of the page, the number that it begins after, and the status that is asked for."""
    size = whole(params, "maxResults", 1, MAX_PAGE, default=MAX_PAGE)
    token = params.get("nextToken")
    if token is not None and not (isinstance(token, str) and TOKEN.fullmatch(token)):
        raise invalid("nextToken: not one of ours")
    return (
        int(size or MAX_PAGE),
        None if token is None else int(token),
        optional_text(params, "status"),
    )


def _more(rows: list[sqlite3.Row], size: int) -> dict[str, Any]:
    return {"nextToken": str(rows[-1]["number"])} if len(rows) == size else {}


def _summary(row: sqlite3.Row) -> dict[str, Any]:
    summary = {"status": row["status"], "queuedAt": row["queued_at"], "lastUpdatedAt": row["updated_at"]}
    summary["executionNumber"] = 1
    if row["started_at"] is not None:
        summary["startedAt"] = row["started_at"]
    return summary
