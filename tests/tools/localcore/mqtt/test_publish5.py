"""PUBLISH from a client of MQTT 5: topic aliases, and the code of every refusal."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.mqtt.client import Puback, client_publish
from tests.support.mqtt.client5 import Disconnect5, Puback5, publish5
from tests.support.mqtt.engine import Engine, EngineClient, MakeEngine, allow


def ended(client: EngineClient) -> Disconnect5:
    """The DISCONNECT of a client that was closed."""
    assert client.closed
    answer = client.take()[-1]
    assert isinstance(answer, Disconnect5)
    return answer


def limited(engine: Engine) -> EngineClient:
    """A client that may publish to telemetry/dev-1 alone."""
    engine.function.allow(allow(("Connect", "client/dev-1"), ("Publish", "topic/telemetry/dev-1")))
    return engine.connected5("dev-1")


def test_qos_1_gets_puback_without_a_code(engine: Engine) -> None:
    client = engine.connected5()
    client.send(publish5("t", b"zero") + publish5("t", b"one", 1, packet_id=77))
    assert client.take() == [Puback5(77)]
    assert engine.payloads() == [b"zero", b"one"]


def test_refused_publish_is_not_authorized_and_names_the_missing_permission(engine: Engine) -> None:
    client = limited(engine)
    client.send(publish5("telemetry/dev-2", b"not mine", 1, packet_id=5) + publish5("telemetry/dev-1", b"mine", 1))
    refused, accepted = client.take(2)
    assert (refused.packet_id, refused.code) == (5, 0x87)
    assert "iot:Publish" in refused.reason
    assert "topic/telemetry/dev-2" in refused.reason
    assert accepted == Puback5(1)
    assert not client.closed
    assert engine.payloads() == [b"mine"]
    assert ("dropped", "AUTH_ERROR") in engine.outcomes()


def test_reason_string_has_room_for_the_longest_topic(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1")))
    client = engine.connected5("dev-1", MaximumPacketSize=512)
    client.send(publish5("x" * 256, b"", 1))
    (answer,) = client.take(1)
    assert answer.reason == engine.events[-1].detail
    assert answer.reason.endswith("topic/" + "x" * 256)


def test_refused_publish_can_end_the_connection(make_engine: MakeEngine) -> None:
    client = limited(make_engine(mqtt5_refused_publish="disconnect"))
    client.send(publish5("telemetry/dev-2", b"not mine", 1))
    assert ended(client).code == 0x87


def test_refused_publish_with_qos_0_ends_the_connection_as_nothing_else_could_tell(engine: Engine) -> None:
    client = limited(engine)
    client.send(publish5("telemetry/dev-2", b"not mine"))
    answer = ended(client)
    assert answer.code == 0x87
    assert "topic/telemetry/dev-2" in (answer.reason or "")
    assert engine.outcomes()[-1] == ("closed", "AUTH_ERROR")


def test_refused_publish_with_qos_0_can_be_ignored(make_engine: MakeEngine) -> None:
    engine = make_engine(mqtt5_refused_qos0="ignore")
    client = limited(engine)
    client.send(publish5("telemetry/dev-2", b"not mine"))
    assert (client.closed, client.take(), engine.messages) == (False, [], [])


def test_puback_has_no_reason_string_where_the_client_wants_none(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1")))
    client = engine.connected5("dev-1", RequestProblemInformation=0)
    client.send(publish5("t", b"x", 1))
    assert client.take() == [Puback5(1, 0x87, None)]  # [MQTT5-3.1.2-29]


@pytest.mark.parametrize(
    ("code", "topic", "payload", "found"),
    [
        (0x90, "x" * 257, b"", {}),
        (0x90, "/" * 8, b"", {}),
        (0x90, "$aws/things/x", b"", {}),
        (0x97, "t", bytes(128 * 1024 + 1), {}),
        (0x97, "t", b"", {"ContentType": "x" * 257}),
        (0x97, "t", b"", {"CorrelationData": bytes(8193)}),
        (0x97, "t", b"", {"UserProperty": [("k" * 4096, "v" * 4097)]}),
        (0x90, "t", b"", {"ResponseTopic": "/" * 8}),
    ],
)
def test_publish_over_a_limit_of_aws_gets_its_code(
    engine: Engine, code: int, topic: str, payload: bytes, found: dict[str, Any]
) -> None:
    client = engine.connected5()
    client.send(publish5(topic, payload, 1, **found))
    (answer,) = client.take(1)
    assert answer.code == code
    assert answer.reason == engine.events[-1].detail
    assert (client.closed, engine.messages) == (False, [])


@pytest.mark.parametrize(
    ("code", "data"),
    [
        (0x81, publish5("a/#", b"x", 1)),
        (0x82, publish5("t", b"x", 1, ResponseTopic="a/+")),
        (0x9B, publish5("t", b"x", 2)),
        (0x82, publish5("", b"x", 1)),
        (0x82, publish5("", b"x", 1, TopicAlias=1)),
        (0x94, publish5("t", b"x", 1, TopicAlias=9)),
    ],
)
def test_publish_that_breaks_a_rule_ends_the_connection_with_its_code(engine: Engine, code: int, data: bytes) -> None:
    client = engine.connected5()
    client.send(data)
    assert ended(client).code == code
    assert engine.messages == []


def test_topic_alias_stands_for_its_topic_until_it_gets_another(engine: Engine) -> None:
    client = engine.connected5()
    client.send(publish5("a", b"1", TopicAlias=8) + publish5("", b"2", TopicAlias=8))
    client.send(publish5("b", b"3", TopicAlias=8) + publish5("", b"4", TopicAlias=8))
    assert [(m.topic, m.payload) for m in engine.messages] == [("a", b"1"), ("a", b"2"), ("b", b"3"), ("b", b"4")]


def test_topic_alias_does_not_outlive_its_connection(engine: Engine) -> None:
    engine.connected5(SessionExpiryInterval=60).send(publish5("a", b"1", TopicAlias=1))
    client = engine.connected5(clean=False)
    client.send(publish5("", b"2", TopicAlias=1))
    assert ended(client).code == 0x82


def test_discarded_publish_still_sets_its_alias(make_engine: MakeEngine) -> None:
    engine = make_engine(publish_rate_per_s=1)
    client = engine.connected5()
    client.send(publish5("a", b"1") + publish5("b", b"discarded", TopicAlias=1))
    engine.advance(1)
    client.send(publish5("", b"2", TopicAlias=1))
    assert [(m.topic, m.payload) for m in engine.messages] == [("a", b"1"), ("b", b"2")]


def test_over_the_rate_a_publish_is_discarded_and_its_identifier_stays_in_use(make_engine: MakeEngine) -> None:
    engine = make_engine(publish_rate_per_s=1, max_in_flight=2)
    client = engine.connected5()
    client.send(b"".join(publish5("t", b"%d" % i, 1, packet_id=i) for i in range(1, 4)))
    assert client.take() == [Puback5(1)]
    engine.advance(1)
    client.send(publish5("t", b"again", 1, packet_id=2))
    assert [(p.packet_id, p.code) for p in client.take(1)] == [(2, 0x91)]
    client.send(publish5("t", b"free again", 1, packet_id=2) + publish5("t", b"discarded", 1, packet_id=8))
    assert client.take() == [Puback5(2)]
    client.send(publish5("t", b"too many", 1, packet_id=9))
    assert ended(client).code == 0x93
    assert engine.payloads() == [b"1", b"free again"]


def test_over_the_rate_a_publish_can_get_quota_exceeded(make_engine: MakeEngine) -> None:
    engine = make_engine(publish_rate_per_s=1, mqtt5_throttled_publish="puback")
    client = engine.connected5()
    client.send(publish5("t", b"1", 1, packet_id=1) + publish5("t", b"2", 1, packet_id=2))
    assert [(p.packet_id, p.code) for p in client.take(2)] == [(1, 0), (2, 0x97)]


def test_3_1_1_publisher_hears_nothing_of_a_refusal(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1"), ("Publish", "topic/mine")))
    client = engine.connected("dev-1")
    client.send(client_publish("mine", b"x", 1) + client_publish("other", b"x", 1))
    assert client.take() == [Puback(1)]
    assert client.closed
