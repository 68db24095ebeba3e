"""Rules for the fields of a device, and its JSON form."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_authorizer.device import (
    from_json,
    to_json,
    validate_client_id,
    validate_device,
    validate_publish_topic,
    validate_subscribe_filter,
    validate_username,
)
from mqtt443_authorizer.errors import DeviceError

from tests.support.aws.logins import CHOSEN, GENERATED, device


@pytest.mark.parametrize(
    "client_id", ["a", "myClientName", "sensor-1.b_c:d", "a b", "größe", "<arn>", "x" * 128, "é" * 64]
)
def test_client_id_without_special_characters_is_valid(client_id: str) -> None:
    validate_client_id(client_id)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        *(f"a{char}b" for char in "*?+#$/"),
        "a\nb",
        "\x00",
        "a\x7f",
        "a\x85b",
        " a",
        "a ",
        "\u00a0a",
        "x" * 129,
        "é" * 65,
        "\ud800",
    ],
)
def test_other_client_ids_are_invalid(client_id: str) -> None:
    with pytest.raises(DeviceError, match="client id"):
        validate_client_id(client_id)


@pytest.mark.parametrize("username", ["", "a?b", "u" * 129, "a\tb"])
def test_user_name_that_could_not_log_in_is_invalid(username: str) -> None:
    with pytest.raises(DeviceError, match="user name"):
        validate_username(username)


@pytest.mark.parametrize("topic", ["site/a", "/a", "a//b", "t" * 256, "1/2/3/4/5/6/7/8"])
def test_publish_topic_within_the_limits_is_valid(topic: str) -> None:
    validate_publish_topic(topic)


@pytest.mark.parametrize(
    "topic", ["", "a/+", "a/#", "*", "a?", "$aws/things", "${iot:ClientId}", "t" * 257, "1/2/3/4/5/6/7/8/9", "a\x00"]
)
def test_other_publish_topics_are_invalid(topic: str) -> None:
    with pytest.raises(DeviceError, match="topic"):
        validate_publish_topic(topic)


@pytest.mark.parametrize("topic_filter", ["a", "#", "+", "a/+/b", "a/#", "+/+/#"])
def test_topic_filter_that_mqtt_allows_is_valid(topic_filter: str) -> None:
    validate_subscribe_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/b+", "a/*", "a?", "$share/g/a", "1/2/3/4/5/6/7/8/#"])
def test_other_topic_filters_are_invalid(topic_filter: str) -> None:
    with pytest.raises(DeviceError, match="topic"):
        validate_subscribe_filter(topic_filter)


@pytest.mark.parametrize(
    "change",
    [
        {"secrets": ()},
        {"secrets": (GENERATED,) * 3},
        {"publish": tuple(map(str, range(30))), "subscribe": tuple(map(str, range(21)))},
        {"publish": ("a/+",)},
        {"subscribe": ("a/b#",)},
    ],
)
def test_device_with_an_invalid_field_is_invalid(change: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        validate_device(device(**change))


ENDING = GENERATED._replace(expires_at=1_700_086_400)
FULL = device(secrets=(CHOSEN, ENDING), publish=("site/a",), subscribe=("site/+",), enabled=False, version=7)


def test_device_survives_json() -> None:
    assert from_json(json.loads(json.dumps(to_json(FULL)))) == FULL


JSON_FULL: dict[str, Any] = to_json(FULL)

BROKEN = {
    "not an object": [],
    "missing field": {key: value for key, value in JSON_FULL.items() if key != "enabled"},
    "unknown field": {**JSON_FULL, "admin": True},
    "enabled is a number": {**JSON_FULL, "enabled": 1},
    "version is a boolean": {**JSON_FULL, "version": True},
    "invalid client id": {**JSON_FULL, "client_id": "a/b"},
    "topic is a number": {**JSON_FULL, "publish": [1]},
    "invalid topic": {**JSON_FULL, "publish": ["#"]},
    "no secrets": {**JSON_FULL, "secrets": []},
    "secret is a string": {**JSON_FULL, "secrets": ["p@ss"]},
    "digest not hexadecimal": {
        **JSON_FULL,
        "secrets": [{"kind": "sha256", "salt": "x", "digest": "y", "created_at": 0}],
    },
    "expiry is a boolean": {**JSON_FULL, "secrets": [{**JSON_FULL["secrets"][1], "expires_at": True}]},
    "weak scrypt": {**JSON_FULL, "secrets": [{**JSON_FULL["secrets"][0], "n": 2}]},
    "huge scrypt": {**JSON_FULL, "secrets": [{**JSON_FULL["secrets"][0], "n": 2**40}]},
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_broken_json_device_is_refused(value: Any) -> None:
    with pytest.raises(DeviceError):
        from_json(value)


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3), max_size=2)


@settings(max_examples=150)
@given(st.sampled_from(sorted(to_json(FULL))), JSON)
def test_any_field_value_gives_a_device_or_an_error(field: str, value: Any) -> None:
    try:
        assert to_json(from_json({**JSON_FULL, field: value}))[field] == value
    except DeviceError as error:
        assert "\n" not in str(error)
