"""Shared subscriptions, for both versions and across them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.mqtt.client import (
    DISCONNECT,
    Got,
    Suback,
    client_connect,
    client_puback,
    client_publish,
    client_subscribe,
    client_unsubscribe,
)
from tests.support.mqtt.client5 import connect5, publish5, subscribe5
from tests.support.mqtt.engine import Engine, EngineClient, MakeEngine, allow

SHARED = "$share/workers/jobs/+"


def members(engine: Engine, count: int = 3) -> list[EngineClient]:
    """Members of one group, of both versions in turn."""
    return [
        engine.subscriber5((SHARED, 1), client_id=f"w{number}")
        if number % 2
        else engine.subscriber((SHARED, 1), client_id=f"w{number}")
        for number in range(count)
    ]


def publish(engine: Engine, *payloads: bytes, qos: int = 1) -> None:
    for payload in payloads:
        engine.connected("pub").send(client_publish("jobs/x", payload, qos))


def test_each_message_goes_to_one_member_and_in_time_to_all(engine: Engine) -> None:
    workers = members(engine)
    sent = [b"%d" % number for number in range(60)]
    publish(engine, *sent)
    shares = [worker.payloads() for worker in workers]
    assert sorted(payload for share in shares for payload in share) == sorted(sent)
    assert all(shares), "a random choice leaves one of three out once in 10^10 times"


def test_member_that_also_subscribes_by_itself_gets_both(engine: Engine) -> None:
    client = engine.subscriber((SHARED, 0), ("jobs/x", 0))
    publish(engine, b"x", qos=0)
    assert client.payloads() == [b"x", b"x"]


def test_each_group_gets_a_copy(engine: Engine) -> None:
    one = engine.subscriber(("$share/a/jobs/#", 0), client_id="one")
    other = engine.subscriber(("$share/b/jobs/#", 0), client_id="other")
    third = engine.subscriber(("$share/a/jobs/x", 0), client_id="third")  # the same name, but another filter
    publish(engine, b"x", qos=0)
    assert one.payloads() == other.payloads() == third.payloads() == [b"x"]


def test_members_that_left_get_nothing(engine: Engine) -> None:
    workers = members(engine)
    workers[0].send(client_unsubscribe(SHARED))
    workers[1].vanish()
    workers[0].take()
    publish(engine, b"1", b"2", b"3")
    assert workers[2].payloads() == [b"1", b"2", b"3"]
    workers[2].vanish()
    publish(engine, b"4")
    assert engine.broker.shared.groups == {}
    assert engine.subscriber((SHARED, 1)).take() == []


def test_qos_1_messages_wait_for_a_persistent_member_and_go_to_the_first_that_connects(engine: Engine) -> None:
    engine.subscriber((SHARED, 1), client_id="w0", clean=False).send(DISCONNECT)
    publish(engine, b"1", b"2")
    publish(engine, b"zero", qos=0)
    newcomer = engine.connected5("w1")
    newcomer.send(subscribe5((SHARED, 1)))
    assert newcomer.take(3)[0].codes == (1,)
    client = engine.client()
    client.send(client_connect("w0", clean=False))
    assert len(client.take()) == 1


def test_persistent_member_that_returns_gets_the_waiting_messages(engine: Engine) -> None:
    engine.subscriber5((SHARED, 1), client_id="w0", SessionExpiryInterval=600).vanish()
    publish(engine, b"1", b"2")
    client = engine.client(5)
    client.send(connect5("w0", clean=False))
    assert client.payloads() == [b"1", b"2"]


def test_nothing_waits_for_clean_sessions(engine: Engine) -> None:
    engine.subscriber((SHARED, 1), client_id="w0").vanish()
    publish(engine, b"1")
    assert engine.subscriber((SHARED, 1), client_id="w0").take() == []


def test_unacknowledged_messages_of_a_member_go_to_another_when_its_session_ends(engine: Engine) -> None:
    first = engine.subscriber((SHARED, 1), client_id="w0")
    publish(engine, b"1", b"2")
    assert first.take() == [Got("jobs/x", b"1", 1, packet_id=1), Got("jobs/x", b"2", 1, packet_id=2)]
    first.send(client_puback(1))
    second = engine.subscriber((SHARED, 1), client_id="w1")
    first.vanish()
    assert second.payloads() == [b"2"]


def test_queue_of_a_group_is_bounded(make_engine: MakeEngine) -> None:
    engine = make_engine(max_queued_messages=2)
    engine.subscriber((SHARED, 1), client_id="w0", clean=False).send(DISCONNECT)
    publish(engine, b"1", b"2", b"3")
    assert ("dropped", "QUEUE_FULL") in engine.outcomes()
    assert engine.subscriber((SHARED, 1), client_id="w1").payloads() == [b"1", b"2"]


def test_message_that_expires_while_it_waits_is_not_delivered(engine: Engine) -> None:
    engine.subscriber((SHARED, 1), client_id="w0", clean=False).send(DISCONNECT)
    engine.connected5("pub").send(publish5("jobs/x", b"1", 1, MessageExpiryInterval=10))
    engine.advance(10)
    assert engine.subscriber((SHARED, 1), client_id="w1").payloads() == []


def test_retained_messages_are_not_sent_to_a_shared_subscription(engine: Engine) -> None:
    engine.connected().send(client_publish("jobs/x", b"kept", retain=True))
    assert engine.subscriber(("$share/workers/jobs/x", 1)).take() == []


def test_policy_is_asked_about_the_whole_filter_and_about_the_topic(engine: Engine) -> None:
    engine.function.allow(
        allow(("Connect", "client/*"), ("Subscribe", f"topicfilter/{SHARED}"), ("Receive", "topic/jobs/*"))
    )
    client = engine.subscriber5((SHARED, 0))
    engine.function.allow(allow(("*", "*")))
    publish(engine, b"x", qos=0)
    assert client.payloads() == [b"x"]
    client.send(subscribe5(("$share/others/jobs/+", 0)))
    assert [answer.codes for answer in client.take(1)] == [(0x87,)]


@pytest.mark.parametrize("topic_filter", ["$share//t", "$share/g", "$share/g/", "$share/+/t", "$share/a#/t"])
def test_invalid_shared_filter_closes_in_both_versions(engine: Engine, topic_filter: str) -> None:
    old, new = engine.connected("old"), engine.connected5("new")
    old.send(client_subscribe((topic_filter, 0)))
    new.send(subscribe5((topic_filter, 0)))
    assert (old.closed, old.take()) == (True, [])
    assert [(new.closed, answer.code) for answer in new.take(1)] == [(True, 0x81)]


def test_no_local_is_a_protocol_error(engine: Engine) -> None:
    client = engine.connected5()
    client.send(subscribe5((SHARED, 0x04)))
    assert [answer.code for answer in client.take(1)] == [0x82]


@pytest.mark.parametrize(
    ("topic_filter", "code"),
    [("$share/g/" + "x" * 257, 0x8F), ("$share/" + "x" * 129 + "/t", 0x8F), ("$share/g/$aws/x", 0x8F)],
)
def test_shared_filter_over_a_limit_of_aws_is_refused(engine: Engine, topic_filter: str, code: int) -> None:
    client = engine.connected5()
    client.send(subscribe5((topic_filter, 0)))
    assert [answer.codes for answer in client.take(1)] == [(code,)]


def test_beginning_of_a_shared_filter_does_not_count(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_subscribe(("$share/" + "x" * 128 + "/" + "a/" * 7 + "a", 0)))
    assert client.take() == [Suback(1, (0,))]


def test_groups_and_their_members_have_quotas(make_engine: MakeEngine) -> None:
    engine = make_engine(max_shared_groups=2, max_group_members=2)
    codes = Counter[int]()
    for number in range(3):
        client = engine.connected5(f"w{number}")
        client.send(subscribe5((SHARED, 0), (f"$share/g{number}/t", 0)))
        codes.update(client.take(1)[0].codes)
        client.send(subscribe5((SHARED, 1)))  # again: no new member
        client.take(1)
    assert codes == {0: 3, 0x97: 3}
