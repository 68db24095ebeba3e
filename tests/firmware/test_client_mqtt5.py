"""The client with MQTT 5: CONNECT, what CONNACK allows or refuses, and the way back to 3.1.1."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.firmware.clients import LOGIN
from tests.firmware.clients5 import connected, new
from tests.firmware.fakes import Ticks, Wire
from tests.support.mqtt.answers import (
    MQTT_5,
    MQTT_311,
    connack,
    packet,
    reason_string,
    text,
)

from mqtt443 import config_schema, errors  # isort: skip

CONNACK = connack(MQTT_5)
# Receive Maximum 8, Maximum Packet Size 512, Request Problem Information 1.
LIMITS = b"\x21\0\x08\x27\0\0\x02\0\x17\1"


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({}, b"\0\4MQTT\5\xc2\0\x78\x0a" + LIMITS + b"\0\4dev1\0\1u\0\2pw"),
        (
            {"clean_session": False, "window": 100, "max_message_bytes": 32768},
            b"\0\4MQTT\5\xc0\0\x78\x0f\x11\0\x09\x3a\x80\x21\0\x64\x27\0\0\x80\0\x17\1\0\4dev1\0\1u\0\2pw",
        ),
        ({"username": "", "password": ""}, b"\0\4MQTT\5\x02\0\x78\x0a" + LIMITS + b"\0\4dev1"),
        (
            {"will_topic": "s", "will_message": "gone"},
            b"\0\4MQTT\5\xc6\0\x78\x0a" + LIMITS + b"\0\4dev1\0\0\1s\0\4gone\0\1u\0\2pw",
        ),
    ],
)
def test_connect_is_this_packet_in_one_write(changes: dict[str, Any], body: bytes) -> None:
    wire = Wire([CONNACK])
    new(wire, **changes).connect()
    assert wire.writes == [packet(0x10, body)]


def test_session_present_is_returned() -> None:
    assert new(Wire([connack(MQTT_5, session=True)])).connect(clean_session=False) is True


def test_version_is_5_unless_the_config_says_otherwise() -> None:
    assert config_schema.validate(LOGIN).mqtt == "5"
    assert config_schema.validate({**LOGIN, "mqtt": "3.1.1"}).mqtt == "3.1.1"


@pytest.mark.parametrize("number", [5, "5"])
def test_version_is_a_number_or_text_in_config(number: Any) -> None:
    assert config_schema.validate({**LOGIN, "mqtt": number}).mqtt == "5"


@pytest.mark.parametrize("number", [4, 3.1, True, "3.1", ""])
def test_other_versions_are_refused_in_config(number: Any) -> None:
    with pytest.raises(errors.ConfigError, match=r"mqtt is .*; it must be one of 5, 3\.1\.1"):
        config_schema.validate({**LOGIN, "mqtt": number})


# CONNACK.


def test_server_without_properties_allows_everything_but_an_alias() -> None:
    client, _ = connected()
    assert (client.keepalive_s, client.receive_maximum, client.max_qos) == (120, 65535, 1)
    assert (client.retain_available, client.packets.alias) == (1, 0)
    assert client.fits(b"t", b"x" * 131072)


def test_what_the_server_allows_is_kept_until_the_next_connection() -> None:
    allowed = b"\x11\0\0\x0e\x10\x13\0\x3c\x21\0\x05\x22\0\x08\x24\0\x25\0\x26\0\1k\0\1v\x27\0\0\1\0\x28\1\x29\0\x2a\1"
    client = new(Wire([connack(MQTT_5, properties=allowed)]), Wire([CONNACK]))
    client.connect()
    assert (client.keepalive_s, client.receive_maximum, client.max_qos) == (60, 5, 0)
    assert (client.retain_available, client.packets.alias) == (0, 1)
    assert client.fits(b"t" * 38, b"x" * 200)
    assert not client.fits(b"t" * 38, b"x" * 201)
    client.connect()
    assert (client.keepalive_s, client.receive_maximum, client.max_qos) == (120, 65535, 1)


def test_assigned_client_id_is_for_a_client_without_one() -> None:
    assigned = connack(MQTT_5, properties=text(0x12, b"auto-1"))
    client = new(Wire([assigned]), Wire([assigned]))
    client.client_id = b""
    client.connect()
    assert client.client_id == b"auto-1"
    client, _ = connected(properties=text(0x12, b"auto-2"))
    assert client.client_id == b"dev1"


def test_keep_alive_of_the_server_counts() -> None:
    ticks = Ticks()
    client, wire = connected(properties=b"\x13\0\x1e", ticks=ticks)
    ticks.now_ms += 14_999
    assert client.keep_alive() == 1
    assert wire.writes == []
    ticks.now_ms += 1
    client.keep_alive()
    assert wire.writes == [b"\xc0\0"]


def test_server_without_qos_1_gets_qos_0() -> None:
    client, wire = connected(properties=b"\x24\0")
    client.publish("t", "x", qos=1)
    assert wire.writes == [b"\x30\x05\0\1t\0x"]


def test_server_without_retained_messages_gets_none() -> None:
    client, wire = connected(properties=b"\x25\0")
    with pytest.raises(ValueError, match="retained"):
        client.publish("t", "x", retain=True)
    assert wire.writes == []


def test_message_larger_than_the_server_takes_is_not_sent() -> None:
    client, wire = connected(properties=b"\x27\0\0\0\x40")
    client.publish("t", "x" * 45)
    with pytest.raises(ValueError, match="the server takes 64"):
        client.publish("t", "x" * 46)
    assert [len(written) for written in wire.writes] == [51]


@pytest.mark.parametrize(
    "hostile",
    [
        packet(0x20, b"\0"),
        packet(0x20, b"\0\0"),  # MQTT 3.1.1, to a CONNECT of MQTT 5
        packet(0x20, b"\0\5"),
        packet(0x20, b"\2\0\0"),
        packet(0x20, b"\1\x87\0"),  # a session with a refusal
        packet(0x20, b"\0\1\0"),  # no code of CONNACK
        packet(0x20, b"\0\0\0\0"),
        packet(0x20, b"\0\0\5\x21\0\1"),
        connack(MQTT_5, properties=b"\x21\0\0"),
        connack(MQTT_5, properties=b"\x27\0\0\0\0"),
        connack(MQTT_5, properties=b"\x24\2"),
        connack(MQTT_5, properties=b"\x25\2"),
        connack(MQTT_5, properties=b"\x22\0\1\x22\0\1"),
        connack(MQTT_5, properties=text(0x15, b"SCRAM")),  # authentication that was not asked for
        connack(MQTT_5, properties=b"\x17\1"),
        connack(MQTT_5, properties=text(0x1F, b"x" * 600)),
        b"\xe0\0",
        b"\xd0\0",
    ],
)
def test_wrong_answer_to_connect_is_malformed(hostile: bytes) -> None:
    wire = Wire([hostile])
    with pytest.raises(errors.MalformedPacket):
        new(wire).connect()
    assert wire.closed == 1


@settings(max_examples=25)
@given(st.binary(max_size=40), st.booleans())
def test_any_answer_to_connect_is_an_answer_or_an_error_of_the_tree(body: bytes, whole: bool) -> None:
    sent = packet(0x20, body) if whole else body
    client = new(Wire([sent, errors.ConnectionLost("over")]), Wire([errors.ConnectionLost("over")]))
    try:
        client.connect()
    except errors.Mqtt443Error:
        assert client.sock is None


@pytest.mark.parametrize(
    ("code", "words", "hint", "passes"),
    [
        (0x80, "unspecified error (0x80)", "", False),
        (0x85, "client identifier not valid (0x85)", "client_id", False),
        (0x86, "bad user name or password (0x86)", "Check username and password", False),
        (0x87, "not authorized (0x87)", "Check username, password, client_id, authorizer, and iot:Connect", False),
        (0x88, "server unavailable (0x88)", "", True),
        (0x97, "quota exceeded (0x97)", "quota", True),
        (0x9F, "connection rate exceeded (0x9f)", "Too many connections", True),
    ],
)
def test_refusal_says_why_in_words_and_how_long_to_wait(code: int, words: str, hint: str, passes: bool) -> None:
    wire = Wire([connack(MQTT_5, code=code, properties=reason_string("the policy lacks iot:Connect"))])
    with pytest.raises(errors.ConnectRefused) as raised:
        new(wire).connect()
    assert raised.value.args[0] == f"refused: {words}: the policy lacks iot:Connect"
    assert hint in str(raised.value)
    assert (raised.value.code, raised.value.is_refusal) == (code, not passes)
    assert wire.closed == 1


# The way back to 3.1.1.


@pytest.mark.parametrize("answer", [b"\x20\x02\0\1", connack(MQTT_5, code=0x84)])
def test_server_that_speaks_311_alone_gets_it_at_once_and_from_then_on(answer: bytes) -> None:
    first, second, third = Wire([answer]), Wire([b"\x20\x02\1\0"]), Wire([b"\x20\x02\0\0"])
    client = new(first, second, third)
    assert client.connect(clean_session=False) is True
    assert client.notice == ", MQTT 3.1.1: the server does not speak 5"
    assert first.closed == 1
    client.connect()
    for wire in (second, third):
        assert wire.writes[0][:10] == b"\x10\x17\0\4MQTT\4" + wire.writes[0][9:10]
    client.publish("t", "x")
    assert third.writes[1:] == [b"\x30\x04\0\1tx"]


def test_server_that_speaks_neither_is_refused() -> None:
    with pytest.raises(errors.ConnectRefused, match=r"does not speak MQTT 3\.1\.1"):
        new(Wire([b"\x20\x02\0\1"]), Wire([b"\x20\x02\0\1"])).connect()


def test_nothing_of_version_5_is_left_after_falling_back() -> None:
    limits = connack(MQTT_5, properties=b"\x13\0\x1e\x21\0\1\x22\0\1")
    client = new(Wire([limits]), Wire([b"\x20\x02\0\1"]), Wire([b"\x20\x02\0\0"]))
    client.connect()
    client.connect()
    assert (client.keepalive_s, client.receive_maximum, client.packets.alias) == (120, 65535, 0)
    assert connack(MQTT_311) == b"\x20\x02\0\0"
