"""Messages to a client of MQTT 5: properties, message expiry, its Receive Maximum, packet size and aliases."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mqtt.client import Got
from tests.support.mqtt.client5 import Got5, connect5, puback5, publish5
from tests.support.mqtt.engine import Engine, MakeEngine

FORWARDED: dict[str, Any] = {
    "PayloadFormatIndicator": 1,
    "ContentType": "application/json",
    "ResponseTopic": "answers/x",
    "CorrelationData": b"\0\xff",
    "UserProperty": [("a", "1"), ("b", "2"), ("a", "3")],
}


def test_properties_are_passed_on_in_order_and_an_alias_is_not(engine: Engine) -> None:
    client = engine.subscriber5(("t", 1))
    engine.connected5().send(publish5("t", b"x", 1, TopicAlias=1, **FORWARDED))
    assert client.take() == [Got5("t", b"x", 1, False, False, 1, FORWARDED)]


def test_3_1_1_subscriber_gets_the_message_without_its_properties(engine: Engine) -> None:
    client = engine.subscriber(("t", 1))
    engine.connected5().send(publish5("t", b"x", 1, **FORWARDED))
    assert client.take() == [Got("t", b"x", 1, packet_id=1)]


def test_retained_message_keeps_its_properties(engine: Engine) -> None:
    engine.connected5().send(publish5("t", b"x", 1, retain=True, **FORWARDED))
    assert engine.subscriber5(("t", 1)).take() == [Got5("t", b"x", 1, True, False, 1, FORWARDED)]


def test_remaining_message_expiry_is_passed_on(engine: Engine) -> None:
    engine.subscriber5(("t", 1), SessionExpiryInterval=600).vanish()
    engine.connected5().send(publish5("t", b"x", 1, MessageExpiryInterval=30))
    engine.advance(20)
    client = engine.client(5)
    client.send(connect5("sub", clean=False))
    assert client.take(2)[1].found == {"MessageExpiryInterval": 10}


@pytest.mark.parametrize(("asked_s", "given_s"), [(0, 1), (1, 1), (604_801, 604_800)])
def test_message_expiry_is_at_least_1_and_at_most_7_days(engine: Engine, asked_s: int, given_s: int) -> None:
    client = engine.subscriber5(("t", 0))
    engine.connected5().send(publish5("t", b"x", MessageExpiryInterval=asked_s))
    assert client.take(1)[0].found == {"MessageExpiryInterval": given_s}


def test_expired_message_is_not_delivered_in_either_version(engine: Engine) -> None:
    engine.subscriber5(("t", 1), client_id="new", SessionExpiryInterval=600).vanish()
    engine.subscriber(("t", 1), client_id="old", clean=False).vanish()
    engine.connected5().send(publish5("t", b"x", 1, MessageExpiryInterval=30))
    engine.advance(30)
    client = engine.client(5)
    client.send(connect5("new", clean=False))
    assert client.take(1)[0].session_present
    assert engine.connected("old", clean=False).take() == []
    assert engine.outcomes().count(("dropped", "MESSAGE_EXPIRED")) == 2


def test_expired_retained_message_is_gone(engine: Engine) -> None:
    engine.connected5().send(publish5("t", b"x", 1, retain=True, MessageExpiryInterval=30))
    engine.advance(30)
    assert engine.subscriber5(("t", 1)).take() == []


def test_unacknowledged_message_that_expires_is_not_sent_again(engine: Engine) -> None:
    client = engine.subscriber5(("t", 1), SessionExpiryInterval=600)
    engine.connected5().send(publish5("t", b"x", 1, MessageExpiryInterval=30))
    client.take(1)
    client.vanish()
    engine.advance(30)
    again = engine.client(5)
    again.send(connect5("sub", clean=False))
    assert again.take(1)[0].session_present


def test_unacknowledged_message_is_dropped_after_960_seconds_and_makes_room(engine: Engine) -> None:
    client = engine.subscriber5(("t", 1), ReceiveMaximum=1, keep_alive_s=1200)
    engine.connected5(keep_alive_s=1200).send(publish5("t", b"1", 1) + publish5("t", b"2", 1, packet_id=2))
    assert client.payloads() == [b"1"]
    engine.advance(959)
    assert client.take() == []
    engine.advance(1)
    assert client.payloads() == [b"2"]  # and the first one is not sent again [MQTT5-4.4.0-1]
    assert ("dropped", "NOT_ACKNOWLEDGED") in engine.outcomes()


def test_receive_maximum_of_the_client_limits_messages_in_flight(engine: Engine) -> None:
    client = engine.subscriber5(("t", 1), ReceiveMaximum=2)
    engine.connected5().send(b"".join(publish5("t", b"%d" % i, 1, packet_id=i) for i in range(1, 5)))
    assert client.payloads() == [b"1", b"2"]
    client.send(puback5(1))
    assert client.payloads() == [b"3"]
    client.send(puback5(2, 0x80))
    assert client.payloads() == [b"4"]


def test_smaller_receive_maximum_after_a_break_limits_resending(engine: Engine) -> None:
    client = engine.subscriber5(("t", 1), SessionExpiryInterval=600)
    engine.connected5().send(b"".join(publish5("t", b"%d" % i, 1, packet_id=i) for i in range(1, 4)))
    client.vanish()
    again = engine.client(5)
    again.send(connect5("sub", clean=False, ReceiveMaximum=2))
    assert [packet.packet_id for packet in again.take(3)[1:]] == [1, 2]
    again.send(puback5(2))
    assert [packet.packet_id for packet in again.take()] == [3]


def test_resending_waits_960_seconds_from_the_reconnect(engine: Engine) -> None:
    client = engine.subscriber5(("t", 1), SessionExpiryInterval=3600)
    engine.connected5().send(publish5("t", b"1", 1) + publish5("t", b"2", 1))
    client.vanish()
    engine.advance(2000)
    again = engine.client(5)
    again.send(connect5("sub", clean=False, ReceiveMaximum=1, keep_alive_s=1200))
    assert again.payloads() == [b"1"]
    engine.advance(959)
    assert again.payloads() == []
    again.send(puback5(1))
    assert again.payloads() == [b"2"]


def test_message_over_the_clients_maximum_packet_size_is_not_sent(engine: Engine) -> None:
    client = engine.subscriber5(("#", 1), MaximumPacketSize=512)
    for size, qos in ((503, 1), (504, 1), (505, 0), (506, 0)):  # 9 and 7 bytes of a packet are not payload
        engine.connected5().send(publish5("t", bytes(size), qos))
    assert [len(payload) for payload in client.payloads()] == [503, 505]
    assert ("dropped", "PACKET_TOO_LARGE") in engine.outcomes()
    client.send(puback5(1))
    engine.connected5().send(publish5("t", b"next", 1))
    assert client.payloads() == [b"next"]


def test_topic_aliases_are_used_towards_a_client_only_if_it_allows_them(engine: Engine) -> None:
    allowing = engine.subscriber5(("#", 0), client_id="a", TopicAliasMaximum=1)
    other = engine.subscriber5(("#", 0), client_id="b")
    engine.connected5().send(b"".join(publish5(topic) for topic in ("t", "u", "t")))
    assert [(got.topic, got.found) for got in allowing.take(3)] == [
        ("t", {"TopicAlias": 1}),
        ("u", {}),
        ("", {"TopicAlias": 1}),
    ]
    assert [(got.topic, got.found) for got in other.take(3)] == [("t", {}), ("u", {}), ("t", {})]


def test_topic_aliases_towards_clients_can_be_off(make_engine: MakeEngine) -> None:
    engine = make_engine(mqtt5_topic_aliases_out=0)
    client = engine.subscriber5(("t", 0), TopicAliasMaximum=10)
    engine.connected5().send(publish5("t") + publish5("t"))
    assert [got.topic for got in client.take(2)] == ["t", "t"]
