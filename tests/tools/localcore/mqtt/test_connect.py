"""CONNECT: who comes in, who does not, and how that looks."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from mqtt443_tools.localcore.auth.peer import Endpoint

from tests.support.mqtt.client import (
    DISCONNECT,
    PINGREQ,
    Connack,
    client_connect,
    client_publish,
    client_subscribe,
    frame,
)
from tests.support.mqtt.engine import Engine, MakeEngine, allow


def refused(engine: Engine, connect: bytes, **peer: Any) -> tuple[list[Any], str, str]:
    """Send a CONNECT that must not come in; what came back, the reason and the detail."""
    client = engine.client(**peer)
    client.send(connect)
    assert client.closed
    event = engine.events[-1]
    assert event.outcome == "refused"
    return client.take(), event.reason, event.detail


def test_accepted_client_gets_connack_and_one_event(engine: Engine) -> None:
    client = engine.client()
    client.send(client_connect("dev-1", keep_alive_s=60))
    assert client.take() == [Connack(0)]
    (event,) = engine.events
    assert (event.outcome, event.reason, event.client_id) == ("accepted", "CONNECTED", "dev-1")
    assert event.detail == "MQTT, authorizer test, keep alive 60 s, new session"


def test_authorizer_gets_the_documented_event(engine: Engine) -> None:
    engine.client().send(client_connect("dev-1", "user?x=y", b"p\xff"))
    (event,) = engine.function.events
    assert event["protocols"] == ["tls", "mqtt"]
    assert event["protocolData"] == {
        "tls": {"serverName": "localhost"},
        "mqtt": {"username": "user?x=y", "password": base64.b64encode(b"p\xff").decode(), "clientId": "dev-1"},
    }
    assert event["connectionMetadata"]["id"] == engine.events[0].connection_id


def test_client_that_the_authorizer_refuses_is_closed_without_connack(engine: Engine) -> None:
    engine.function.refuse()
    received, reason, _ = refused(engine, client_connect())
    assert (received, reason) == ([], "NOT_AUTHENTICATED")


def test_client_without_iot_connect_is_closed_without_connack(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/other")))
    received, reason, detail = refused(engine, client_connect("dev-1"))
    assert (received, reason) == ([], "AUTHORIZATION_FAILURE")
    assert "iot:Connect" in detail
    assert "client/dev-1" in detail


def test_refusal_is_connack_5_if_the_setting_says_so(make_engine: MakeEngine) -> None:
    engine = make_engine(refusal="connack")
    engine.function.refuse()
    received, reason, _ = refused(engine, client_connect())
    assert (received, reason) == ([Connack(5)], "NOT_AUTHENTICATED")


@pytest.mark.parametrize("client_id", ["", "x" * 129, "é" * 65, "$aws"])
def test_bad_client_id_gets_connack_2_and_no_lambda_call(engine: Engine, client_id: str) -> None:
    received, reason, detail = refused(engine, client_connect(client_id))
    assert (received, reason) == ([Connack(2)], "CLIENT_ERROR")
    assert "client id" in detail
    assert engine.function.events == []


def test_client_id_of_128_bytes_is_taken(engine: Engine) -> None:
    engine.connected("é" * 64)


def test_empty_client_id_is_replaced_if_the_setting_says_so(make_engine: MakeEngine) -> None:
    engine = make_engine(empty_client_id="assign")
    engine.connected("")
    assert "clientId" not in engine.function.events[0]["protocolData"]["mqtt"]
    assert len(engine.events[0].client_id or "") == 32
    received, _, detail = refused(engine, client_connect("", clean=False))
    assert received == [Connack(2)]
    assert "[MQTT-3.1.3-8]" in detail


@pytest.mark.parametrize("name", ["MQTT", "MQIsdp"])
def test_mqtt_3_1_gets_connack_1(engine: Engine, name: str) -> None:
    received, reason, detail = refused(engine, client_connect(name=name, level=3))
    assert (received, reason) == ([Connack(1)], "CLIENT_ERROR")
    assert "MQTT 3.1:" in detail


@pytest.mark.parametrize(
    "packet", [PINGREQ, DISCONNECT, client_publish("t"), client_subscribe(("t", 0)), frame(0x62, b"\0\1")]
)
def test_packet_before_connect_closes(engine: Engine, packet: bytes) -> None:
    received, reason, detail = refused(engine, packet + client_connect())
    assert (received, reason) == ([], "CLIENT_ERROR")
    assert "[MQTT-3.1.0-1]" in detail
    assert engine.function.events == []


def test_bytes_that_are_no_mqtt_close(engine: Engine) -> None:
    received, reason, _ = refused(engine, b"GET / HTTP/1.1\r\n\r\n")
    assert (received, reason) == ([], "CLIENT_ERROR")


def test_second_connect_closes(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_connect())
    assert client.closed
    assert engine.events[-1].detail == "a second CONNECT [MQTT-3.1.0-2]"
    assert engine.outcomes()[-1] == ("closed", "CLIENT_ERROR")


def test_packets_sent_right_behind_connect_are_handled_after_it(engine: Engine) -> None:
    client = engine.client()
    client.send(client_connect() + client_publish("telemetry/x", b"early") + PINGREQ)
    assert isinstance(client.take(2)[0], Connack)
    assert engine.payloads() == [b"early"]
    assert engine.events[0].detail.endswith(
        "new session; sent PUBLISH, PINGREQ before CONNACK, which AWS asks clients to wait for"
    )


def test_packets_sent_before_connack_can_end_the_connection(make_engine: MakeEngine) -> None:
    engine = make_engine(before_connack="close")
    received, reason, detail = refused(engine, client_connect() + client_publish("telemetry/x", b"early"))
    assert (received, reason, engine.messages) == ([], "CLIENT_ERROR", [])
    assert detail.startswith("sent PUBLISH before CONNACK")
    engine.connected().send(client_publish("telemetry/x", b"in time"))
    assert engine.payloads() == [b"in time"]


def test_more_than_one_connect_a_second_is_refused_per_client_id(make_engine: MakeEngine) -> None:
    engine = make_engine(connect_rate_per_s=1)
    engine.connected("a")
    engine.connected("b")
    _, reason, _ = refused(engine, client_connect("a"))
    assert reason == "THROTTLED"
    engine.advance(1)
    engine.connected("a")


def test_refused_clients_do_not_use_up_the_rate_of_the_real_one(make_engine: MakeEngine) -> None:
    engine = make_engine(connect_rate_per_s=1)
    engine.function.refuse()
    refused(engine, client_connect("a"))
    engine.function.allow(allow(("*", "*")))
    engine.connected("a")


@pytest.mark.parametrize(
    ("will", "problem"),
    [
        (("t", b"", 2, False), "QoS 2"),
        (("t/+", b"", 0, False), "3.3.2-2"),
        (("", b"", 0, False), "empty"),
        (("/" * 8, b"", 0, False), "slashes"),
        (("$aws/x", b"", 0, False), "reserved"),
    ],
)
def test_will_that_aws_does_not_take_closes(engine: Engine, will: Any, problem: str) -> None:
    received, reason, detail = refused(engine, client_connect(will=will))
    assert (received, reason) == ([], "CLIENT_ERROR")
    assert problem in detail


@pytest.mark.parametrize(
    ("allowed", "retain", "comes_in"),
    [
        ([("Publish", "topic/last/words")], False, True),
        ([("Publish", "topic/other")], False, False),
        ([("Publish", "topic/last/words")], True, False),
        ([("Publish", "topic/last/words"), ("RetainPublish", "topic/last/words")], True, True),
    ],
)
def test_will_needs_permission_to_publish(
    engine: Engine, allowed: list[tuple[str, str]], retain: bool, comes_in: bool
) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1"), *allowed))
    client = engine.client()
    client.send(client_connect("dev-1", will=("last/words", b"bye", 0, retain)))
    assert client.take() == ([Connack(0)] if comes_in else [])
    assert engine.events[-1].reason == ("CONNECTED" if comes_in else "AUTHORIZATION_FAILURE")


class TestDomainConfiguration:
    DOMAIN = Endpoint("iot.example.com", is_domain=True)

    @pytest.fixture
    def engine(self, make_engine: MakeEngine) -> Engine:
        return make_engine(domain_name="iot.example.com", domain_authorizer="test")

    def test_its_own_default_authorizer_is_asked(self, engine: Engine) -> None:
        client = engine.client(endpoint=self.DOMAIN)
        client.send(client_connect())
        assert client.take() == [Connack(0)]
        assert engine.function.events[0]["protocolData"]["tls"]["serverName"] == "iot.example.com"

    def test_override_is_refused(self, engine: Engine) -> None:
        login = "dev-1?x-amz-customauthorizer-name=other"
        _, reason, _ = refused(engine, client_connect(username=login), endpoint=self.DOMAIN)
        assert reason == "CUSTOM_AUTHORIZER_PARAMETER_INVALID"

    def test_without_a_default_there_is_no_authorizer(self, make_engine: MakeEngine) -> None:
        engine = make_engine(domain_name="iot.example.com", domain_authorizer=None)
        _, reason, _ = refused(engine, client_connect(), endpoint=self.DOMAIN)
        assert reason == "CUSTOM_AUTHORIZER_NOT_FOUND"

    def test_disabled_one_refuses(self, make_engine: MakeEngine) -> None:
        engine = make_engine(domain_name="iot.example.com", domain_authorizer="test", domain_enabled=False)
        _, reason, _ = refused(engine, client_connect(), endpoint=self.DOMAIN)
        assert reason == "DOMAIN_CONFIGURATION_DISABLED"
        assert engine.function.events == []


def test_connect_rates_of_idle_clients_are_not_kept(make_engine: MakeEngine) -> None:
    engine = make_engine(connect_rate_per_s=1)
    for number in range(50):
        engine.connected(f"dev-{number}").vanish()
        engine.advance(0.1)
    assert len(engine.context.admission._rates) <= 11, "a second's worth of clients, and the one that just came"
