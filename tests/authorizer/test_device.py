"""What can be registered, and the form of a device as JSON."""

import json

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
def test_a_client_id_without_special_characters_can_be_registered(client_id):
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
def test_other_client_ids_cannot_be_registered(client_id):
    with pytest.raises(DeviceError, match="client id"):
        validate_client_id(client_id)


@pytest.mark.parametrize("username", ["", "a?b", "u" * 129, "a\tb"])
def test_a_user_name_that_cannot_log_in_cannot_be_registered(username):
    with pytest.raises(DeviceError, match="user name"):
        validate_username(username)


@pytest.mark.parametrize("topic", ["site/a", "/a", "a//b", "t" * 256, "1/2/3/4/5/6/7/8"])
def test_a_topic_within_the_limits_can_be_published_to(topic):
    validate_publish_topic(topic)


@pytest.mark.parametrize(
    "topic", ["", "a/+", "a/#", "*", "a?", "$aws/things", "${iot:ClientId}", "t" * 257, "1/2/3/4/5/6/7/8/9", "a\x00"]
)
def test_other_topics_cannot_be_published_to(topic):
    with pytest.raises(DeviceError, match="topic"):
        validate_publish_topic(topic)


@pytest.mark.parametrize("topic_filter", ["a", "#", "+", "a/+/b", "a/#", "+/+/#"])
def test_a_filter_as_mqtt_allows_can_be_subscribed_to(topic_filter):
    validate_subscribe_filter(topic_filter)


@pytest.mark.parametrize("topic_filter", ["", "a#", "#/a", "a/b+", "a/*", "a?", "$share/g/a", "1/2/3/4/5/6/7/8/#"])
def test_other_filters_cannot_be_subscribed_to(topic_filter):
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
def test_a_device_is_checked_as_a_whole(change):
    with pytest.raises(DeviceError):
        validate_device(device(**change))


ENDING = GENERATED._replace(expires_at=1_700_086_400)
FULL = device(secrets=(CHOSEN, ENDING), publish=("site/a",), subscribe=("site/+",), enabled=False, version=7)


def test_a_device_survives_json():
    assert from_json(json.loads(json.dumps(to_json(FULL)))) == FULL


BROKEN = {
    "no object": [],
    "field missing": {key: value for key, value in to_json(FULL).items() if key != "enabled"},
    "field unknown": {**to_json(FULL), "admin": True},
    "enabled no boolean": {**to_json(FULL), "enabled": 1},
    "version a boolean": {**to_json(FULL), "version": True},
    "client id bad": {**to_json(FULL), "client_id": "a/b"},
    "topics no strings": {**to_json(FULL), "publish": [1]},
    "topic bad": {**to_json(FULL), "publish": ["#"]},
    "no secrets": {**to_json(FULL), "secrets": []},
    "secret no object": {**to_json(FULL), "secrets": ["p@ss"]},
    "digest no hex": {**to_json(FULL), "secrets": [{"kind": "sha256", "salt": "x", "digest": "y", "created_at": 0}]},
    "end no number": {**to_json(FULL), "secrets": [{**to_json(FULL)["secrets"][1], "expires_at": True}]},
    "scrypt weak": {**to_json(FULL), "secrets": [{**to_json(FULL)["secrets"][0], "n": 2}]},
    "scrypt huge": {**to_json(FULL), "secrets": [{**to_json(FULL)["secrets"][0], "n": 2**40}]},
}


@pytest.mark.parametrize("value", BROKEN.values(), ids=BROKEN)
def test_a_broken_device_is_refused(value):
    with pytest.raises(DeviceError):
        from_json(value)


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.lists(st.text(max_size=3), max_size=2)


@settings(max_examples=150)
@given(st.sampled_from(sorted(to_json(FULL))), JSON)
def test_any_value_in_a_field_gives_a_device_or_an_error(field, value):
    try:
        assert to_json(from_json({**to_json(FULL), field: value}))[field] == value
    except DeviceError as error:
        assert "\n" not in str(error)
