"""What an update would change on each board, as far as earlier updates tell.

Nothing stores the config of a board, and neither AWS nor the local endpoint knows it. What the jobs of `update` have
set, and on which boards they succeeded, is on record; a push with the cable is not. The local endpoint also knows which
version of the package a board has reported.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mqtt443_tools.update.end_job import OWN_JOB, object_of, parsed_document
from mqtt443_tools.update.job_documents import Update, is_secret
from mqtt443_tools.update.job_service import JobService

MAX_JOBS = 50
"""How many earlier updates are looked at, the newest first; each costs a call for its document."""
MAX_LISTED = 1000
"""How many jobs of the account are listed to find them."""
MAX_RESULTS = 25_000
"""How many results of those are read: AWS gives 250 in a call, and allows 10 calls a second."""
PAGE = 250

_PACKAGE, _FILES = "package", "files"
_DEFAULT = object()
"""The value of a key that was reset to its default."""


@dataclass(frozen=True)
class Change:
    """What would change on some boards.

    Attributes:
        client_ids: of the boards, sorted.
        text: one phrase for a person, without secrets.
    """

    client_ids: list[str]
    text: str


def changes(
    service: JobService, client_ids: Collection[str], update: Update, reported: Mapping[str, str]
) -> list[Change]:
    """Return what an update would change, for each group of boards that it changes in the same way; largest first.

    A restart changes nothing.

    Args:
        service: where the jobs are.
        client_ids: of the boards.
        update: what they would be asked to do.
        reported: the version of the package that boards have reported, by client id.

    Raises:
        CommandError: a call failed.
    """
    wanted = _facts(json.loads(update.document("")))
    if not wanted:
        return []
    known = _known(service, set(client_ids), wanted)
    if _PACKAGE in wanted:
        for client_id in reported.keys() & set(client_ids):
            build = known.get(client_id, {}).get(_PACKAGE, "")
            if not build.startswith(f"{reported[client_id]} ("):  # the cable brought another one
                known[client_id] = {_PACKAGE: reported[client_id]}
    groups: dict[str, list[str]] = {}
    for client_id in sorted(client_ids):
        groups.setdefault(_text(wanted, known.get(client_id, {})), []).append(client_id)
    return [Change(group, text) for text, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))]


def _facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is true of a board after a job with this document has succeeded, by name."""
    bundle = str(object_of(document.get("bundle")).get("sha256", ""))[:8]
    if document.get("action") == "package":
        return {_PACKAGE: f"{document.get('version')} ({bundle})"}
    if document.get("action") == "files":
        return {_FILES: bundle}
    removed = document.get("delete")
    found = dict.fromkeys(map(str, removed), _DEFAULT) if isinstance(removed, list) else {}
    return found | object_of(document.get("set"))


def _known(service: JobService, client_ids: set[str], wanted: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return the newest known value of each wanted fact, by client id."""
    listed = islice(service.items("list_jobs", "jobs", maxResults=PAGE), MAX_LISTED)
    jobs = sorted((job_id for job in listed if OWN_JOB.fullmatch(job_id := str(job.get("jobId")))), reverse=True)
    known: dict[str, dict[str, Any]] = {}
    left = MAX_RESULTS
    for job_id in jobs[:MAX_JOBS]:
        document = (service.find("get_job_document", jobId=job_id) or {}).get("document")
        facts = {name: value for name, value in _facts(parsed_document(document)).items() if name in wanted}
        if not facts:
            continue
        results = service.items(
            "list_job_executions_for_job", "executionSummaries", jobId=job_id, status="SUCCEEDED", maxResults=PAGE
        )
        for result in islice(results, left):
            left -= 1
            client_id = str(result.get("thingArn", "")).partition(":thing/")[2]
            if client_id in client_ids:
                known[client_id] = facts | known.get(client_id, {})
        if not left or (len(known) == len(client_ids) and all(len(each) == len(wanted) for each in known.values())):
            break
    return known


def _text(wanted: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if not known:
        return "unknown: no earlier update set it"
    if _FILES in wanted:
        same = known[_FILES] == wanted[_FILES]
        return "the same files as in the last update" if same else "other files than in the last update"
    return ", ".join(_step(name, value, known) for name, value in wanted.items())


def _step(name: str, value: object, known: Mapping[str, Any]) -> str:
    if name not in known:
        return f"{name} unknown -> {_shown(name, value)}"
    if known[name] == value:
        return f"{name} is {_shown(name, value)} already"
    return f"{name} {_shown(name, known[name])} -> {_shown(name, value)}"


def _shown(name: str, value: object) -> str:
    if value is _DEFAULT:
        return "default"
    if is_secret(name):
        return "***"
    return str(value) if name == _PACKAGE else json.dumps(value)
