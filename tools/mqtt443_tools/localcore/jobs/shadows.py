"""Device shadows, classic (without a name) and named: stores, changes and returns them.

From "Device Shadow REST API" and "Device Shadow service interactions" in the Developer Guide. A deleted shadow leaves
its version behind, and the next one continues from it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from mqtt443_authorizer.database import transaction

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.jobs.request_fields import NAME, compact_json, text, whole
from mqtt443_tools.localcore.jobs.service_errors import ServiceError, invalid, not_found
from mqtt443_tools.localcore.jobs.shadow_document import (
    Document,
    Json,
    check_state,
    check_token,
    check_version,
    parse_document,
    state_bytes,
)
from mqtt443_tools.localcore.settings import Settings

SHADOW_NAME = re.compile(r"[$a-zA-Z0-9:_-]{1,64}")
CLASSIC = ""
"""Stands for the name of a Thing's classic shadow."""

DEFAULT_PAGE, MAX_PAGE = 25, 100
Params = dict[str, Any]


class Shadows:
    """All shadows.

    Args:
        database: see `jobs_database`.
        settings: of the endpoint.
        clock: for timestamps and the rate of requests.
        publish: publishes a message of the service to its subscribers.
    """

    def __init__(
        self, database: sqlite3.Connection, settings: Settings, clock: Clock, publish: Callable[[str, bytes], None]
    ) -> None:
        self._db = database
        self._settings = settings
        self._clock = clock
        self._publish = publish
        self._second = 0
        self._requests: dict[str, int] = {}  # of each Thing in this second

    def get_thing_shadow(self, params: Params) -> Params:
        """GetThingShadow; `payload` is text."""
        return {"payload": self.get(*_names(params), {}).decode()}

    def update_thing_shadow(self, params: Params) -> Params:
        """UpdateThingShadow: notifies subscribers of the shadow's topics, like an update over MQTT."""
        thing, name = _names(params)
        payload = params.get("payload")
        if not isinstance(payload, str):
            raise invalid("payload: must be text")
        request = parse_document(payload.encode(errors="surrogatepass"))
        return {"payload": self.update(thing, name, request).decode()}

    def delete_thing_shadow(self, params: Params) -> Params:
        """DeleteThingShadow."""
        return {"payload": self.delete(*_names(params), {}).decode()}

    def list_named_shadows_for_thing(self, params: Params) -> Params:
        """ListNamedShadowsForThing, in the order of the names."""
        thing = text(params, "thingName", NAME)
        after = CLASSIC if params.get("nextToken") is None else text(params, "nextToken", SHADOW_NAME)
        size = whole(params, "pageSize", 1, MAX_PAGE, default=DEFAULT_PAGE) or DEFAULT_PAGE
        rows = self._db.execute(
            "SELECT name FROM shadows WHERE thing = ? AND name > ? AND state IS NOT NULL ORDER BY name LIMIT ?",
            (thing, after, size + 1),
        ).fetchall()
        names = [row["name"] for row in rows]
        listed: Params = {"results": names[:size], "timestamp": self._now()}
        return listed | ({"nextToken": names[size - 1]} if len(names) > size else {})

    def check_rate(self, thing: str) -> None:
        """Count a request. Raises ServiceError beyond the Thing's requests per second."""
        limit, second = self._settings.shadow_requests_per_s, int(self._clock.now())
        if second != self._second:
            self._second = second
            self._requests.clear()
        self._requests[thing] = count = self._requests.get(thing, 0) + 1
        if limit and count > limit:
            raise ServiceError("Throttling", f"Too many requests: over {limit} a second for {thing}")

    def get(self, thing: str, name: str, request: Mapping[str, Any]) -> bytes:
        """Return the document with its delta. Raises ServiceError."""
        token = check_token(request)
        document = self._existing(thing, name)
        delta, _ = document.delta()
        state = document.state | ({"delta": delta} if delta else {})
        return self._answer({"state": state, "metadata": document.metadata, "version": document.version}, token)

    def update(self, thing: str, name: str, request: Mapping[str, Any]) -> bytes:
        """Change or create a shadow; publish the change and return the accepted state. Raises ServiceError."""
        token, expected = check_token(request), check_version(request)
        changes = check_state(request, self._settings.shadow_depth)
        with transaction(self._db):
            row = self._row(thing, name)
            before = _document(row)
            if expected is not None and expected != before.version:
                raise ServiceError("Conflict", "Version conflict")
            after, metadata = before.updated(changes, self._now())
            if state_bytes(after.state) > self._settings.max_shadow_bytes:
                raise ServiceError("RequestEntityTooLarge", "The payload exceeds the maximum size allowed")
            if row is None:
                self._check_thing(thing)
                self._make_room()
            self._db.execute(
                "INSERT INTO shadows VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT DO UPDATE SET version = excluded.version,"
                " state = excluded.state, metadata = excluded.metadata, deleted_at = NULL",
                (thing, name, after.version, compact_json(after.state).decode(), compact_json(after.metadata).decode()),
            )
        topic = f"{topic_prefix(thing, name)}/update"
        delta, stamps = after.delta()
        if delta:
            shown = {"state": delta, "metadata": stamps, "version": after.version}
            self._publish(f"{topic}/delta", self._answer(shown, token))
        self._publish(f"{topic}/documents", self._answer({"previous": before.shown(), "current": after.shown()}, token))
        accepted = self._answer({"state": changes, "metadata": metadata, "version": after.version}, token)
        self._publish(f"{topic}/accepted", accepted)
        return accepted

    def delete(self, thing: str, name: str, request: Mapping[str, Any]) -> bytes:
        """Delete a shadow, publish that and return what is accepted. Raises ServiceError."""
        token = check_token(request)
        with transaction(self._db):
            document = self._existing(thing, name)
            self._db.execute(
                "UPDATE shadows SET state = NULL, metadata = NULL, deleted_at = ? WHERE thing = ? AND name = ?",
                (self._clock.time(), thing, name),
            )
        accepted = self._answer({"version": document.version}, token)
        self._publish(f"{topic_prefix(thing, name)}/delete/accepted", accepted)
        return accepted

    def _check_thing(self, thing: str) -> None:
        if self._settings.shadow_things == "any":
            return
        if self._db.execute("SELECT 1 FROM things WHERE name = ?", (thing,)).fetchone() is None:
            raise not_found("Thing not found")

    def _make_room(self) -> None:
        """Delete the version of the shadow that was deleted first, if there are too many. Raises ServiceError."""
        limit = self._settings.max_shadows
        (rows,) = self._db.execute("SELECT rows FROM shadow_count").fetchone()
        if rows < limit:
            return
        gone = self._db.execute(
            "SELECT thing, name FROM shadows WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT 1"
        ).fetchone()
        if gone is None:
            raise ServiceError("Throttling", f"The local endpoint keeps at most {limit} shadows")
        self._db.execute("DELETE FROM shadows WHERE thing = ? AND name = ?", (gone["thing"], gone["name"]))

    def _existing(self, thing: str, name: str) -> Document:
        row = self._row(thing, name)
        if row is None or row["state"] is None:
            raise not_found(f"No shadow exists with name: '{thing}{'~' if name else ''}{name}'")
        return _document(row)

    def _row(self, thing: str, name: str) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._db.execute(
            "SELECT * FROM shadows WHERE thing = ? AND name = ?", (thing, name)
        ).fetchone()
        return row

    def _now(self) -> int:
        return int(self._clock.time())

    def _answer(self, content: Json, token: str | None) -> bytes:
        return compact_json(content | {"timestamp": self._now()} | ({} if token is None else {"clientToken": token}))


def topic_prefix(thing: str, name: str) -> str:
    """Return the prefix of a shadow's topics."""
    return f"$aws/things/{thing}/shadow" + (f"/name/{name}" if name else "")


def _names(params: Params) -> tuple[str, str]:
    name = CLASSIC if params.get("shadowName") is None else text(params, "shadowName", SHADOW_NAME)
    return text(params, "thingName", NAME), name


def _document(row: sqlite3.Row | None) -> Document:
    if row is None:
        return Document()
    if row["state"] is None:
        return Document(version=row["version"])
    return Document(json.loads(row["state"]), json.loads(row["metadata"]), row["version"])
