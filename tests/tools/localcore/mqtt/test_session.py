"""Sessions: what is kept while a client is away, what is sent again, who is cut when two use one client id."""

from __future__ import annotations

from tests.support.mqtt.client import DISCONNECT, Connack, Got, client_connect, client_puback, client_publish
from tests.support.mqtt.engine import Engine, MakeEngine, allow


def back(engine: Engine, client_id: str = "sub", *, clean: bool = False) -> tuple[Connack, list[object]]:
    """Connect again; the CONNACK and what came right behind it."""
    client = engine.client()
    client.send(client_connect(client_id, clean=clean))
    connack, *others = client.take()
    assert isinstance(connack, Connack)
    return connack, list(others)


def test_persistent_session_keeps_subscriptions_and_qos_1_messages(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    engine.connected("pub").send(client_publish("t", b"zero") + client_publish("t", b"one", 1))
    connack, received = back(engine)
    assert connack == Connack(0, session_present=True)
    assert received == [Got("t", b"one", 1, packet_id=1)]
    assert engine.events[-1].detail.endswith("session present")


def test_clean_session_ends_with_its_connection(engine: Engine) -> None:
    engine.subscriber(("t", 1)).send(DISCONNECT)
    engine.connected("pub").send(client_publish("t", b"one", 1))
    assert back(engine) == (Connack(0, session_present=False), [])


def test_clean_connect_forgets_the_persistent_session(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    engine.connected("pub").send(client_publish("t", b"one", 1))
    assert back(engine, clean=True) == (Connack(0, session_present=False), [])
    assert back(engine) == (Connack(0, session_present=False), [])


def test_persistent_session_ends_an_hour_after_its_connection(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    engine.advance(3599)
    assert back(engine)[0].session_present
    engine.broker.disconnect("sub", "TEST", "")
    engine.advance(3600)
    assert not back(engine)[0].session_present


def test_connecting_again_stops_the_expiry(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    engine.advance(3000)
    client = engine.connected("sub", clean=False, keep_alive_s=1200)
    engine.advance(1000)
    engine.connected("pub").send(client_publish("t", b"x", 1))
    assert client.payloads() == [b"x"]


def test_stored_messages_come_first_at_ten_a_second(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    publisher = engine.connected("pub")
    publisher.send(b"".join(client_publish("t", b"%d" % i, 1) for i in range(25)))
    client = engine.client()
    client.send(client_connect("sub", clean=False))
    assert client.payloads() == [b"%d" % i for i in range(10)]
    publisher.send(client_publish("t", b"live", 1))
    assert client.payloads() == []
    engine.advance(0.99)
    assert client.payloads() == []
    engine.advance(0.01)
    assert client.payloads() == [b"%d" % i for i in range(10, 20)]
    engine.advance(1)
    assert client.payloads() == [b"20", b"21", b"22", b"23", b"24", b"live"]


def test_queue_of_a_client_that_is_away_is_bounded(make_engine: MakeEngine) -> None:
    engine = make_engine(max_queued_messages=3, max_queued_bytes=100)
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    publisher = engine.connected("pub")
    publisher.send(b"".join(client_publish("t", b"%d" % i, 1) for i in range(4)))
    assert engine.outcomes()[-1] == ("dropped", "QUEUE_FULL")
    assert engine.events[-1].client_id == "sub"
    client = engine.client()
    client.send(client_connect("sub", clean=False))
    assert client.payloads() == [b"0", b"1", b"2"]
    client.send(DISCONNECT)
    publisher.send(client_publish("t", bytes(60), 1) + client_publish("t", bytes(60), 1))
    engine.advance(1)
    assert engine.outcomes()[-1] == ("dropped", "QUEUE_FULL")


def test_unacknowledged_publish_is_resent_with_its_identifier(engine: Engine) -> None:
    client = engine.subscriber(("t", 1), clean=False)
    engine.connected("pub").send(client_publish("t", b"1", 1) + client_publish("t", b"2", 1))
    first, second = client.take(2)
    assert isinstance(first, Got)
    client.send(client_puback(first.packet_id or 0))
    client.vanish()
    assert back(engine) == (Connack(0, session_present=True), [second])  # [MQTT-4.4.0-1]


def test_dup_is_set_on_a_redelivery_if_the_setting_says_so(make_engine: MakeEngine) -> None:
    engine = make_engine(dup_on_redelivery=True)
    client = engine.subscriber(("t", 1), clean=False)
    engine.connected("pub").send(client_publish("t", b"1", 1))
    assert client.take() == [Got("t", b"1", 1, dup=False, packet_id=1)]
    client.vanish()
    assert back(engine)[1] == [Got("t", b"1", 1, dup=True, packet_id=1)]


def test_unacknowledged_message_is_resent_after_960_seconds(engine: Engine) -> None:
    client = engine.subscriber(("t", 1), keep_alive_s=1200)
    engine.connected("pub", keep_alive_s=1200).send(client_publish("t", b"1", 1))
    (sent,) = client.take(1)
    engine.advance(959)
    assert client.take() == []
    engine.advance(1)
    assert client.take() == [sent]
    client.send(client_puback(1))
    engine.advance(800)
    assert client.take() == []


def test_at_most_100_messages_are_on_their_way_to_a_client(engine: Engine) -> None:
    client = engine.subscriber(("t", 1))
    publisher = engine.connected("pub")
    publisher.send(b"".join(client_publish("t", b"%d" % i, 1, packet_id=i + 1) for i in range(100)))
    engine.advance(1)
    publisher.send(client_publish("t", b"100", 1) + client_publish("t", b"101", 1))
    assert len(client.payloads()) == 100
    client.send(client_puback(40))
    assert client.payloads() == [b"100"]
    client.send(client_puback(40) + client_puback(41))
    assert client.payloads() == [b"101"]


def test_puback_for_nothing_is_ignored(engine: Engine) -> None:
    client = engine.connected()
    client.send(client_puback(7))
    assert not client.closed


def test_iot_receive_is_checked_against_the_policy_of_the_new_connection(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False).send(DISCONNECT)
    engine.connected("pub").send(client_publish("t", b"1", 1))
    engine.function.allow(allow(("Connect", "client/sub")))
    assert back(engine) == (Connack(0, session_present=True), [])
    assert engine.outcomes()[-1] == ("dropped", "AUTHORIZATION_FAILURE")


def test_second_connection_with_the_same_client_id_takes_over(engine: Engine) -> None:
    watcher = engine.subscriber(("last/words", 0), client_id="watcher")
    old = engine.connected("dev-1", will=("last/words", b"old", 0, False))
    new = engine.connected("dev-1")
    assert old.closed
    assert not new.closed
    assert watcher.payloads() == [b"old"]
    closed = next(d for d in engine.events if d.outcome == "closed")
    assert (closed.reason, closed.client_id) == ("DUPLICATE_CLIENTID", "dev-1")
    new.send(client_publish("t", b"alive"))
    assert engine.payloads()[-1] == b"alive"


def test_takeover_continues_a_persistent_session(engine: Engine) -> None:
    engine.subscriber(("t", 1), clean=False)
    connack, _ = back(engine)
    assert connack.session_present
    engine.connected("pub").send(client_publish("t", b"x", 1))
    assert engine.broker.disconnect("sub", "TEST", "")


def test_client_that_is_refused_does_not_take_over(engine: Engine) -> None:
    old = engine.connected("dev-1")
    engine.function.refuse()
    engine.client().send(client_connect("dev-1"))
    assert not old.closed
