"""CONNECT of MQTT 5: the server's capabilities, what it grants of the client's requests, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mqtt.client import Connack, client_connect, client_publish, frame
from tests.support.mqtt.client5 import Connack5, Disconnect5, connect5, disconnect5, publish5
from tests.support.mqtt.engine import Engine, EngineClient, MakeEngine, allow


def connack(engine: Engine, *args: Any, **options: Any) -> Connack5:
    """The CONNACK of a client that comes in."""
    client = engine.client(5)
    client.send(connect5(*args, **options))
    answer = client.next()
    assert isinstance(answer, Connack5)
    assert answer.code == 0
    return answer


def refusal(engine: Engine, connect: bytes) -> tuple[int, str]:
    """The reason code and the reason string of a CONNECT that must not come in; the log says the same."""
    client = engine.client(5)
    client.send(connect)
    assert client.closed
    (answer,) = client.take(1)
    assert isinstance(answer, Connack5)
    event = engine.events[-1]
    assert event.outcome == "refused"
    assert answer.found.get("ReasonString", event.detail) == event.detail
    return answer.code, event.detail


def test_connack_announces_the_capabilities_of_aws(engine: Engine) -> None:
    assert connack(engine, keep_alive_s=60).found == {
        "SessionExpiryInterval": 0,
        "ReceiveMaximum": 100,
        "MaximumQoS": 1,
        "RetainAvailable": 1,
        "MaximumPacketSize": 146 * 1024,
        "TopicAliasMaximum": 8,
        "WildcardSubscriptionAvailable": 1,
        "SubscriptionIdentifierAvailable": 0,
        "SharedSubscriptionAvailable": 1,
        "ServerKeepAlive": 60,
    }
    assert engine.events[-1].detail == "MQTT 5, authorizer test, keep alive 60 s, new session"


@pytest.mark.parametrize(("asked_s", "given_s"), [(0, 1200), (1, 30), (60, 60), (65535, 1200)])
def test_server_keep_alive_is_the_one_that_aws_applies(engine: Engine, asked_s: int, given_s: int) -> None:
    assert connack(engine, keep_alive_s=asked_s).found["ServerKeepAlive"] == given_s


@pytest.mark.parametrize(("asked_s", "given_s"), [(None, 0), (0, 0), (60, 60), (3601, 3600), (0xFFFF_FFFF, 3600)])
def test_session_expiry_comes_back_adjusted(engine: Engine, asked_s: int | None, given_s: int) -> None:
    asked = {} if asked_s is None else {"SessionExpiryInterval": asked_s}
    assert connack(engine, **asked).found["SessionExpiryInterval"] == given_s


def test_account_may_allow_sessions_of_seven_days(make_engine: MakeEngine) -> None:
    engine = make_engine(session_expiry_s=604_800)
    assert connack(engine, SessionExpiryInterval=0xFFFF_FFFF).found["SessionExpiryInterval"] == 604_800


def test_empty_client_id_is_assigned_one(engine: Engine) -> None:
    client_id = connack(engine, "").found["AssignedClientIdentifier"]
    assert engine.events[-1].client_id == client_id
    assert len(client_id) == 32
    assert connack(engine, "").found["AssignedClientIdentifier"] != client_id


def test_login_that_the_authorizer_refuses_is_not_authorized(engine: Engine) -> None:
    engine.function.refuse()
    code, detail = refusal(engine, connect5())
    assert (code, detail) == (0x87, "the authorizer refused (isAuthenticated false)")


def test_refused_login_can_be_a_bad_user_name_or_password(make_engine: MakeEngine) -> None:
    engine = make_engine(mqtt5_login_code=0x86)
    engine.function.refuse()
    assert refusal(engine, connect5())[0] == 0x86


def test_client_without_iot_connect_gets_the_missing_action_and_resource(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/other")))
    code, detail = refusal(engine, connect5("dev-1"))
    assert code == 0x87
    assert "iot:Connect" in detail
    assert "client/dev-1" in detail


def test_reason_strings_can_be_off(make_engine: MakeEngine) -> None:
    engine = make_engine(mqtt5_reason_string=False)
    engine.function.refuse()
    client = engine.client(5)
    client.send(connect5())
    assert client.take() == [Connack5(0x87, False, {})]


def test_client_that_wants_no_problem_information_still_gets_the_reason_of_connack(engine: Engine) -> None:
    engine.function.refuse()
    client = engine.client(5)
    client.send(connect5(RequestProblemInformation=0))
    (answer,) = client.take(1)
    assert "ReasonString" in answer.found  # [MQTT5-3.1.2-29] is about other packets


def test_reason_string_that_would_not_fit_is_left_out(engine: Engine) -> None:
    engine.function.allow([])
    client = engine.client(5)
    client.send(connect5("d" * 128, MaximumPacketSize=20))
    assert client.take() == [Connack5(0x97, False, {})]


@pytest.mark.parametrize(
    ("code", "connect"),
    [
        (0x85, connect5("x" * 129)),
        (0x85, connect5("$aws")),
        (0x8C, connect5(AuthenticationMethod="SCRAM")),
        (0x97, connect5(MaximumPacketSize=511)),
        (0x9B, connect5(will=("t", b"", 2, False))),
        (0x90, connect5(will=("t/+", b"", 0, False))),
        (0x90, connect5(will=("/" * 8, b"", 0, False))),
        (0x90, connect5(will=("$aws/x", b"", 0, False))),
        (0x97, connect5(will=("t", bytes(131_073 - 70_000), 0, False), will_found={"CorrelationData": bytes(9000)})),
        (0x81, client_connect(level=5, flags=0xC3)),
        (0x84, client_connect(level=6)),
        (0x82, connect5(ReceiveMaximum=1).replace(b"\x21\x00\x01", b"\x21\x00\x00")),
    ],
)
def test_connect_that_aws_does_not_take_gets_its_code(engine: Engine, code: int, connect: bytes) -> None:
    assert refusal(engine, connect)[0] == code
    assert engine.function.events == []


def test_will_needs_permission_to_publish(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1")))
    code, detail = refusal(engine, connect5("dev-1", will=("last/words", b"bye", 0, False)))
    assert (code, "topic/last/words" in detail) == (0x87, True)


@pytest.mark.parametrize("code", [0x97, 0x9F])
def test_connecting_too_often_has_the_code_that_the_setting_says(make_engine: MakeEngine, code: int) -> None:
    engine = make_engine(connect_rate_per_s=1, mqtt5_connect_rate_code=code)
    engine.connected5("a")
    assert refusal(engine, connect5("a"))[0] == code


def test_packets_before_connack_can_be_a_protocol_error(make_engine: MakeEngine) -> None:
    code, detail = refusal(make_engine(before_connack="close"), connect5() + publish5("t"))
    assert (code, detail.startswith("sent PUBLISH before CONNACK")) == (0x82, True)


def test_bytes_before_connect_get_no_answer(engine: Engine) -> None:
    client = engine.client(5)
    client.send(frame(0xF0))
    assert client.closed
    assert client.take() == []


def ended(client: EngineClient) -> Disconnect5:
    """The DISCONNECT of a client that was closed."""
    assert client.closed
    answer = client.take()[-1]
    assert isinstance(answer, Disconnect5)
    return answer


def test_old_connection_learns_that_its_session_was_taken_over(engine: Engine) -> None:
    old = engine.connected5("dev-1")
    engine.connected5("dev-1")
    assert ended(old) == Disconnect5(0x8E, "another connection came with the same client id")


def test_3_1_1_client_that_loses_its_session_gets_no_reason(engine: Engine) -> None:
    old = engine.connected("dev-1")
    engine.connected5("dev-1")
    assert old.closed
    assert old.take() == []


def test_silence_ends_with_keep_alive_timeout(engine: Engine) -> None:
    client = engine.connected5(keep_alive_s=30)
    engine.advance(45)
    assert ended(client).code == 0x8D


def test_shutdown_command_and_ttl_have_their_codes(engine: Engine) -> None:
    stopped, cut = engine.connected5("stopped"), engine.connected5("cut")
    engine.broker.disconnect("cut", "API_INITIATED_DISCONNECT", "asked for by a command")
    assert ended(cut).code == 0x98
    engine.function.allow(allow(("*", "*")), disconnect_s=300)
    short = engine.connected5("short", keep_alive_s=1200)
    engine.advance(300)
    assert ended(short).code == 0xA0
    engine.broker.close("SERVER_INITIATED_DISCONNECT", "the endpoint stops")
    assert (stopped.closed, stopped.take()[-1].code) == (True, 0x8D)


def test_stopping_endpoint_says_so(engine: Engine) -> None:
    client = engine.connected5()
    engine.broker.close("SERVER_INITIATED_DISCONNECT", "the endpoint stops")
    assert ended(client) == Disconnect5(0x8B, "the endpoint stops")


def test_policy_that_no_longer_allows_the_connection_ends_it(engine: Engine) -> None:
    engine.function.allow(allow(("*", "*")), refresh_s=300)
    client = engine.connected5(keep_alive_s=1200)
    engine.function.refuse()
    engine.advance(300)
    assert ended(client).code == 0x87


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (0x82, connect5()),
        (0x82, frame(0xF0)),
        (0x82, frame(0x62, b"\0\1")),
        (0x81, frame(0x30, b"\0\1t\x02\x7f\0")),
        (0x95, bytes([0x30, 0x81, 0x90, 0x09])),
        (0x82, disconnect5(0, SessionExpiryInterval=10)),
    ],
)
def test_broken_rule_ends_with_its_code(engine: Engine, code: int, data: bytes) -> None:
    client = engine.connected5()
    client.send(data)
    assert ended(client).code == code
    assert engine.outcomes()[-1] == ("closed", "CLIENT_ERROR")


def test_reason_of_a_clients_disconnect_is_in_the_log(engine: Engine) -> None:
    client = engine.connected5()
    client.send(disconnect5(0x93, ReasonString="too much\n"))
    assert client.take() == []
    assert engine.events[-1].line().endswith(r"DISCONNECT, reason code 0x93: too much\n")


@pytest.mark.parametrize(("code", "sent"), [(None, False), (0x00, False), (0x04, True), (0x80, True)])
def test_will_is_sent_unless_the_client_leaves_normally(engine: Engine, code: int | None, sent: bool) -> None:
    client = engine.connected5(will=("last/words", b"bye", 0, False))
    client.send(disconnect5(code))
    assert engine.payloads() == ([b"bye"] if sent else [])


def test_session_is_not_resumed_by_a_client_of_the_other_version(engine: Engine) -> None:
    engine.connected("dev-1", clean=False).vanish()
    assert not connack(engine, "dev-1", clean=False, SessionExpiryInterval=60).session_present
    assert connack(engine, "dev-1", clean=False, SessionExpiryInterval=60).session_present
    client = engine.client()
    client.send(client_connect("dev-1", clean=False))
    assert client.take() == [Connack(0, False)]


def test_session_lives_as_long_as_it_was_given_and_disconnect_can_change_that(engine: Engine) -> None:
    client = engine.connected5("dev-1", SessionExpiryInterval=60)
    client.vanish()
    engine.advance(59)
    assert connack(engine, "dev-1", clean=False, SessionExpiryInterval=60).session_present
    engine.broker.disconnect("dev-1", "TEST", "")
    engine.advance(60)
    assert not connack(engine, "dev-1", clean=False).session_present
    client = engine.connected5("dev-2", SessionExpiryInterval=60)
    client.send(disconnect5(0, SessionExpiryInterval=0))
    assert not connack(engine, "dev-2", clean=False).session_present
    client = engine.connected5("dev-3", SessionExpiryInterval=60)
    client.send(disconnect5(0, SessionExpiryInterval=100))
    engine.advance(99)
    assert connack(engine, "dev-3", clean=False).session_present


def test_both_versions_exchange_messages(engine: Engine) -> None:
    old, new = engine.subscriber(("t", 1), client_id="old"), engine.subscriber5(("t", 1), client_id="new")
    engine.connected().send(client_publish("t", b"from 3.1.1", 1))
    engine.connected5("five").send(publish5("t", b"from 5", 1))
    assert old.payloads() == new.payloads() == [b"from 3.1.1", b"from 5"]
