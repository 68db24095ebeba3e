"""Parsing of recorded and malformed events."""

import base64
from typing import Any

import pytest
from mqtt443_authorizer.errors import Refused
from mqtt443_authorizer.event import Login, describe, parse, printable

from tests.support.aws.logins import event

LOGIN = Login("dev1", b"p@ss", "sensor-1")


@pytest.mark.parametrize(
    "name", ["mqtt", "mqtt_authorizer_name", "mqtt_sdk_metrics", "mqtt_signed", "wss", "wss_headers"]
)
def test_login_is_found_in_every_mqtt_event(name: str) -> None:
    assert parse(event(name)) == LOGIN


def test_http_login_has_no_client_id() -> None:
    assert parse(event("http")) == Login("dev1", b"p@ss", None)


@pytest.mark.parametrize(
    ("name", "reason"), [("mqtt_no_password", "no password"), ("mqtt_no_client_id", "no client id")]
)
def test_refusal_names_the_missing_field(name: str, reason: str) -> None:
    with pytest.raises(Refused, match=f"^{reason}$"):
        parse(event(name))


def mqtt(**fields: Any) -> Any:
    recorded = event("mqtt")
    recorded["protocolData"]["mqtt"].update(fields)
    return recorded


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"username": ""}, "no user name"),
        ({"username": "?x-amz-customauthorizer-name=MyAuth"}, "no user name"),
        ({"username": None}, "no user name"),
        ({"username": 5}, "user name is not a string"),
        ({"username": "u" * 129}, "user name has more than 128 bytes"),
        ({"username": "\ud800"}, "user name is not valid UTF-8"),
        ({"password": ""}, "no password"),
        ({"password": "p@ss"}, "password is not Base64"),
        ({"password": "cEBzcw"}, "password is not Base64"),
        ({"password": "cEBzcw==\n"}, "password is not Base64"),
        ({"password": "cEBzcw==cEBzcw=="}, "password is not Base64"),
        ({"password": "cEB_cw=="}, "password is not Base64"),
        ({"password": ["cEBzcw=="]}, "password is not a string"),
        ({"password": base64.b64encode(b"p" * 1026).decode()}, "password has"),
        ({"password": base64.b64encode(b"p" * 70_000).decode()}, "password has more than"),
        ({"clientId": ""}, "no client id"),
        ({"clientId": "c" * 129}, "client id has more than 128 bytes"),
        ({"clientId": {}}, "client id is not a string"),
    ],
)
def test_malformed_field_is_refused(fields: Any, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        parse(mqtt(**fields))


def test_longest_password_is_accepted() -> None:
    assert parse(mqtt(password=base64.b64encode(b"p" * 1024).decode())).password == b"p" * 1024


def test_password_is_decoded_once() -> None:
    twice = base64.b64encode(base64.b64encode(b"p@ss")).decode()
    assert parse(mqtt(password=twice)).password == b"cEBzcw=="


@pytest.mark.parametrize("junk", [None, [], "event", 1, {"protocolData": []}, {"protocolData": {"mqtt": None}}])
def test_malformed_event_is_refused(junk: object) -> None:
    with pytest.raises(Refused, match="malformed event"):
        parse(junk)


def basic(value: Any, name: str = "Authorization", **more: Any) -> Any:
    return {"protocolData": {"http": {"headers": {name: value, **more}}}}


def encoded(text: bytes) -> Any:
    return "Basic " + base64.b64encode(text).decode()


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_header_name_is_case_insensitive(name: str) -> None:
    assert parse(basic(encoded(b"dev1:p@ss"), name)) == Login("dev1", b"p@ss", None)


def test_basic_user_name_ends_at_the_first_colon() -> None:
    assert parse(basic(encoded(b"dev1:a:b"))).password == b"a:b"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "no user name"),
        (basic("Bearer abc"), "not use the Basic scheme"),
        (basic("Basic"), "no Authorization header"),
        (basic("Basic !!"), "not Base64"),
        (basic(None), "not use the Basic scheme"),
        (basic(encoded(b"dev1")), "no password"),
        (basic(encoded(b"dev1:")), "no password"),
        (basic(encoded(b":p@ss")), "no user name"),
        (basic(encoded(b"\xff:p@ss")), "not valid UTF-8"),
        (basic(encoded(b"u" * 129 + b":p")), "more than 128 bytes"),
        (basic(encoded(b"dev1:" + b"p" * 1025)), "or one of more than 1024 bytes"),
        (basic(encoded(b"dev1:a"), authorization=encoded(b"dev1:b")), "more than one Authorization header"),
    ],
)
def test_malformed_basic_login_is_refused(event: Any, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        parse(event)


def test_connect_user_name_wins_over_the_header() -> None:
    recorded = event("wss_headers")
    recorded["protocolData"]["mqtt"].update(username="dev2?a=b", password="eHl6")
    assert parse(recorded) == Login("dev2", b"xyz", "sensor-1")


def test_repr_of_a_login_hides_the_password() -> None:
    assert "p@ss" not in repr(LOGIN)


def test_description_has_no_secret_and_no_query_string() -> None:
    line = describe(event("mqtt_signed"))
    assert line == {
        "connection": "3f1c2b6e-5f0a-4a43-9c61-0d7a5f4f7f14",
        "protocols": ["tls", "mqtt"],
        "client_id": "sensor-1",
        "username": "dev1",
    }


def test_printable_is_bounded_and_has_no_control_characters() -> None:
    assert printable("a\x1b[2Jb\n" + "x" * 500) == "a\ufffd[2Jb\ufffd" + "x" * 121
    assert printable(7) is None
