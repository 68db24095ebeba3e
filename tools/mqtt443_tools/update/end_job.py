"""Cleans up after a job: removes its stream, object and Thing group, and a document that holds a secret."""

from __future__ import annotations

import json
import re
from typing import Any

from mqtt443_tools.update.follow_job import JobState
from mqtt443_tools.update.job_documents import is_secret
from mqtt443_tools.update.job_service import JobService

OWN_JOB = re.compile(r"update-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")
"""The form of `new_job_id`: no other job is touched."""


def object_name(job_id: str) -> str:
    """Return the name of the object that a job's stream reads."""
    return f"{job_id}.bundle"


def clean_up(service: JobService, job_id: str, state: JobState) -> bool:
    """Remove everything that belongs to a job that has ended; does nothing before. May be called again.

    The job itself is kept for the record, unless its document holds a secret.

    Args:
        service: where the job is.
        job_id: of the job.
        state: of the job.

    Returns:
        Whether the job was deleted.

    Raises:
        CommandError: something could not be removed.
    """
    if not state.has_ended or not OWN_JOB.fullmatch(job_id):
        return False
    found = service.find("get_job_document", jobId=job_id)
    document = parsed_document((found or {}).get("document"))
    if "stream" in object_of(document.get("bundle")):
        service.discard(object_name(job_id))
        service.find("delete_stream", streamId=job_id)
    service.find("delete_thing_group", thingGroupName=job_id)
    if not any(map(is_secret, object_of(document.get("set")))):
        return False
    service.find("delete_job", jobId=job_id)
    return True


def parsed_document(document: object) -> dict[str, Any]:
    """Return a job document from its text; empty if it is not one of ours."""
    try:
        return object_of(json.loads(document)) if isinstance(document, str) else {}
    except (ValueError, RecursionError):
        return {}


def object_of(value: object) -> dict[str, Any]:
    """Return a value that should be a JSON object; empty if it is not one."""
    return value if isinstance(value, dict) else {}
