"""The services behind the reserved topics: passes publishes of devices and calls of commands to them.

The broker asks this module about `$aws` topics, and otherwise knows nothing of jobs, streams and shadows. AWS sends
answers about jobs to the device that asked, subscribed or not, and answers about streams and shadows to the subscribers
of their topics (Developer Guide, "Reserved topics": the operations "Receive" and "Subscribe").
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.jobs.execution_lists import ExecutionLists
from mqtt443_tools.localcore.jobs.job_control import JobControl
from mqtt443_tools.localcore.jobs.jobs_database import JOBS_FILE, open_jobs_database
from mqtt443_tools.localcore.jobs.request_fields import MAX_TOKEN_BYTES, compact_json, parse_json
from mqtt443_tools.localcore.jobs.service_errors import ServiceError, invalid
from mqtt443_tools.localcore.jobs.shadow_topics import SHADOW_REQUEST, ShadowTopics
from mqtt443_tools.localcore.jobs.shadows import Shadows
from mqtt443_tools.localcore.jobs.streams import Streams
from mqtt443_tools.localcore.jobs.thing_registry import Params, ThingRegistry
from mqtt443_tools.localcore.settings import Settings

JOB_TOPIC = re.compile(
    r"\$aws/things/([a-zA-Z0-9:_-]{1,128})/jobs/(?:(get|start-next)|(\$next|[a-zA-Z0-9_-]{1,64})/(get|update))"
)
STREAM_TOPIC = re.compile(r"\$aws/things/([a-zA-Z0-9:_-]{1,128})/streams/([a-zA-Z0-9_-]{1,128})/(describe|get)/json")
DIRECT = re.compile(r"\$aws/things/[^/]+/(jobs|streams)/.+")
"""Requests that are answered only to the client that asked."""

SERVED = re.compile(r"\$aws/things/[^/]+/(jobs|streams|shadow)/.+")
CONTROL_CALLS = (
    "create_thing", "describe_thing", "create_thing_group", "add_thing_to_thing_group", "delete_thing_group",
    "create_job", "describe_job", "get_job_document", "describe_job_execution", "list_job_executions_for_job",
    "list_job_executions_for_thing",
    "list_jobs", "cancel_job", "delete_job", "create_stream", "describe_stream", "delete_stream",
    "get_thing_shadow", "update_thing_shadow", "delete_thing_shadow", "list_named_shadows_for_thing",
)  # fmt: skip

RETRY_S = 10.0
"""After a failure of the database, until due work is tried again."""

Answer = tuple[str, bytes]
"""Topic and payload."""


class IotServices:
    """Jobs, streams, Things and shadows of one endpoint.

    Args:
        settings: of the endpoint.
        clock: for times and timers.
        publish: publishes a message of the services to its subscribers.
        log: called with a line if the database fails.
    """

    def __init__(
        self, settings: Settings, clock: Clock, publish: Callable[[str, bytes], None], log: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._publish = publish
        self._log = log
        self._timer: Handle | None = None
        self._database: sqlite3.Connection | None = None

    def start(self) -> None:
        """Open the database, catch up on due work, and set the timer. Raises StoreError or OSError."""
        database = self._database = open_jobs_database(self._settings.state / JOBS_FILE)
        prefix, now = self._settings.arn_prefix, self._clock.time
        registry = ThingRegistry(database, prefix)
        self._jobs = JobControl(
            database, registry, prefix, now=now, minute_s=self._settings.job_minute_s, on_changed=self._notify
        )
        self._streams = Streams(database, prefix, now)
        shadows = Shadows(database, self._settings, self._clock, self._publish)
        self._shadow_topics = ShadowTopics(shadows, self._publish, self._log)
        lists = ExecutionLists(database, registry, self._jobs.job_of)
        owners = (registry, self._jobs, lists, self._streams, shadows)
        self._calls: dict[str, Callable[[Params], Params]] = {
            name: getattr(owner, name) for owner in owners for name in CONTROL_CALLS if hasattr(owner, name)
        }
        self._jobs.run_due()
        self._set_timer()

    def close(self) -> None:
        """Cancel the timer and close the database."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._database is not None:
            self._database.close()

    def serves(self, topic: str) -> bool:
        """Return whether a filter belongs to one of the services."""
        return SERVED.fullmatch(topic) is not None

    def takes(self, topic: str) -> bool:
        """Return whether clients may publish on a reserved topic."""
        return DIRECT.fullmatch(topic) is not None or self.shows(topic)

    def shows(self, topic: str) -> bool:
        """Return whether subscribers of a topic see the requests there: AWS's list of reserved topics lets them."""
        return SHADOW_REQUEST.fullmatch(topic) is not None

    def request(self, topic: str, payload: bytes) -> list[Answer]:
        """Handle a publish of a device on a reserved topic; return the answers for that device alone."""
        if (found := SHADOW_REQUEST.fullmatch(topic)) is not None:
            self._shadow_topics.request(found, payload)
            return []
        if (found := JOB_TOPIC.fullmatch(topic)) is not None:
            return [self._job_answer(topic, found, payload)]
        if (found := STREAM_TOPIC.fullmatch(topic)) is not None:
            for answered, answer in self._stream_answers(found, payload):
                self._publish(answered, answer)
            return []
        rejected = {"code": "InvalidTopic", "message": "The topic does not map to any API."}
        return [(f"{topic}/rejected", self._encode(rejected, None))]

    def call(self, operation: str, params: Params) -> Params:
        """Make a control call. Raises ServiceError."""
        if operation not in self._calls:
            raise invalid(f"{operation}: the local endpoint has no such call")
        try:
            answer = self._calls[operation](params)
            self._set_timer()
        except sqlite3.Error as error:
            raise self._failed(operation, error, "InternalFailure") from error
        return answer

    def _job_answer(self, topic: str, found: re.Match[str], payload: bytes) -> Answer:
        thing, about_all, job_id, verb = found.groups()
        executions = self._jobs.executions
        request: dict[str, Any] = {}
        try:
            request = parse_json(payload) if payload else {}
            token = _token(request)
            if about_all == "get":
                answer = executions.pending(thing, request)
            elif about_all == "start-next":
                answer = executions.start_next(thing, request)
            elif verb == "get":
                answer = executions.describe(thing, job_id, request)
            else:
                answer = executions.update(thing, job_id, request)
            self._set_timer()
        except (ServiceError, sqlite3.Error) as error:
            refused = error if isinstance(error, ServiceError) else self._failed(topic, error, "InternalError")
            rejected: dict[str, Any] = {"code": refused.code, "message": refused.message}
            rejected |= {} if refused.state is None else {"executionState": refused.state}
            return f"{topic}/rejected", self._encode(rejected, request.get("clientToken"))
        return f"{topic}/accepted", self._encode(answer, token)

    def _stream_answers(self, found: re.Match[str], payload: bytes) -> Iterator[Answer]:
        thing, stream_id, verb = found.groups()
        base = f"$aws/things/{thing}/streams/{stream_id}"
        request: dict[str, Any] = {}
        try:
            request = parse_json(payload)
            token = request.get("c")
            if token is not None and (not isinstance(token, str) or len(token.encode()) > MAX_TOKEN_BYTES):
                raise invalid(f"c: must be text of at most {MAX_TOKEN_BYTES} bytes")
            said = {} if token is None else {"c": token}
            if verb == "describe":
                yield f"{base}/description/json", compact_json(said | self._streams.describe(stream_id, request))
                return
            for block in self._streams.blocks(stream_id, request):
                yield f"{base}/data/json", compact_json(said | block)
        except (ServiceError, sqlite3.Error) as error:
            refused = error if isinstance(error, ServiceError) else self._failed(base, error, "InternalError")
            token = request.get("c")
            said = {"c": token} if isinstance(token, str) and len(token) <= MAX_TOKEN_BYTES else {}
            yield f"{base}/rejected/json", compact_json({"o": refused.code, "m": refused.message} | said)

    def _failed(self, what: str, error: sqlite3.Error, code: str) -> ServiceError:
        """Log that the database failed; return the refusal."""
        self._log(f"{what}: {error}")
        return ServiceError(code, "Internal service failure")

    def _notify(self, thing: str, next_changed: bool) -> None:
        """Notify a device that its list of pending jobs, or the next one of them, has changed."""
        executions = self._jobs.executions
        pending = executions.pending(thing, {})
        by_status = {"IN_PROGRESS": pending["inProgressJobs"], "QUEUED": pending["queuedJobs"]}
        jobs = {status: found for status, found in by_status.items() if found}
        base = f"$aws/things/{thing}/jobs"
        self._publish(f"{base}/notify", self._encode({"jobs": jobs}, None))
        if next_changed:
            self._publish(f"{base}/notify-next", self._encode({"execution": executions.next_execution(thing)}, None))

    def _encode(self, answer: dict[str, Any], token: object) -> bytes:
        said = {"clientToken": token} if isinstance(token, str) and len(token) <= MAX_TOKEN_BYTES else {}
        return compact_json(said | {"timestamp": int(self._clock.time())} | answer)

    def _run_due(self) -> None:
        """Release batches and end executions that are due; try again later if the database fails."""
        self._timer = None
        try:
            self._jobs.run_due()
            self._set_timer()
        except sqlite3.Error as error:
            self._log(f"jobs: {error}; trying again in {RETRY_S:g} s")
            self._timer = self._clock.call_later(RETRY_S, self._run_due)

    def _set_timer(self) -> None:
        """Set the timer for the next batch or the next timeout."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._jobs.next_due()
        if due is not None:
            self._timer = self._clock.call_later(max(due - self._clock.time(), 0.0), self._run_due)


def _token(request: Params) -> str | None:
    token = request.get("clientToken")
    if token is not None and (not isinstance(token, str) or not 0 < len(token.encode()) <= MAX_TOKEN_BYTES):
        raise invalid(f"clientToken: must be text of 1 to {MAX_TOKEN_BYTES} bytes")
    return token
