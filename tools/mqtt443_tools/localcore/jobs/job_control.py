"""The control calls on jobs, with boto3's names, parameters and answers; rollout, abort threshold and end of a job.

AWS IoT API Reference, "CreateJob", "DescribeJob", "CancelJob" and others. Targets wait in a table until the rollout
reaches them, a batch each minute.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping

from mqtt443_authorizer.database import transaction

from mqtt443_tools.localcore.jobs.executions import MINUTE_S, Executions
from mqtt443_tools.localcore.jobs.request_fields import JOB_ID, flag, load_json, optional_text, section, text, whole
from mqtt443_tools.localcore.jobs.rollout import aborts, check_abort, check_rollout, rate_per_minute
from mqtt443_tools.localcore.jobs.service_errors import ServiceError, already_exists, invalid, not_found
from mqtt443_tools.localcore.jobs.thing_registry import Params, ThingRegistry

MAX_DOCUMENT_BYTES = 32_768
MAX_TARGETS = 100
MAX_PAGE = 250
_COUNTS = {
    "QUEUED": "numberOfQueuedThings",
    "IN_PROGRESS": "numberOfInProgressThings",
    "SUCCEEDED": "numberOfSucceededThings",
    "FAILED": "numberOfFailedThings",
    "REJECTED": "numberOfRejectedThings",
    "TIMED_OUT": "numberOfTimedOutThings",
    "CANCELED": "numberOfCanceledThings",
    "REMOVED": "numberOfRemovedThings",
}
_IGNORED = ("presignedUrlConfig", "tags", "namespaceId", "documentParameters")


class JobControl:
    """The jobs of the account.

    Args:
        database: see `jobs_database`.
        registry: of the Things.
        arn_prefix: `arn:aws:iot:REGION:ACCOUNT`.
        now: returns Unix seconds.
        minute_s: seconds between two batches of a rollout; AWS's is 60.
        on_changed: see `Executions`.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        registry: ThingRegistry,
        arn_prefix: str,
        *,
        now: Callable[[], float],
        minute_s: float = MINUTE_S,
        on_changed: Callable[[str, bool], None],
    ) -> None:
        self._db = database
        self._registry = registry
        self._arn_prefix = arn_prefix
        self._now = now
        self._minute_s = minute_s
        self.executions = Executions(database, now, self._settle, on_changed)

    def create_job(self, params: Params) -> Params:
        """CreateJob, for a snapshot of its targets; the first batch starts at once."""
        job_id, document = text(params, "jobId", JOB_ID), params.get("document")
        for name in _IGNORED:
            if params.get(name):
                raise invalid(f"{name}: not supported by the local endpoint")
        if not isinstance(document, str) or len(document.encode()) > MAX_DOCUMENT_BYTES:
            raise invalid(f"document: must be text of at most {MAX_DOCUMENT_BYTES:,} bytes")
        try:
            load_json(document)
        except (ValueError, RecursionError):
            raise invalid("document: must be JSON") from None
        if params.get("targetSelection", "SNAPSHOT") != "SNAPSHOT":
            raise invalid("targetSelection: the local endpoint has SNAPSHOT only")
        targets = params.get("targets")
        if not isinstance(targets, list) or not 1 <= len(targets) <= MAX_TARGETS:
            raise invalid(f"targets: must be a list of 1 to {MAX_TARGETS} ARNs")
        check_rollout(section(params, "jobExecutionsRolloutConfig"))
        if abort := section(params, "abortConfig"):
            check_abort(abort)
        whole(section(params, "timeoutConfig"), "inProgressTimeoutInMinutes", 1, 10_080)
        description = optional_text(params, "description")
        if self._find(job_id) is not None:
            raise already_exists(f"Job {job_id} already exists.")
        things = self._registry.things_of([str(target) for target in targets])
        now = self._now()
        with transaction(self._db):
            number = self._db.execute(
                "INSERT INTO jobs (job_id, document, request, status, created_at, updated_at, release_at)"
                " VALUES (?, ?, ?, 'IN_PROGRESS', ?, ?, ?)",
                (job_id, document, json.dumps({**params, "document": None}), now, now, now),
            ).lastrowid
            self._db.executemany(
                "INSERT INTO waiting VALUES (?, ?, ?)",
                [(number, position, thing) for position, thing in enumerate(things)],
            )
        self.release_due()
        shown = {"jobArn": self._arn(job_id), "jobId": job_id}
        return shown | ({"description": description} if description else {})

    def describe_job(self, params: Params) -> Params:
        """DescribeJob."""
        row = self.job_of(params)
        request = json.loads(row["request"])
        names = (
            "targets", "description", "targetSelection", "jobExecutionsRolloutConfig", "abortConfig", "timeoutConfig",
        )  # fmt: skip
        job = {"jobArn": self._arn(row["job_id"]), "jobId": row["job_id"], "status": row["status"]}
        job |= {name: request[name] for name in names if request.get(name) is not None}
        job |= {"createdAt": row["created_at"], "lastUpdatedAt": row["updated_at"]}
        job |= {"forceCanceled": True} if row["forced"] else {}
        for key, column in (("completedAt", "completed_at"), ("reasonCode", "reason_code"), ("comment", "comment")):
            job |= {} if row[column] is None else {key: row[column]}
        counts = self._counts(row["number"])
        job["jobProcessDetails"] = {name: counts.get(status, 0) for status, name in _COUNTS.items()}
        return {"job": job}

    def get_job_document(self, params: Params) -> Params:
        """GetJobDocument."""
        return {"document": self.job_of(params)["document"]}

    def describe_job_execution(self, params: Params) -> Params:
        """DescribeJobExecution of the control plane, which also shows executions that have ended."""
        row = self.job_of(params)
        found = self._db.execute(
            "SELECT * FROM executions WHERE job = ? AND thing = ?", (row["number"], text(params, "thingName"))
        ).fetchone()
        if found is None:
            raise not_found(f"Job {row['job_id']} has no execution on {params['thingName']}.")
        shown = {
            "jobId": row["job_id"],
            "status": found["status"],
            "forceCanceled": bool(found["forced"]),
            "statusDetails": {"detailsMap": json.loads(found["details"])},
            "thingArn": self._registry.thing_arn(found["thing"]),
            "queuedAt": found["queued_at"],
            "lastUpdatedAt": found["updated_at"],
            "executionNumber": 1,
            "versionNumber": found["version"],
        }
        return {"execution": shown | ({} if found["started_at"] is None else {"startedAt": found["started_at"]})}

    def list_jobs(self, params: Params) -> Params:
        """ListJobs: the newest first, one page; with `status`, only those that have it."""
        size = whole(params, "maxResults", 1, MAX_PAGE, default=MAX_PAGE)
        status = optional_text(params, "status")
        rows = self._db.execute(
            "SELECT * FROM jobs WHERE ? IS NULL OR status = ? ORDER BY number DESC LIMIT ?", (status, status, size)
        ).fetchall()
        return {
            "jobs": [
                {
                    "jobArn": self._arn(row["job_id"]),
                    "jobId": row["job_id"],
                    "targetSelection": "SNAPSHOT",
                    "status": row["status"],
                    "createdAt": row["created_at"],
                    "lastUpdatedAt": row["updated_at"],
                }
                for row in rows
            ]
        }

    def cancel_job(self, params: Params) -> Params:
        """CancelJob: cancels waiting executions; with `force`, also those in progress."""
        row = self.job_of(params)
        force = flag(params, "force")
        if row["status"] in {"COMPLETED", "CANCELED"} and not force:
            raise ServiceError("InvalidRequest", f"Job {row['job_id']} is {row['status']}.")
        reason, comment = optional_text(params, "reasonCode"), optional_text(params, "comment")
        self._cancel(row, force=force, reason=reason, comment=comment)
        return {"jobArn": self._arn(row["job_id"]), "jobId": row["job_id"]}

    def delete_job(self, params: Params) -> Params:
        """DeleteJob: the job and its executions, and with `force` also while it runs; a device can no longer report."""
        row, force = self.job_of(params), flag(params, "force")
        if row["status"] not in {"COMPLETED", "CANCELED"} and not force:
            raise ServiceError("InvalidStateTransition", f"Job {row['job_id']} is {row['status']}: cancel it first.")
        self.executions.forget(row["number"])
        return {}

    def job_of(self, params: Params) -> sqlite3.Row:
        """Return the job that a call names. Raises ServiceError if there is none."""
        job_id = text(params, "jobId", JOB_ID)
        row = self._find(job_id)
        if row is None:
            raise not_found(f"Job {job_id} cannot be found.")
        return row

    def release_due(self) -> None:
        """Release the next batch of targets of each job that is due."""
        rows = self._db.execute("SELECT * FROM jobs WHERE release_at <= ?", (self._now(),)).fetchall()
        for row in rows:
            rollout = json.loads(row["request"]).get("jobExecutionsRolloutConfig") or {}
            size = rate_per_minute(rollout, self._counts(row["number"]))
            batch = self._db.execute(
                "SELECT thing FROM waiting WHERE job = ? ORDER BY position LIMIT ?", (row["number"], size)
            ).fetchall()
            self.executions.add(row["number"], [each["thing"] for each in batch])
            waits = self._db.execute("SELECT 1 FROM waiting WHERE job = ? LIMIT 1", (row["number"],)).fetchone()
            at = self._now() + self._minute_s if waits else None
            self._db.execute("UPDATE jobs SET release_at = ? WHERE number = ?", (at, row["number"]))
            if not waits:
                self._settle(row["number"])

    def next_due(self) -> float | None:
        """Return when the next batch or timeout is due, None if there is none."""
        (release,) = self._db.execute("SELECT MIN(release_at) FROM jobs WHERE release_at IS NOT NULL").fetchone()
        due = (release, self.executions.next_due())
        return min((each for each in due if each is not None), default=None)

    def run_due(self) -> None:
        """Release batches and end executions that are due."""
        self.executions.end_due()
        self.release_due()

    def _settle(self, number: int) -> None:
        """Cancel a job that has too many failures, and complete one that has nothing left to do."""
        row = self._db.execute("SELECT * FROM jobs WHERE number = ?", (number,)).fetchone()
        counts = self._counts(number)
        if row["status"] == "IN_PROGRESS" and aborts(json.loads(row["request"]).get("abortConfig") or {}, counts):
            self._cancel(row, force=False, reason="ABORT_THRESHOLD", comment="the abort threshold was reached")
        elif row["status"] == "IN_PROGRESS" and row["release_at"] is None:
            self._complete(number, counts)

    def _complete(self, number: int, counts: Mapping[str, int]) -> None:
        if not counts.get("QUEUED") and not counts.get("IN_PROGRESS"):
            self._end(number, "COMPLETED", None, None, forced=False)

    def _cancel(self, row: sqlite3.Row, *, force: bool, reason: str | None, comment: str | None) -> None:
        self._end(row["number"], "CANCELED", reason, comment, forced=force)
        self.executions.end_all(row["number"], ["QUEUED", *(["IN_PROGRESS"] if force else [])], "CANCELED")

    def _end(self, number: int, status: str, reason: str | None, comment: str | None, *, forced: bool) -> None:
        now = self._now()
        with transaction(self._db):
            self._db.execute(
                "UPDATE jobs SET status = ?, updated_at = ?, completed_at = ?, reason_code = ?, comment = ?,"
                " forced = ?, release_at = NULL WHERE number = ?",
                (status, now, now, reason, comment, forced, number),
            )
            self._db.execute("DELETE FROM waiting WHERE job = ?", (number,))

    def _counts(self, number: int) -> dict[str, int]:
        rows = self._db.execute("SELECT status, things FROM counts WHERE job = ?", (number,))
        return {row["status"]: row["things"] for row in rows}

    def _find(self, job_id: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        return row

    def _arn(self, job_id: str) -> str:
        return f"{self._arn_prefix}:job/{job_id}"
