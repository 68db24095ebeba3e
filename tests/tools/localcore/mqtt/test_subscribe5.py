"""SUBSCRIBE and UNSUBSCRIBE of MQTT 5: options, and the code of every refusal."""

from __future__ import annotations

import pytest

from tests.support.mqtt.client import client_publish
from tests.support.mqtt.client5 import Disconnect5, Suback5, Unsuback5, publish5, subscribe5, unsubscribe5
from tests.support.mqtt.engine import Engine, EngineClient, MakeEngine, allow

NO_LOCAL, RETAIN_AS_PUBLISHED, IF_NEW, NEVER = 0x04, 0x08, 0x10, 0x20


def ended(client: EngineClient) -> Disconnect5:
    """The DISCONNECT of a client that was closed."""
    assert client.closed
    answer = client.take()[-1]
    assert isinstance(answer, Disconnect5)
    return answer


def test_suback_answers_each_filter_in_order(engine: Engine) -> None:
    client = engine.connected5()
    client.send(subscribe5(("a", 1), ("b", 0), packet_id=9))
    assert client.take() == [Suback5(9, (1, 0))]


def test_filter_that_the_policy_does_not_name_gets_not_authorized_and_the_others_count(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/*"), ("Subscribe", "topicfilter/mine"), ("Receive", "topic/*")))
    client = engine.connected5("dev-1")
    client.send(subscribe5(("mine", 1), ("other", 1)))
    (answer,) = client.take(1)
    assert answer.codes == (1, 0x87)
    assert "iot:Subscribe" in answer.reason
    assert "topicfilter/other" in answer.reason
    engine.function.allow(allow(("*", "*")))
    engine.connected("pub").send(client_publish("mine", b"x") + client_publish("other", b"y"))
    assert client.payloads() == [b"x"]


def test_refused_filter_can_end_the_connection(make_engine: MakeEngine) -> None:
    engine = make_engine(mqtt5_refused_subscribe="disconnect")
    engine.function.allow(allow(("Connect", "client/*")))
    client = engine.connected5()
    client.send(subscribe5(("t", 0)))
    assert ended(client).code == 0x87


@pytest.mark.parametrize("topic_filter", ["x" * 257, "/" * 8, "$aws/x"])
def test_filter_over_a_limit_of_aws_gets_topic_filter_invalid(engine: Engine, topic_filter: str) -> None:
    client = engine.connected5()
    client.send(subscribe5((topic_filter, 0)))
    assert [answer.codes for answer in client.take(1)] == [(0x8F,)]


@pytest.mark.parametrize("topic_filter", ["a#", "a/#/b", "", "a/+b"])
def test_filter_that_the_standard_forbids_ends_the_connection(engine: Engine, topic_filter: str) -> None:
    for packet in (subscribe5((topic_filter, 0)), unsubscribe5(topic_filter)):
        client = engine.connected5()
        client.send(packet)
        assert ended(client).code == 0x81


def test_subscription_identifiers_are_not_supported(engine: Engine) -> None:
    client = engine.connected5()
    client.send(subscribe5(("t", 0), SubscriptionIdentifier=1))
    assert ended(client).code == 0xA1


def test_qos_2_is_not_supported(engine: Engine) -> None:
    client = engine.connected5()
    client.send(subscribe5(("t", 2)))
    assert ended(client).code == 0x9B


def test_too_many_filters_and_subscriptions_exceed_the_quota(make_engine: MakeEngine) -> None:
    client = make_engine(max_subscriptions=2).connected5()
    client.send(subscribe5(("a", 0), ("b", 0), ("c", 0)))
    assert [answer.codes for answer in client.take(1)] == [(0, 0, 0x97)]
    client.send(subscribe5(*((f"u/{i}", 0) for i in range(9))))
    assert ended(client).code == 0x97


def test_ninth_filter_can_get_quota_exceeded(make_engine: MakeEngine) -> None:
    client = make_engine(over_filters="suback").connected5()
    client.send(subscribe5(*((f"u/{i}", 1) for i in range(9))))
    assert [answer.codes for answer in client.take(1)] == [(1,) * 8 + (0x97,)]


def test_unsuback_says_whether_a_filter_was_subscribed(engine: Engine) -> None:
    client = engine.subscriber5(("t", 0), ("u", 0))
    client.send(unsubscribe5("t", "never subscribed", "x" * 257, packet_id=5))
    (answer,) = client.take(1)
    assert answer == Unsuback5(5, (0, 0x11, 0x8F), "topic filter: it has 257 bytes, the limit is 256")
    engine.connected().send(client_publish("t", b"1") + client_publish("u", b"2"))
    assert client.payloads() == [b"2"]


def test_no_local_keeps_own_messages_away_and_no_others(engine: Engine) -> None:
    client = engine.subscriber5(("t", NO_LOCAL))
    client.send(publish5("t", b"own"))
    engine.connected5("other").send(publish5("t", b"other"))
    assert client.payloads() == [b"other"]


def test_overlapping_filter_without_no_local_gets_own_messages(engine: Engine) -> None:
    client = engine.subscriber5(("t", NO_LOCAL), ("#", 0))
    client.send(publish5("t", b"own"))
    assert client.payloads() == [b"own"]


def test_retain_as_published_shows_how_a_message_was_published(engine: Engine) -> None:
    keeping = engine.subscriber5(("t", RETAIN_AS_PUBLISHED), client_id="keeping")
    other = engine.subscriber5(("t", 0), client_id="other")
    engine.connected5().send(publish5("t", b"1", retain=True) + publish5("t", b"2"))
    assert [got.retain for got in keeping.take(2)] == [True, False]
    assert [got.retain for got in other.take(2)] == [False, False]


def test_retain_handling_says_when_retained_messages_are_sent(engine: Engine) -> None:
    engine.connected5().send(publish5("t", b"kept", retain=True))
    client = engine.connected5("sub")
    for options, expected in ((NEVER, []), (IF_NEW, []), (0, [b"kept"])):
        client.send(subscribe5(("t", options)))
        assert client.payloads() == expected
    client.send(unsubscribe5("t") + subscribe5(("t", IF_NEW)))
    assert client.payloads() == [b"kept"]
