"""Shadow documents: applies updates to a state and its metadata, and compares desired with reported.

From "Device Shadow service documents" in the Developer Guide. Where that page is silent, AWS's own shadow manager for
Greengrass decides: an empty object deletes like null, numbers are compared by value, and the size is the compact JSON
of both sections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mqtt443_tools.localcore.jobs.request_fields import MAX_TOKEN_BYTES, compact_json, load_json
from mqtt443_tools.localcore.jobs.service_errors import ServiceError, invalid

Json = dict[str, Any]

SECTIONS = ("desired", "reported")
MAX_VERSION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Document:
    """A shadow's document.

    Attributes:
        state: holds the sections `desired` and `reported`, each only if it is not empty.
        metadata: has for each value of the state the time when it was set, in Unix seconds.
        version: counts the updates of the shadow; 0: it has never had one.
    """

    state: Json = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)
    version: int = 0

    def shown(self) -> Json:
        """Return the document in the form of the `documents` topic."""
        return {"state": self.state, "metadata": self.metadata, "version": self.version}

    def delta(self) -> tuple[Json, Json]:
        """Return the desired values that are not reported, and their metadata; both empty if nothing differs."""
        desired = self.state.get("desired", {})
        found = difference(desired, self.state.get("reported", {}))
        return found, select(self.metadata.get("desired", {}), found)

    def updated(self, changes: Json, now: int) -> tuple[Document, Json]:
        """Return the next version, and the metadata of the changed values.

        Args:
            changes: the `state` of a request that `check_state` accepted.
            now: Unix seconds.
        """
        state, metadata, news = dict(self.state), dict(self.metadata), {}
        for section in SECTIONS:
            if section not in changes:
                continue
            change = changes[section] or {}
            times = stamps(change, now)
            merged = merge(state.get(section, {}), changes[section])
            if merged:
                state[section] = merged
                metadata[section] = merge_stamps(
                    self.state.get(section, {}), self.metadata.get(section, {}), change, times
                )
            else:
                state.pop(section, None)
                metadata.pop(section, None)
            news[section] = times
        return Document(state, metadata, self.version + 1), news


def merge(old: Json, change: Json | None) -> Json:
    """Return an object with a change made: null and {} delete a key, objects are merged, all else replaces."""
    if not change:
        return {}
    merged = dict(old)
    for key, value in change.items():
        if isinstance(value, dict) and value:
            before = merged.get(key)
            value = merge(before if isinstance(before, dict) else {}, value)  # noqa: PLW2901
        if value is None or value == {}:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def difference(desired: Json, reported: Json) -> Json:
    """Return the keys of `desired` whose values `reported` does not have; arrays are compared as a whole."""
    found = {}
    for key, value in desired.items():
        other = reported.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            if inner := difference(value, other):
                found[key] = inner
        elif not same(value, other):
            found[key] = value
    return found


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: 1 equals 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    return bool(one == other)


def stamps(value: Any, now: int) -> Any:
    """Return the metadata of a value that is set now; null has none."""
    if isinstance(value, dict):
        return {key: stamps(each, now) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [stamps(each, now) for each in value]
    return {"timestamp": now}


def merge_stamps(state: Json, metadata: Json, change: Json, times: Json) -> Json:
    """Return the metadata of an object after a change.

    Args:
        state: the object before the change: metadata alone does not tell a value from an object.
        metadata: of the object before the change.
        change: what `merge` makes.
        times: what `stamps` makes of the change.
    """
    merged = dict(metadata)
    for key, value in change.items():
        if isinstance(value, dict) and value:
            inner = state.get(key)
            before, stamped = (inner, merged[key]) if isinstance(inner, dict) else ({}, {})
            stamped = merge_stamps(before, stamped, value, times[key])
        else:
            stamped = times.get(key, {})
        if stamped == {}:
            merged.pop(key, None)
        else:
            merged[key] = stamped
    return merged


def select(metadata: Json, state: Json) -> Json:
    """Return the metadata of the values in `state`."""
    return {
        key: select(metadata[key], value) if isinstance(value, dict) else metadata[key] for key, value in state.items()
    }


def state_bytes(state: Json) -> int:
    """Return the size that counts against the limit: the compact JSON of both sections, without metadata."""
    return sum(len(compact_json(section)) for section in state.values())


def check_token(request: Mapping[str, Any]) -> str | None:
    """Return the `clientToken` of a request, None if it has none. Raises ServiceError."""
    token = request.get("clientToken")
    if token is not None and (not isinstance(token, str) or len(token.encode()) > MAX_TOKEN_BYTES):
        raise invalid("Invalid clientToken")
    return token


def check_version(request: Mapping[str, Any]) -> int | None:
    """Return the `version` of a request, None if it has none. Raises ServiceError."""
    version = request.get("version")
    if version is not None and (type(version) is not int or not 0 <= version <= MAX_VERSION):
        raise invalid("Invalid version")
    return version


def check_state(request: Mapping[str, Any], max_depth: int) -> Json:
    """Return the `state` of an update. Raises ServiceError."""
    if "state" not in request:
        raise invalid("Missing required node: state")
    state = request["state"]
    if not isinstance(state, dict):
        raise invalid("State node must be an object")
    for key, section in state.items():
        if key not in SECTIONS:
            raise invalid(f"State contains an invalid node: '{key}'")
        if section is not None and not isinstance(section, dict):
            raise invalid(f"{key.capitalize()} node must be an object")
        _check_nodes(section, max_depth, max_depth, in_array=False)
    return state


def _check_nodes(value: Any, levels: int, max_depth: int, *, in_array: bool) -> None:
    if value is None and in_array:
        raise invalid("State contains an invalid node")
    if not isinstance(value, (dict, list)):
        return
    if not levels:
        raise invalid(f"JSON contains too many levels of nesting; maximum is {max_depth}")
    in_array = in_array or isinstance(value, list)
    for each in value.values() if isinstance(value, dict) else value:
        _check_nodes(each, levels - 1, max_depth, in_array=in_array)


def parse_document(payload: bytes) -> Json:
    """Parse the payload of a request. Raises ServiceError."""
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        message = "Unsupported documented encoding; supported encoding is UTF-8"
        raise ServiceError("UnsupportedDocumentEncoding", message) from None
    try:
        request = load_json(text)
    except (ValueError, RecursionError):
        raise invalid("Invalid JSON") from None
    if not isinstance(request, dict):
        raise invalid("Invalid JSON")
    return request
