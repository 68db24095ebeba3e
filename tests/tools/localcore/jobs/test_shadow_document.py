"""Laws of shadow documents: what holds for every state and every change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.localcore.jobs.service_errors import ServiceError
from mqtt443_tools.localcore.jobs.shadow_document import (
    Document,
    check_state,
    difference,
    merge,
    parse_document,
    same,
)

KEYS = st.sampled_from("abc")
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 1.5]) | st.sampled_from(["", "x"])
ARRAYS = st.lists(SCALARS.filter(lambda value: value is not None), max_size=2)
CHANGES = st.dictionaries(
    KEYS,
    st.recursive(SCALARS | ARRAYS, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8),
    max_size=3,
)
STATES = CHANGES.map(lambda change: merge({}, change))
REQUESTS = st.fixed_dictionaries({}, optional={"desired": st.none() | CHANGES, "reported": st.none() | CHANGES})


def objects(value: Any) -> list[Any]:
    """Return all values inside an object, at any depth."""
    if not isinstance(value, dict):
        return []
    return [each for member in value.values() for each in (member, *objects(member))]


@given(STATES, CHANGES)
def test_state_has_no_null_and_no_empty_object(state: dict[str, Any], change: dict[str, Any]) -> None:
    assert [value for value in objects(merge(state, change)) if value is None or value == {}] == []


@given(STATES, CHANGES)
def test_change_that_comes_twice_counts_once(state: dict[str, Any], change: dict[str, Any]) -> None:
    assert merge(merge(state, change), change) == merge(state, change)


@given(STATES, CHANGES)
def test_change_keeps_other_fields(state: dict[str, Any], change: dict[str, Any]) -> None:
    merged = merge(state, change)
    if change:
        assert {key: merged.get(key) for key in state.keys() - change.keys()} == {
            key: state[key] for key in state.keys() - change.keys()
        }
    assert merged.keys() <= state.keys() | change.keys()


@given(STATES)
def test_state_merged_into_nothing_is_itself(state: dict[str, Any]) -> None:
    assert merge({}, state) == state


@given(STATES, STATES)
def test_device_that_reports_the_delta_has_none_left(desired: dict[str, Any], reported: dict[str, Any]) -> None:
    delta = difference(desired, reported)
    after = merge(reported, delta) if delta else reported
    assert difference(desired, after) == {}


@given(STATES, STATES)
def test_delta_holds_desired_values_alone(desired: dict[str, Any], reported: dict[str, Any]) -> None:
    assert merge(desired, difference(desired, reported) or {"none": None}) == desired


@given(STATES)
def test_nothing_differs_from_itself(state: dict[str, Any]) -> None:
    assert difference(state, state) == {}
    assert same(state, json.loads(json.dumps(state)))


@given(st.lists(REQUESTS, max_size=5))
def test_every_value_has_the_time_when_it_was_set(requests: list[dict[str, Any]]) -> None:
    document = Document()
    for number, request in enumerate(requests, 1):
        before = document
        document, _ = document.updated(request, now=number)
        assert document.version == before.version + 1
        for section, state in document.state.items():
            _check_stamps(state, document.metadata[section], number)
        assert document.metadata.keys() == document.state.keys()
        delta, stamps = document.delta()
        _check_stamps(delta, stamps, number)


def _check_stamps(state: Any, metadata: Any, now: int) -> None:
    if isinstance(state, dict):
        assert metadata.keys() == state.keys()
        for key in state:
            _check_stamps(state[key], metadata[key], now)
    elif isinstance(state, list):
        assert len(metadata) == len(state)
        for each, stamp in zip(state, metadata, strict=True):
            _check_stamps(each, stamp, now)
    else:
        assert set(metadata) == {"timestamp"}
        assert 1 <= metadata["timestamp"] <= now


def test_value_keeps_its_time_until_it_is_set_again() -> None:
    document, _ = Document().updated({"reported": {"a": 1, "b": {"c": [1, 2], "d": 2}}}, now=10)
    document, news = document.updated({"reported": {"a": None, "b": {"d": 2}}}, now=20)
    assert document.state == {"reported": {"b": {"c": [1, 2], "d": 2}}}
    assert document.metadata["reported"]["b"] == {"c": [{"timestamp": 10}, {"timestamp": 10}], "d": {"timestamp": 20}}
    assert news == {"reported": {"b": {"d": {"timestamp": 20}}}}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [(1, 1.0, True), (1, True, False), (0, False, False), ("1", 1, False), ([1], [1.0], True), ([], {}, False)],
)
def test_numbers_are_compared_by_value_and_never_with_booleans(one: Any, other: Any, equal: bool) -> None:
    assert (same(one, other), same(other, one)) == (equal, equal)
    assert difference({"a": one}, {"a": other}) == ({} if equal else {"a": one})


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_payload_is_a_request_or_an_error(payload: bytes) -> None:
    try:
        request = parse_document(payload)
    except ServiceError as error:
        assert error.code in {"InvalidRequest", "UnsupportedDocumentEncoding"}
    else:
        assert request == json.loads(payload)


@pytest.mark.parametrize("depth", [6, 8])
def test_section_has_a_limited_number_of_levels(depth: int) -> None:
    fits = json.loads('{"a":' * (depth - 1) + "{}" + "}" * (depth - 1))
    assert check_state({"state": {"desired": fits}}, depth) == {"desired": fits}
    with pytest.raises(ServiceError, match=f"too many levels of nesting; maximum is {depth}"):
        check_state({"state": {"desired": {"a": fits}}}, depth)
    with pytest.raises(ServiceError, match="too many levels"):
        check_state({"state": {"reported": {"a": [fits]}}}, depth)
