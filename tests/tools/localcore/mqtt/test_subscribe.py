"""SUBSCRIBE, UNSUBSCRIBE and what is delivered."""

from __future__ import annotations

import pytest

from tests.support.mqtt.client import (
    PINGREQ,
    Got,
    Pingresp,
    Suback,
    Unsuback,
    client_publish,
    client_subscribe,
    client_unsubscribe,
)
from tests.support.mqtt.engine import Engine, MakeEngine, allow


def test_suback_answers_each_filter_in_order_with_its_qos(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_subscribe(("a", 1), ("b", 0), ("c/+", 1), packet_id=9))
    assert client.take() == [Suback(9, (1, 0, 1))]


@pytest.mark.parametrize(("published", "granted", "delivered"), [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_message_comes_at_the_lower_qos(engine: Engine, published: int, granted: int, delivered: int) -> None:
    client = engine.subscriber(("t", granted))
    engine.connected().send(client_publish("t", b"x", published))
    (message,) = client.take(1)
    assert isinstance(message, Got)
    assert message.qos == delivered


def test_overlapping_subscriptions_deliver_once_at_the_highest_qos(engine: Engine) -> None:
    client = engine.subscriber(("t/#", 0), ("t/x", 1), ("+/x", 0))
    engine.connected().send(client_publish("t/x", b"x", 1))
    assert client.take() == [Got("t/x", b"x", 1, packet_id=1)]


def test_resubscribing_replaces_and_resends_the_retained_message(engine: Engine) -> None:
    engine.connected().send(client_publish("t", b"kept", 1, retain=True))
    client = engine.subscriber(("t", 1))
    assert client.payloads() == [b"kept"]
    client.send(client_subscribe(("t", 0), packet_id=2))
    assert client.take() == [Suback(2, (0,)), Got("t", b"kept", 0, retain=True)]


def test_unsubscribe_is_answered_and_ends_the_deliveries(engine: Engine) -> None:
    client = engine.subscriber(("t", 0), ("u", 0))
    client.send(client_unsubscribe("t", "never subscribed", packet_id=5))
    assert client.take() == [Unsuback(5)]  # [MQTT-3.10.4-5]
    engine.connected().send(client_publish("t", b"1") + client_publish("u", b"2"))
    assert client.payloads() == [b"2"]


def test_parent_is_not_matched_by_its_children(engine: Engine) -> None:
    client = engine.subscriber(("a/#", 0))
    engine.connected().send(client_publish("a", b"parent") + client_publish("a/b", b"child"))
    assert client.payloads() == [b"child"]


def test_filter_outside_the_policy_closes_and_subscribes_to_nothing(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/*"), ("Subscribe", "topicfilter/mine"), ("Receive", "topic/*")))
    client = engine.connected("dev-1", clean=False)
    client.send(client_subscribe(("mine", 0), ("other", 0)))
    assert client.closed
    assert client.take() == []
    assert engine.outcomes()[-1] == ("closed", "AUTH_ERROR")
    assert "topicfilter/other" in engine.events[-1].detail
    engine.function.allow(allow(("*", "*")))
    again = engine.connected("dev-1", clean=False)
    engine.connected("pub").send(client_publish("mine", b"x"))
    assert again.take() == []


def test_refused_filter_can_get_suback_80_instead(make_engine: MakeEngine) -> None:
    engine = make_engine(refused_subscribe="suback")
    engine.function.allow(allow(("Connect", "client/*"), ("Subscribe", "topicfilter/mine")))
    client = engine.connected("dev-1")
    client.send(client_subscribe(("mine", 1), ("other", 1)))
    assert client.take() == [Suback(1, (1, 0x80))]


def test_policy_is_asked_about_the_literal_filter(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/*"), ("Subscribe", "topicfilter/a/b")))
    client = engine.connected()
    client.send(client_subscribe(("a/+", 0)))
    assert client.closed


def test_iot_receive_is_checked_at_every_delivery_and_refusals_are_logged(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/*"), ("Subscribe", "topicfilter/*"), ("Receive", "topic/open/*")))
    client = engine.subscriber(("#", 1))
    engine.function.allow(allow(("*", "*")))
    engine.connected("pub").send(
        client_publish("open/x", b"1") + client_publish("secret/x", b"2") + client_publish("secret/y", b"3", 1)
    )
    assert client.payloads() == [b"1"]
    assert not client.closed
    dropped = next(d for d in engine.events if d.outcome == "dropped")
    assert (dropped.reason, dropped.client_id) == ("AUTHORIZATION_FAILURE", "sub")
    assert "iot:Receive" in dropped.detail
    assert "topic/secret/x" in dropped.detail


def test_nine_filters_in_one_subscribe_close(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_subscribe(*((f"t/{i}", 0) for i in range(8))))
    assert client.take() == [Suback(1, (0,) * 8)]
    client.send(client_subscribe(*((f"u/{i}", 0) for i in range(9))))
    assert client.closed
    assert "9 filters" in engine.events[-1].detail


def test_ninth_filter_can_get_suback_80_instead(make_engine: MakeEngine) -> None:
    engine = make_engine(over_filters="suback")
    client = engine.connected()
    client.send(client_subscribe(*((f"u/{i}", 1) for i in range(9))))
    assert client.take() == [Suback(1, (1,) * 8 + (0x80,))]


def test_51st_subscription_gets_suback_80_unless_it_exists(engine: Engine) -> None:
    client = engine.connected()
    for i in range(0, 48, 8):
        client.send(client_subscribe(*((f"t/{n}", 0) for n in range(i, i + 8))))
    client.take(6)
    client.send(client_subscribe(*((f"u/{n}", 0) for n in range(3))))
    assert client.take() == [Suback(1, (0, 0, 0x80))]
    client.send(client_subscribe(("t/0", 1), ("v", 0)))
    assert client.take() == [Suback(1, (1, 0x80))]
    client.send(client_unsubscribe("t/1"))
    client.send(client_subscribe(("v", 0)))
    assert client.take()[1] == Suback(1, (0,))


@pytest.mark.parametrize("topic_filter", ["a#", "a/#/b", "", "x" * 300, "/" * 8])
def test_unsubscribe_checks_its_filters_as_subscribe_does(engine: Engine, topic_filter: str) -> None:
    client = engine.connected()
    client.send(client_unsubscribe("t", topic_filter))
    assert client.closed
    assert client.take() == []
    assert engine.outcomes()[-1] == ("closed", "CLIENT_ERROR")


@pytest.mark.parametrize("topic_filter", ["a#", "a/#/b", "", "x" * 257, "/" * 8])
def test_invalid_filter_closes(engine: Engine, topic_filter: str) -> None:
    client = engine.connected()
    client.send(client_subscribe((topic_filter, 0)))
    assert client.closed
    assert engine.outcomes()[-1] == ("closed", "CLIENT_ERROR")


@pytest.mark.parametrize(
    ("topic_filter", "why"),
    [
        ("$aws/#", "$aws/# is reserved"),
        ("$aws/things/dev-1/shadow", "$aws/things/dev-1/shadow is reserved"),
        ("$aws/things/dev-1/defender/metrics/json/accepted", "(Device Defender), localcore does not"),
        ("$aws/events/job/+/completed", "(events), localcore does not"),
        ("$aws/commands/things/dev-1/#", "(remote commands), localcore does not"),
    ],
)
def test_reserved_filter_closes_and_the_log_tells_whether_aws_serves_it(
    engine: Engine, topic_filter: str, why: str
) -> None:
    client = engine.connected()
    client.send(client_subscribe((topic_filter, 0)))
    assert client.closed
    assert why in engine.events[-1].detail


def test_reserved_filter_can_get_suback_80_instead(make_engine: MakeEngine) -> None:
    engine = make_engine(reserved_topics="ignore")
    client = engine.connected()
    client.send(client_subscribe(("$aws/x", 0), ("t", 0)))
    assert client.take() == [Suback(1, (0x80, 0))]


def test_qos_2_in_a_subscribe_closes_without_suback(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_subscribe(("t", 2)))
    assert client.closed
    assert client.take() == []


def test_qos_2_in_a_subscribe_can_be_left_without_suback(make_engine: MakeEngine) -> None:
    engine = make_engine(qos2="ignore")
    client = engine.connected()
    client.send(client_subscribe(("t", 2)) + PINGREQ)
    assert client.take() == [Pingresp()]


def test_qos_0_beyond_100_messages_a_second_is_discarded(engine: Engine) -> None:
    client = engine.subscriber(("#", 0))
    for name in "ab":
        engine.connected(name).send(b"".join(client_publish("t", b"x") for _ in range(75)))
    assert len(client.take()) == 100
    assert engine.events[-1].client_id == "sub"
    assert engine.outcomes()[-1] == ("dropped", "THROTTLED")


def test_slow_reader_is_disconnected_and_others_are_served(engine: Engine) -> None:
    deaf = engine.subscriber(("#", 0), client_id="deaf")
    client = engine.subscriber(("#", 0))
    deaf.reads = False
    engine.connected("pub").send(client_publish("t", b"1") + client_publish("t", b"2"))
    assert client.payloads() == [b"1", b"2"]
    assert ("closed", "CONNECTION_LOST") in engine.outcomes()
    assert deaf.closed
