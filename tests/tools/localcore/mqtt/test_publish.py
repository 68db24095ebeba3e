"""PUBLISH from a client: policy, limits, QoS, rates, retained messages."""

from __future__ import annotations

import pytest

from tests.support.mqtt.client import Got, Puback, client_publish, client_subscribe, frame
from tests.support.mqtt.engine import Engine, EngineClient, MakeEngine, allow


def closed_with(engine: Engine, client: EngineClient, reason: str, part: str) -> None:
    assert client.closed, f"still open; events: {[d.line() for d in engine.events]}"
    assert engine.outcomes()[-1] == ("closed", reason)
    assert part in engine.events[-1].detail


def test_qos_0_gets_no_answer_and_qos_1_gets_puback(engine: Engine) -> None:
    client = engine.connected("dev-1")
    client.send(client_publish("t", b"zero") + client_publish("t", b"one", 1, packet_id=77))
    assert client.take() == [Puback(77)]
    assert [(m.payload, m.qos, m.client_id) for m in engine.messages] == [(b"zero", 0, "dev-1"), (b"one", 1, "dev-1")]


def test_topic_outside_the_policy_closes_and_delivers_nothing(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1"), ("Publish", "topic/telemetry/dev-1")))
    client = engine.connected("dev-1")
    client.send(client_publish("telemetry/dev-1", b"mine") + client_publish("telemetry/dev-2", b"not mine", 1))
    closed_with(engine, client, "AUTH_ERROR", "iot:Publish")
    assert "topic/telemetry/dev-2" in engine.events[-1].detail
    assert client.take() == []
    assert engine.payloads() == [b"mine"]


def test_refused_publish_can_be_left_unanswered(make_engine: MakeEngine) -> None:
    engine = make_engine(refused_publish="ignore")
    engine.function.allow(allow(("Connect", "client/dev-1")))
    client = engine.connected("dev-1")
    client.send(client_publish("t", b"x", 1))
    assert not client.closed
    assert client.take() == []
    assert engine.messages == []
    assert engine.outcomes()[-1] == ("dropped", "AUTH_ERROR")


@pytest.mark.parametrize(
    ("topic", "part"),
    [("", "empty"), ("a/#", "3.3.2-2"), ("+", "3.3.2-2"), ("x" * 257, "257 bytes"), ("/" * 8, "8 slashes")],
)
def test_invalid_topic_closes(engine: Engine, topic: str, part: str) -> None:
    client = engine.connected()
    client.send(client_publish(topic, b"x"))
    closed_with(engine, client, "CLIENT_ERROR", part)
    assert engine.messages == []


def test_payload_limit_is_128_kilobytes(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_publish("t", bytes(128 * 1024)))
    assert len(engine.messages[0].payload) == 131_072
    client.send(client_publish("t", bytes(128 * 1024 + 1)))
    closed_with(engine, client, "CLIENT_ERROR", "131073 bytes")
    assert len(engine.messages) == 1


def test_reserved_topic_closes_and_basic_ingest_is_taken(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_publish("$aws/rules/keep/telemetry/x", b"in", 1))
    assert client.take() == [Puback(1)]
    client.send(client_publish("$own/topic", b"out"))
    closed_with(engine, client, "CLIENT_ERROR", "reserved")
    assert engine.payloads() == [b"in"]


@pytest.mark.parametrize(
    ("topic", "what"),
    [
        ("$aws/rules/keep", "Basic Ingest without a topic behind the rule"),
        ("$aws/things/x/defender/metrics/json", "Device Defender"),
        ("$aws/certificates/create/json", "fleet provisioning"),
    ],
)
def test_topic_that_only_aws_serves_closes_and_the_log_says_so(engine: Engine, topic: str, what: str) -> None:
    client = engine.connected()
    client.send(client_publish(topic, b"x"))
    closed_with(engine, client, "CLIENT_ERROR", f"AWS serves {topic} ({what}), localcore does not")


def test_qos_2_closes_without_an_answer(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_publish("t", b"x", 2))
    closed_with(engine, client, "CLIENT_ERROR", "QoS 2")
    assert client.take() == []
    assert engine.messages == []


def test_qos_2_can_be_left_unanswered(make_engine: MakeEngine) -> None:
    engine = make_engine(qos2="ignore")
    client = engine.connected()
    client.send(client_publish("t", b"x", 2) + frame(0x62, b"\0\1"))
    assert (client.closed, client.take(), engine.messages) == (False, [], [])


def test_packet_of_the_qos_2_flow_closes(engine: Engine) -> None:
    client = engine.connected()
    client.send(frame(0x62, b"\0\1"))
    closed_with(engine, client, "CLIENT_ERROR", "QoS 2")


def test_more_than_100_publishes_a_second_are_discarded_without_puback(engine: Engine) -> None:
    client = engine.connected()
    client.send(b"".join(client_publish("t", b"%d" % i, 1, packet_id=i) for i in range(1, 103)))
    assert client.take() == [Puback(i) for i in range(1, 101)]
    assert len(engine.messages) == 100
    assert engine.outcomes()[-1] == ("dropped", "THROTTLED")
    engine.advance(1)
    client.send(client_publish("t", b"later", 1, packet_id=200))
    assert client.take() == [Puback(200)]
    assert not client.closed


def test_retained_publish_needs_its_own_permission(engine: Engine) -> None:
    engine.function.allow(allow(("Connect", "client/dev-1"), ("Publish", "topic/t")))
    client = engine.connected("dev-1")
    client.send(client_publish("t", b"x", retain=True))
    closed_with(engine, client, "AUTH_ERROR", "iot:RetainPublish")
    assert engine.messages == []


def test_exact_filter_gets_the_retained_message_with_retain_set(engine: Engine) -> None:
    engine.connected().send(client_publish("t/x", b"kept", 1, retain=True))
    client = engine.connected("sub")
    client.send(client_subscribe(("t/x", 1)))
    _, message = client.take(2)
    assert message == Got("t/x", b"kept", 1, retain=True, packet_id=1)


@pytest.mark.parametrize("topic_filter", ["t/+", "t/#", "#", "t/y"])
def test_wildcard_or_other_filter_gets_no_retained_message(engine: Engine, topic_filter: str) -> None:
    engine.connected().send(client_publish("t/x", b"kept", retain=True))
    assert engine.subscriber((topic_filter, 0)).take() == []


def test_existing_subscriber_gets_a_retained_publish_with_retain_clear(engine: Engine) -> None:
    client = engine.subscriber(("t", 0))
    engine.connected().send(client_publish("t", b"new", retain=True))
    assert client.take() == [Got("t", b"new")]  # [MQTT-3.3.1-9]


def test_empty_retained_message_deletes_and_is_forwarded(engine: Engine) -> None:
    publisher = engine.connected()
    publisher.send(client_publish("t", b"kept", retain=True))
    client = engine.subscriber(("t", 0))
    assert client.payloads() == [b"kept"]
    publisher.send(client_publish("t", b"", retain=True))
    assert client.take() == [Got("t", b"")]
    assert engine.subscriber(("t", 0), client_id="late").take() == []


def test_later_retained_message_replaces_but_not_within_a_second(engine: Engine) -> None:
    publisher = engine.connected()
    publisher.send(client_publish("t", b"one", retain=True) + client_publish("t", b"two", retain=True))
    assert engine.outcomes()[-1] == ("dropped", "THROTTLED")
    assert engine.payloads() == [b"one", b"two"]
    assert engine.subscriber(("t", 0), client_id="a").payloads() == [b"one"]
    engine.advance(1)
    publisher.send(client_publish("t", b"three", retain=True))
    assert engine.subscriber(("t", 0), client_id="b").payloads() == [b"three"]


def test_retained_messages_are_bounded_in_number_and_bytes(make_engine: MakeEngine) -> None:
    engine = make_engine(max_retained=1, max_retained_bytes=10)
    publisher = engine.connected()
    publisher.send(client_publish("a", b"12345", retain=True) + client_publish("b", b"1", retain=True))
    engine.advance(1)
    publisher.send(client_publish("a", b"12345678901", retain=True))
    client = engine.subscriber(("a", 0), ("b", 0))
    assert client.payloads() == [b"12345"]
    publisher.send(client_publish("a", b"", retain=True) + client_publish("b", b"1234567890", retain=True))
    assert engine.subscriber(("a", 0), ("b", 0), client_id="late").payloads() == [b"1234567890"]
