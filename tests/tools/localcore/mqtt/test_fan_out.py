"""One publish to many subscribers: what is done once, what is done for each, and what is not done at all."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from mqtt443_tools.localcore.mqtt import encoder
from mqtt443_tools.localcore.mqtt.packets import RETAIN_AS_PUBLISHED
from mqtt443_tools.localcore.policy.engine import PolicySet, Verdict

from tests.support.mqtt.client import Got, client_publish
from tests.support.mqtt.client5 import Got5, publish5
from tests.support.mqtt.engine import Engine, EngineClient, MakeEngine

MANY = 20


class Work:
    """Counts the PUBLISH packets that are encoded, and the evaluations of a policy, while a test runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoded = self.evaluated = 0
        encode, evaluate = encoder.publish_parts, PolicySet.evaluate

        def count_encoded(*args: Any) -> tuple[bytes, bytes]:
            self.encoded += 1
            return encode(*args)

        def count_evaluated(policies: PolicySet, action: str, resource: str, variables: Mapping[str, str]) -> Verdict:
            self.evaluated += 1
            return evaluate(policies, action, resource, variables)

        monkeypatch.setattr(encoder, "publish_parts", count_encoded)
        monkeypatch.setattr(PolicySet, "evaluate", count_evaluated)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def test_message_is_encoded_once_for_all_who_get_the_same_bytes(engine: Engine, work: Work) -> None:
    makers: dict[str, Callable[[str], EngineClient]] = {
        "3.1.1, QoS 0": lambda name: engine.subscriber(("t", 0), client_id=name),
        "3.1.1, QoS 1": lambda name: engine.subscriber(("t", 1), client_id=name),
        "5, QoS 0": lambda name: engine.subscriber5(("t", 0), client_id=name),
        "5, QoS 1": lambda name: engine.subscriber5(("t", 1), client_id=name),
        "5, topic alias": lambda name: engine.subscriber5(("t", 0), client_id=name, TopicAliasMaximum=1),
        "5, RETAIN as published": lambda name: engine.subscriber5(("t", RETAIN_AS_PUBLISHED), client_id=name),
    }
    clients = [{name: make(f"{name} {number}") for name, make in makers.items()} for number in range(MANY)]
    found: dict[str, Any] = {"ContentType": "text/plain"}
    engine.connected5().send(publish5("t", b"x", 1, retain=True, MessageExpiryInterval=9, **found))
    expires = {"MessageExpiryInterval": 9, **found}
    expected = {
        "3.1.1, QoS 0": Got("t", b"x"),
        "3.1.1, QoS 1": Got("t", b"x", 1, packet_id=1),
        "5, QoS 0": Got5("t", b"x", 0, False, False, None, expires),
        "5, QoS 1": Got5("t", b"x", 1, False, False, 1, expires),
        "5, topic alias": Got5("t", b"x", 0, False, False, None, {"TopicAlias": 1, **expires}),
        "5, RETAIN as published": Got5("t", b"x", 0, True, False, None, expires),
    }
    assert [{name: client.take() for name, client in each.items()} for each in clients] == [
        {name: [packet] for name, packet in expected.items()}
    ] * MANY
    assert work.encoded == len(makers)


def test_topic_alias_that_stands_for_the_topic_is_a_variant(engine: Engine, work: Work) -> None:
    clients = [engine.subscriber5(("t", 0), client_id=f"s-{number}", TopicAliasMaximum=1) for number in range(MANY)]
    publisher = engine.connected5()
    for topic in ("t", ""):  # an empty topic refers to the alias
        publisher.send(publish5("t", b"x"))
        expected = Got5(topic, b"x", 0, False, False, None, {"TopicAlias": 1})
        assert [client.take() for client in clients] == [[expected]] * MANY
    assert work.encoded == 2


def test_members_of_groups_share_the_encoding(engine: Engine, work: Work) -> None:
    clients = [engine.subscriber((f"$share/{number}/t", 0), client_id=f"s-{number}") for number in range(MANY)]
    engine.connected().send(client_publish("t", b"x"))
    assert [client.payloads() for client in clients] == [[b"x"]] * MANY
    assert work.encoded == 1


def test_policy_is_evaluated_once_for_each_connection_and_topic(engine: Engine, work: Work) -> None:
    for number in range(MANY):
        engine.subscriber(("t", 0), client_id=f"s-{number}")
    publisher = engine.connected()
    work.evaluated = 0
    publisher.send(client_publish("t", b"x"))
    assert work.evaluated == 1 + MANY, "iot:Publish, and each subscriber's iot:Receive"
    publisher.send(client_publish("t", b"y"))
    assert work.evaluated == 1 + MANY


def lines_of_a_publish(engine: Engine, subscribers: int, others: int) -> int:
    """Count the lines of Python that one publish runs, with these sessions connected."""
    for number in range(subscribers):
        engine.subscriber(("telemetry/#", number % 2), client_id=f"s-{number}")
    for number in range(others):
        engine.subscriber((f"commands/{number}", 1), client_id=f"o-{number}")
    publisher = engine.connected()
    publisher.send(client_publish("telemetry/a", b"x", 1, packet_id=1))  # what happens only once has happened
    lines = 0

    def count(_: Any, event: str, __: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    gc.disable()
    before = sys.gettrace()
    sys.settrace(count)
    try:
        publisher.driver.data_received(client_publish("telemetry/a", b"y", 1, packet_id=2))
    finally:
        sys.settrace(before)
        gc.enable()
    return lines


def test_publish_costs_nothing_for_sessions_that_do_not_match(make_engine: MakeEngine) -> None:
    few, more = (lines_of_a_publish(make_engine(), 10, others) for others in (10, 200))
    assert few == more


def test_cost_of_a_delivery_does_not_grow_with_deliveries(make_engine: MakeEngine) -> None:
    first, second, third = (lines_of_a_publish(make_engine(), subscribers, 0) for subscribers in (20, 60, 100))
    assert second - first == third - second > 0
