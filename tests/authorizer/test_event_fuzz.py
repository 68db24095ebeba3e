"""Property: any event gets a decision, and only the right login is allowed."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.aws.logins import Desk, device, event

NAMES = ["mqtt", "mqtt_sdk_metrics", "mqtt_no_password", "wss", "wss_headers", "http"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
desk = Desk(device())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def with_changes(recorded: Any, changes: list[tuple[tuple[Any, ...], Any, bool]]) -> Any:
    changed = {"event": copy.deepcopy(recorded)}
    for path, value, drop in changes:
        target = changed
        *way, last = ("event", *path)
        for key in way:
            target = target[key] if isinstance(target, dict | list) and _has(target, key) else {}
        if isinstance(target, dict) and drop:
            target.pop(last, None)
        elif isinstance(target, dict) or _has(target, last):
            target[last] = value
    return changed.get("event")


def _has(target: Any, key: Any) -> Any:
    if isinstance(target, dict):
        return key in target
    return isinstance(target, list) and isinstance(key, int) and key < len(target)


def right_login(changed: Any) -> Any:
    """State the rule a second time, for the recorded events only."""
    data = changed["protocolData"]
    mqtt, headers = data.get("mqtt"), data.get("http", {}).get("headers", {})
    if mqtt is not None and mqtt["clientId"] != "sensor-1":
        return False
    if mqtt is not None and mqtt.get("username", "").split("?")[0]:
        return mqtt["username"].split("?")[0] == "dev1" and base64.b64decode(mqtt["password"]) == b"p@ss"
    value = next(value for name, value in headers.items() if name.lower() == "authorization")
    return base64.b64decode(value.split(" ", 1)[1]) == b"dev1:p@ss"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutated_event_is_never_wrongly_allowed(data: Any) -> None:
    recorded = event(data.draw(st.sampled_from(NAMES)))
    place = st.sampled_from(list(places(recorded)))
    changes = data.draw(st.lists(st.tuples(place, JSON, st.booleans()), min_size=1, max_size=3))
    changed = with_changes(recorded, changes)
    answer = desk.decide(changed)
    assert answer["isAuthenticated"] in (True, False)
    assert desk.lines[-1]["decision"] == ("allow" if answer["isAuthenticated"] else "refuse")
    assert "internal error" not in desk.reason
    assert not answer["isAuthenticated"] or right_login(changed)
    json.dumps(desk.lines[-1])


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_other_json_value_is_refused(value: Any) -> None:
    assert desk.decide(value) == {"isAuthenticated": False, "principalId": "refused"}
    assert "internal error" not in desk.reason
