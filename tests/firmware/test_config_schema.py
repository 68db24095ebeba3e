"""config.json: what is accepted, and the one line that explains what is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import config_schema
from mqtt443.errors import ConfigError
from mqtt443_tools.support.paths import ROOT

BASE = {"endpoint": "abc-ats.iot.eu-west-1.amazonaws.com", "client_id": "dev1", "username": "u", "password": "p"}


def made(**changes: Any) -> Any:
    return config_schema.validate({**BASE, **changes})


def refused(**changes: Any) -> str:
    with pytest.raises(ConfigError) as info:
        made(**changes)
    text = str(info.value)
    assert "\n" not in text
    return text


def test_defaults_fill_missing_keys() -> None:
    got = config_schema.validate({"endpoint": "h", "client_id": "dev1"})
    for key, _, default, *_ in config_schema.FIELDS:
        if default is not config_schema.REQUIRED and key != "topic":
            assert getattr(got, key.replace(".", "_")) == default, key
    assert got.topic == "telemetry/dev1"


def test_every_field_is_well_formed() -> None:
    fields: Any = config_schema.FIELDS
    for key, kind, default, low, high in fields:
        assert kind in ("int", "bool", "choice", "str", "secret", *config_schema._MORE), key
        if kind == "int":
            assert default is None or low <= default <= high, key
        if kind == "choice":
            assert default in low
            assert high is None


def test_example_is_valid() -> None:
    got = config_schema.load(str(ROOT / "config.example.json"))
    assert (got.port, got.transport, got.wifi_ssid) == (443, "auto", "your network")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"endpoint": None}, ["endpoint is missing", "add it"]),
        ({"client_id": None}, ["client_id is missing"]),
        ({"port": "443"}, ["port is '443'", "a whole number from 1 to 65535"]),
        ({"port": 0}, ["port is 0", "from 1 to 65535"]),
        ({"port": 443.5}, ["port is 443.5", "whole number"]),
        ({"qos": True}, ["qos is True", "from 0 to 1"]),
        ({"qos": 2}, ["qos is 2", "from 0 to 1"]),
        ({"keepalive_s": 29}, ["keepalive_s is 29", "from 30 to 1200"]),
        ({"keepalive_s": 1201}, ["keepalive_s is 1201", "from 30 to 1200"]),
        ({"interval_s": 0}, ["interval_s is 0"]),
        ({"transport": "mqtt"}, ["transport is 'mqtt'", "auto, alpn, wss, tls"]),
        ({"window": 0}, ["window is 0", "from 1 to 100"]),
        ({"window": 101}, ["window is 101"]),
        ({"outbox_bytes": 1048577}, ["outbox_bytes is 1048577", "from 0 to 1048576"]),
        ({"ttl_s": -1}, ["ttl_s is -1", "from 0 to 31536000"]),
        ({"commands": "yes"}, ["commands is 'yes'", "true or false"]),
        ({"reset_after": 1001}, ["reset_after is 1001", "from 0 to 1000"]),
        ({"watchdog_s": 3601}, ["watchdog_s is 3601", "from 0 to 3600"]),
        ({"deep_sleep": 0}, ["deep_sleep is 0", "true or false"]),
        ({"safe_pin": 49}, ["safe_pin is 49", "from 0 to 48"]),
        ({"clean_session": 1}, ["clean_session is 1", "true or false"]),
        ({"intervall_s": 5}, ["unknown key 'intervall_s'", "did you mean interval_s?"]),
        ({"certificate_file": "x"}, ["unknown key 'certificate_file'", "remove it"]),
        ({"wifi.ssid": "x"}, ["wifi must be", "ssid"]),
        ({"wifi_ssid": None}, ["wifi must be", "ssid"]),
        ({"wifi": {"ssid": "x", "pasword": "y"}}, ["'wifi.pasword'", "did you mean wifi.password?"]),
        ({"wifi": {"password": "y"}}, ["wifi must be", "ssid"]),
        ({"wifi": "home"}, ["wifi must be"]),
        ({"client_id": "x" * 129}, ["client_id is", "xxx", "1 to 128 bytes"]),
        ({"client_id": "ä" * 65}, ["client_id is", "1 to 128 bytes"]),
        ({"client_id": ""}, ["client_id is ''", "1 to 128 bytes"]),
        ({"client_id": "a\nb"}, ["client_id is"]),
        ({"endpoint": "https://abc.amazonaws.com"}, ["endpoint is", "no https://"]),
        ({"endpoint": "abc.amazonaws.com:443"}, ["endpoint is", "no port"]),
        ({"authorizer": "my.auth"}, ["authorizer is", "letters"]),
        ({"topic": "x" * 257}, ["topic is", "1 to 256 bytes"]),
        ({"topic": "{client_id}" * 24, "client_id": "x" * 20}, ["topic is" if 24 * 11 > 256 else "topic has"]),
        ({"topic": "a/b/{client_id}" + "x" * 200, "client_id": "y" * 60}, ["topic has 264 bytes", "256 and 7"]),
        ({"topic": "a/b/c/d/e/f/g/h/i"}, ["topic has", "8 slashes", "256 and 7"]),
        ({"topic": "a/+/b"}, ["topic is", "+ #"]),
        ({"topic": "a/#"}, ["topic is", "+ #"]),
        ({"topic": "{clientid}/x"}, ["topic is", "{ }"]),
        ({"topic": "$aws/things/x"}, ["topic is", "AWS keeps"]),
        ({"will_topic": "$SYS/x"}, ["will_topic is", "AWS keeps"]),
        ({"client_id": "a#b"}, ["topic is", "+ #"]),
        ({"username": "u?x=y"}, ["username", "authorizer"]),
        ({"token": "t"}, ["token, token_key", "come together"]),
        ({"token_key": "k", "token_signature": "abcd"}, ["token, token_key", "come together"]),
        ({"token": "a&b", "token_key": "k", "token_signature": "abcd"}, ["token must not hold"]),
        ({"token": "a", "token_key": "k!", "token_signature": "abcd"}, ["token_key is"]),
    ],
)
def test_wrong_value_names_key_problem_and_fix(changes: dict[str, Any], words: list[str]) -> None:
    text = refused(**changes)
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("given", "timeout_s", "used"), [(0, 120, 0), (1, 10, 60), (None, 15, 120), (None, 61, 305), (300, 120, 600)]
)
def test_watchdog_is_longer_than_any_slow_step(given: int | None, timeout_s: int, used: int) -> None:
    assert made(watchdog_s=given, timeout_s=timeout_s).watchdog_s == used


@pytest.mark.parametrize("topic", ["a/b/c/d/e/f/g/h", "$aws/rules/r/a/b/c/d/e/f/g/h", "ü/ñ"])
def test_topics_at_the_limit_are_taken(topic: str) -> None:
    assert made(topic=topic).topic == topic


@pytest.mark.parametrize("key", ["password", "token", "token_signature"])
def test_secret_is_not_shown_when_it_is_wrong(key: str) -> None:
    long = "hunter2" * 1000
    for wrong in (long, ["hunter2"], "hunter2\x07"):
        assert "hunter2" not in refused(**{"token": "t", "token_key": "k", "token_signature": "AA==", key: wrong})


def test_wifi_password_is_not_shown() -> None:
    assert "hunter2" not in refused(wifi={"ssid": "x", "password": "hunter2" * 20})


def test_config_does_not_print_secrets() -> None:
    got = made(password="hunter2", wifi={"ssid": "x", "password": "hunter3"})
    for text in (repr(got), str(got)):
        assert "hunter" not in text
        assert "dev1" in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"username": ""}, None),
        ({}, "u"),
        ({"authorizer": "MyAuth"}, "u?x-amz-customauthorizer-name=MyAuth"),
        ({"username": "", "authorizer": "My=Auth,@"}, "?x-amz-customauthorizer-name=My%3DAuth%2C%40"),
        (
            # what the official SDK sends, byte for byte (facts, 6.1)
            {
                "username": "dev1",
                "authorizer": "MyAuth",
                "token": "abc+/=1",
                "token_key": "tok",
                "token_signature": "AA+/BB==",
            },
            "dev1?x-amz-customauthorizer-name=MyAuth&x-amz-customauthorizer-signature=AA%2B/BB%3D%3D&tok=abc+/=1",
        ),
        (
            {"token": "t", "token_key": "k", "token_signature": "AA%2B"},
            "u?x-amz-customauthorizer-signature=AA%2B&k=t",
        ),
    ],
)
def test_user_name_carries_the_authorizer_as_the_sdk_writes_it(changes: dict[str, Any], expected: str) -> None:
    assert made(**changes).mqtt_username == expected


def test_quote_keeps_only_unreserved_characters() -> None:
    assert config_schema.quote("aZ9-_.~/ &=ü%") == "aZ9-_.~/%20%26%3D%C3%BC%25"


def test_missing_file_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.example\.json"):
        config_schema.load(str(tmp_path / "config.json"))


def test_huge_key_is_truncated_in_the_message() -> None:
    assert len(refused(**{"x" * 1_000_000: 1})) < 120


def test_broken_json_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{\n  "endpoint": "h",\n  "port": 443,,\n}')
    with pytest.raises(ConfigError) as info:
        config_schema.load(str(path))
    assert str(path) in str(info.value)
    assert "line 3" in str(info.value)


# As JSON writes a lone surrogate, and as bytes that CPython's json takes for one.
@pytest.mark.parametrize("lone", [b"\\ud800", b"\\udfff", b"\xed\xa0\x80"])
@pytest.mark.parametrize("key", ["client_id", "password", "topic", "transport", "port", "unknown"])
def test_lone_surrogate_is_one_line(tmp_path: Path, key: str, lone: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(json.dumps({**BASE, key: "HERE"}).encode().replace(b"HERE", b"a" + lone))
    with pytest.raises(ConfigError) as info:
        config_schema.load(str(path))
    assert "half a character" in str(info.value) or "not UTF-8" in str(info.value)
    str(info.value).encode("ascii")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested too deep at line 1"),
        ("{", "not valid JSON at line 1"),
        ("\xff", "not UTF-8"),
        ("", "not valid JSON at line 1"),
    ],
)
def test_hostile_json_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=words) as info:
        config_schema.load(str(path))
    assert "\n" not in str(info.value)


def test_load_names_the_file_in_front_of_the_problem(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("[]")
    with pytest.raises(ConfigError, match=r"config\.json: must be one object"):
        config_schema.load(str(path))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([field[0] for field in config_schema.FIELDS] + ["wifi", "x", ""])


@given(st.dictionaries(KEYS, JSON, max_size=6) | JSON)
def test_any_json_gives_a_config_or_one_line(values: Any) -> None:
    try:
        got = config_schema.validate(values)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert len(got.topic.encode()) <= 256
        json.dumps(vars(got))


def test_nearest_suggests_only_close_names() -> None:
    assert config_schema.nearest("interval") == "interval_s"
    assert config_schema.nearest("topics") == "topic"
    assert config_schema.nearest("endpiont") == "endpoint"
    for field in config_schema.FIELDS:  # a known key is nearest to itself
        assert config_schema.nearest(field[0]) == field[0]
    assert config_schema.nearest("banana") == ""
