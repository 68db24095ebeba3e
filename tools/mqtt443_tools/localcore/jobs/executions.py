"""Job executions as seen by a device: which are pending, which is next, and how they proceed.

AWS IoT Developer Guide, "Jobs device MQTT API operations". Times are Unix seconds.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mqtt443_authorizer.database import transaction

from mqtt443_tools.localcore.jobs.request_fields import details, flag, step_minutes, whole
from mqtt443_tools.localcore.jobs.rollout import TERMINAL
from mqtt443_tools.localcore.jobs.service_errors import ServiceError, invalid, not_found

MAX_PENDING = 250
"""The most executions of one Thing in a list."""
MINUTE_S = 60
_STATUSES = ("IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED")
_NAMED = "SELECT e.*, j.job_id FROM executions e JOIN jobs j ON j.number = e.job"
_JOINED = "SELECT e.*, j.job_id, j.document, j.request FROM executions e JOIN jobs j ON j.number = e.job"

Execution = sqlite3.Row
Found = dict[str, Any]


class Executions:
    """The executions of all jobs.

    Args:
        database: see `jobs_database`.
        now: returns Unix seconds.
        on_ended: called with the number of a job when executions of it have ended.
        on_changed: called after a change with the name of a Thing, and whether its next execution is now another one.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        now: Callable[[], float],
        on_ended: Callable[[int], None],
        on_changed: Callable[[str, bool], None],
    ) -> None:
        self._db = database
        self._now = now
        self._on_ended = on_ended
        self._on_changed = on_changed
        self._ended: set[int] = set()

    def pending(self, thing: str, request: Mapping[str, Any]) -> Found:  # noqa: ARG002 - it has no parameters
        """GetPendingJobExecutions."""
        return {
            "inProgressJobs": [_summary(row) for row in self._of_thing(thing, "IN_PROGRESS", MAX_PENDING, _NAMED)],
            "queuedJobs": [_summary(row) for row in self._of_thing(thing, "QUEUED", MAX_PENDING, _NAMED)],
        }

    def start_next(self, thing: str, request: Mapping[str, Any]) -> Found:
        """StartNextPendingJobExecution: starts the next one; the answer has no `execution` if there is none."""
        reported, minutes = details(request), step_minutes(request)
        with self._changing(thing):
            row = self._next(thing)
            if row is None:
                return {}
            if row["status"] == "QUEUED":
                self._start(row, reported)
            if minutes is not None:
                self._set_step(row["number"], minutes)
            row = self._by_number(row["number"])
        return {"execution": self.shown(row)}

    def describe(self, thing: str, job_id: str, request: Mapping[str, Any]) -> Found:
        """DescribeJobExecution; the id `$next` stands for the next pending one, if any."""
        with_document = flag(request, "includeJobDocument", default=True)
        number = whole(request, "executionNumber", 1, 2**31 - 1)
        if job_id == "$next":
            row = self._next(thing)
            return {} if row is None else {"execution": self.shown(row, with_document=with_document)}
        row = self._find(thing, job_id, number)
        if row["status"] in TERMINAL:
            raise ServiceError("TerminalStateReached", f"The execution of job {job_id} has ended.")
        return {"execution": self.shown(row, with_document=with_document)}

    def update(self, thing: str, job_id: str, request: Mapping[str, Any]) -> Found:
        """UpdateJobExecution: stores the status that the device reports, if the execution has the expected version."""
        status, expected = request.get("status"), _version(request)
        if status not in _STATUSES:
            raise invalid(f"status: must be one of {', '.join(_STATUSES)}")
        reported, minutes = details(request), step_minutes(request)
        with_state, with_document = flag(request, "includeJobExecutionState"), flag(request, "includeJobDocument")
        number = whole(request, "executionNumber", 1, 2**31 - 1)
        with self._changing(thing):
            row = self._find(thing, job_id, number)
            if row["status"] in TERMINAL:
                message = f"The execution is {row['status']}, which cannot become {status}."
                raise ServiceError("InvalidStateTransition", message, _state(row))
            if expected is not None and expected != row["version"]:
                message = f"Expected version {expected}, found {row['version']}."
                raise ServiceError("VersionMismatch", message, _state(row))
            if status == "IN_PROGRESS":
                self._progress(row, reported)
                if minutes is not None:
                    self._set_step(row["number"], minutes)
            else:
                self._end(row, str(status), reported)
            row = self._by_number(row["number"])
        found: Found = {"executionState": _state(row)} if with_state else {}
        if with_document:
            found["jobDocument"] = json.loads(row["document"])
        return found

    def _end(self, row: Execution, status: str, reported: Mapping[str, str] | None = None) -> None:
        self._db.execute(
            "UPDATE executions SET status = ?, details = ?, updated_at = ?, version = version + 1, timeout_at = NULL,"
            " step_at = NULL WHERE number = ?",
            (status, row["details"] if reported is None else json.dumps(reported), self._now(), row["number"]),
        )
        self._ended.add(row["job"])

    def add(self, job: int, things: Sequence[str]) -> None:
        """Queue executions for Things that are waiting for one."""
        now = self._now()
        with self._changing(*things):
            self._db.executemany(
                "INSERT INTO executions (job, thing, status, details, queued_at, updated_at, version)"
                " VALUES (?, ?, 'QUEUED', '{}', ?, ?, 1)",
                [(job, thing, now, now) for thing in things],
            )
            self._db.executemany("DELETE FROM waiting WHERE job = ? AND thing = ?", [(job, thing) for thing in things])

    def end_all(self, job: int, found: Sequence[str], status: str, *, limit: int = -1) -> int:
        """End the executions of a job that have one of the statuses `found`; return how many."""
        marks = ", ".join("?" * len(found))
        rows = self._db.execute(
            f"{_JOINED} WHERE e.job = ? AND e.status IN ({marks}) LIMIT ?",
            (job, *found, limit),
        ).fetchall()
        with self._changing(*(row["thing"] for row in rows)):
            for row in rows:
                self._end(row, status)
        return len(rows)

    def forget(self, job: int) -> None:
        """Delete a job with its executions, and tell the devices that had one pending."""
        rows = self._db.execute("SELECT DISTINCT thing FROM executions WHERE job = ?", (job,)).fetchall()
        with self._changing(*(row["thing"] for row in rows)):
            for table, column in (("executions", "job"), ("counts", "job"), ("waiting", "job"), ("jobs", "number")):
                self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (job,))  # noqa: S608 - constants

    def end_due(self) -> None:
        """End the executions that have timed out (in progress, or at a step), at most MAX_PENDING of them."""
        rows = self._db.execute(
            f"{_JOINED} WHERE e.timeout_at <= ? UNION {_JOINED} WHERE e.step_at <= ? LIMIT ?",
            (self._now(), self._now(), MAX_PENDING),
        ).fetchall()
        with self._changing(*(row["thing"] for row in rows)):
            for row in rows:
                self._end(row, "TIMED_OUT")

    def next_due(self) -> float | None:
        """Return when the next execution times out, None if none has a limit."""
        due = self._db.execute(
            "SELECT MIN(timeout_at) FROM executions WHERE timeout_at IS NOT NULL"
            " UNION ALL SELECT MIN(step_at) FROM executions WHERE step_at IS NOT NULL"
        ).fetchall()
        return min((each[0] for each in due if each[0] is not None), default=None)

    def next_execution(self, thing: str) -> Found:
        """Return the next pending execution in the form of a notification, {} if there is none."""
        row = self._next(thing)
        return {} if row is None else self.shown(row)

    def shown(self, row: Execution, *, with_document: bool = True) -> Found:
        """Return an execution with the fields of `JobExecution`."""
        shown: Found = {"jobId": row["job_id"], "thingName": row["thing"], "status": row["status"]}
        if with_document:
            shown["jobDocument"] = json.loads(row["document"])
        if row["details"] != "{}":
            shown["statusDetails"] = json.loads(row["details"])
        return shown | _times(row)

    def _start(self, row: Execution, reported: Mapping[str, str] | None) -> None:
        now = self._now()
        minutes = json.loads(row["request"]).get("timeoutConfig", {}).get("inProgressTimeoutInMinutes")
        self._db.execute(
            "UPDATE executions SET status = 'IN_PROGRESS', details = ?, started_at = ?, updated_at = ?,"
            " version = version + 1, timeout_at = ? WHERE number = ?",
            (
                row["details"] if reported is None else json.dumps(reported),
                now,
                now,
                None if minutes is None else now + minutes * MINUTE_S,
                row["number"],
            ),
        )

    def _progress(self, row: Execution, reported: Mapping[str, str] | None) -> None:
        if row["status"] == "QUEUED":
            self._start(row, reported)
            return
        self._db.execute(
            "UPDATE executions SET details = ?, updated_at = ?, version = version + 1 WHERE number = ?",
            (row["details"] if reported is None else json.dumps(reported), self._now(), row["number"]),
        )

    def _set_step(self, number: int, minutes: int) -> None:
        at = None if minutes < 0 else self._now() + minutes * MINUTE_S
        self._db.execute("UPDATE executions SET step_at = ? WHERE number = ?", (at, number))

    def _of_thing(self, thing: str, status: str, limit: int, select: str = _JOINED) -> list[Execution]:
        query = f"{select} WHERE e.thing = ? AND e.status = ? ORDER BY e.number LIMIT ?"
        return self._db.execute(query, (thing, status, limit)).fetchall()

    def _next(self, thing: str) -> Execution | None:
        found = self._of_thing(thing, "IN_PROGRESS", 1) or self._of_thing(thing, "QUEUED", 1)
        return found[0] if found else None

    def _by_number(self, number: int) -> Execution:
        row: Execution = self._db.execute(f"{_JOINED} WHERE e.number = ?", (number,)).fetchone()
        return row

    def _find(self, thing: str, job_id: str, number: int | None) -> Execution:
        row: Execution | None = self._db.execute(
            f"{_JOINED} WHERE e.thing = ? AND j.job_id = ?", (thing, job_id)
        ).fetchone()
        if row is None or number not in {None, 1}:
            raise not_found(f"Job {job_id} has no such execution on {thing}.")
        return row

    @contextmanager
    def _changing(self, *things: str) -> Iterator[None]:
        """Change executions of these Things, and report the Things whose list of pending executions changed."""
        before = {thing: self._mark(thing) for thing in things}
        with transaction(self._db):
            yield
        for thing, mark in before.items():
            if (after := self._mark(thing)) != mark:
                self._on_changed(thing, mark[0] != after[0])
        while self._ended:
            self._on_ended(self._ended.pop())

    def _mark(self, thing: str) -> tuple[int | None, int, int]:
        """Return the next execution, and two values that change whenever the list of pending ones changes."""
        row = self._next(thing)
        (last,) = self._db.execute(
            "SELECT MAX(number) FROM executions WHERE thing = ? AND status = 'QUEUED'", (thing,)
        ).fetchone()
        status = 0 if row is None else int(row["status"] == "IN_PROGRESS")
        return (None if row is None else row["number"], last or 0, status)


def _version(request: Mapping[str, Any]) -> int | None:
    """Return `expectedVersion`, which AWS's own examples write as text and as a number."""
    value = request.get("expectedVersion")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
        return int(value)
    return whole(request, "expectedVersion", 1, 2**31 - 1)


def _state(row: Execution) -> Found:
    return {"status": row["status"], "statusDetails": json.loads(row["details"]), "versionNumber": row["version"]}


def _times(row: Execution) -> Found:
    shown: Found = {"queuedAt": int(row["queued_at"]), "lastUpdatedAt": int(row["updated_at"])}
    if row["started_at"] is not None:
        shown["startedAt"] = int(row["started_at"])
    return shown | {"versionNumber": row["version"], "executionNumber": 1}


def _summary(row: Execution) -> Found:
    return {"jobId": row["job_id"]} | _times(row)
