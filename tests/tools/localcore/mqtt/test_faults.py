"""Faults that are on for a client: what it feels, what the events say, and that nobody else feels anything."""

from __future__ import annotations

import pytest
from mqtt443_tools.localcore.faults import FAULT_INJECTED, MAX_CLIENTS, THROTTLE_S, Fault, Faults
from mqtt443_tools.localcore.localcore_errors import FaultError

from tests.support.mqtt.client import Connack, Got, Puback, client_connect, client_publish
from tests.support.mqtt.client5 import Puback5, connect5, publish5
from tests.support.mqtt.engine import Engine
from tests.support.mqtt.manual_clock import ManualClock


def on(engine: Engine, fault: Fault, client_id: str = "dev-1") -> None:
    engine.context.faults.switch_on(client_id, fault)


def off(engine: Engine) -> None:
    engine.context.faults.switch_off()


def last(engine: Engine) -> tuple[str, str, str | None]:
    event = engine.events[-1]
    return event.outcome, event.reason, event.client_id


def test_drop_cuts_at_a_publish_and_the_message_is_lost(engine: Engine) -> None:
    other, client = engine.connected("other"), engine.connected("dev-1")
    on(engine, Fault.DROP)
    client.send(client_publish("t", b"x", 1))
    other.send(client_publish("t", b"y", 1, packet_id=7))
    assert (client.closed, client.take(), other.take()) == (True, [], [Puback(7)])
    assert engine.payloads() == [b"y"]
    assert last(engine) == ("closed", FAULT_INJECTED, "dev-1")
    assert "drop: " in engine.events[-1].detail


def test_refuse_closes_at_connect_without_asking_the_authorizer(engine: Engine) -> None:
    on(engine, Fault.REFUSE)
    client = engine.client()
    client.send(client_connect("dev-1"))
    assert (client.closed, client.take(), engine.function.events) == (True, [], [])
    assert last(engine) == ("refused", FAULT_INJECTED, "dev-1")
    off(engine)
    engine.connected("dev-1")


def test_refused_client_of_mqtt_5_gets_the_reason_code_of_a_login(engine: Engine) -> None:
    on(engine, Fault.REFUSE)
    client = engine.client(5)
    client.send(connect5("dev-1"))
    assert client.closed
    assert client.next().code == engine.settings.mqtt5_login_code


def test_close_after_connack_lets_the_client_see_its_connack(engine: Engine) -> None:
    on(engine, Fault.CLOSE_AFTER_CONNACK)
    client = engine.client()
    client.send(client_connect("dev-1"))
    assert client.closed
    assert client.take() == [Connack(0, session_present=False)]
    assert last(engine) == ("closed", FAULT_INJECTED, "dev-1")
    assert engine.broker.connected() == []


def test_lost_puback_leaves_the_message_delivered(engine: Engine) -> None:
    client = engine.connected("dev-1")
    on(engine, Fault.LOSE_PUBACKS)
    client.send(client_publish("t", b"x", 1, packet_id=3))
    assert (client.closed, client.take(), engine.payloads()) == (False, [], [b"x"])
    assert last(engine) == ("dropped", FAULT_INJECTED, "dev-1")
    off(engine)
    client.send(client_publish("t", b"x", 1, packet_id=3))
    assert client.take() == [Puback(3)]


def test_expired_session_is_not_present_and_its_subscriptions_are_gone(engine: Engine) -> None:
    engine.subscriber(("t", 1), client_id="dev-1", clean=False).vanish()
    on(engine, Fault.EXPIRE_SESSION)
    client = engine.client()
    client.send(client_connect("dev-1", clean=False))
    assert client.take() == [Connack(0, session_present=False)]
    assert "fault expire-session" in engine.events[-1].detail
    engine.connected("other").send(client_publish("t", b"x"))
    assert client.take() == []


@pytest.mark.parametrize("version", [4, 5])
def test_throttle_lets_one_publish_through_and_discards_the_others(engine: Engine, version: int) -> None:
    client = engine.connected("dev-1") if version == 4 else engine.connected5("dev-1")
    publish = client_publish if version == 4 else publish5
    on(engine, Fault.THROTTLE)
    client.send(publish("t", b"1", 1, packet_id=1) + publish("t", b"2", 1, packet_id=2))
    engine.advance(THROTTLE_S)
    client.send(publish("t", b"3", 1, packet_id=3))
    assert engine.payloads() == [b"1", b"3"]
    answered = [packet.packet_id for packet in client.take() if isinstance(packet, (Puback, Puback5))]
    assert {1, 3} <= set(answered)
    assert ("dropped", FAULT_INJECTED) in engine.outcomes()


def test_stall_holds_both_directions_back_and_lets_them_go_on_when_it_ends(engine: Engine) -> None:
    client = engine.subscriber(("down", 1), client_id="dev-1")
    other = engine.connected("other")
    on(engine, Fault.STALL)
    other.send(client_publish("down", b"to the client"))
    client.send(client_publish("up", b"from the client", 1, packet_id=9))
    assert (client.take(), engine.payloads()) == ([], [b"to the client"])
    off(engine)
    engine.settle()
    found = client.take()
    assert [packet.payload for packet in found if isinstance(packet, Got)] == [b"to the client"]
    assert Puback(9) in found
    assert engine.payloads() == [b"to the client", b"from the client"]


def test_stalled_connection_still_ends_by_its_keep_alive(engine: Engine) -> None:
    client = engine.connected("dev-1", keep_alive_s=60)
    on(engine, Fault.STALL)
    client.send(client_publish("up", b"x"))
    engine.advance(91)
    assert client.closed
    assert last(engine) == ("closed", "MQTT_KEEP_ALIVE_TIMEOUT", "dev-1")
    assert engine.context.faults._waiting == {}


def test_queue_of_a_stalled_client_is_bounded(engine: Engine) -> None:
    client = engine.subscriber(("down", 0), client_id="dev-1")
    on(engine, Fault.STALL)
    for number in range(20):
        engine.connected(f"other-{number}").send(client_publish("down", bytes(100_000)))
    assert client.closed
    assert ("closed", "CONNECTION_LOST") in engine.outcomes()


def test_faults_are_listed_with_their_hits_and_switched_off_one_by_one_or_all() -> None:
    faults = Faults(ManualClock())
    assert not faults.active
    for client_id, fault in (("a", Fault.DROP), ("a", Fault.REFUSE), ("b", Fault.STALL)):
        faults.switch_on(client_id, fault)
    assert faults.hits("a", Fault.DROP)
    assert not faults.hits("b", Fault.DROP)
    assert not faults.hits(None, Fault.DROP)
    assert faults.listed() == [
        {"client_id": "a", "fault": "drop", "hits": 1},
        {"client_id": "a", "fault": "refuse", "hits": 0},
        {"client_id": "b", "fault": "stall", "hits": 0},
    ]
    faults.switch_off("a", Fault.DROP)
    faults.switch_off("a", Fault.THROTTLE)
    assert [each["fault"] for each in faults.listed()] == ["refuse", "stall"]
    faults.switch_off("a")
    assert faults.active
    faults.switch_off()
    assert (faults.active, faults.listed()) == (False, [])


def test_number_of_clients_with_faults_is_bounded() -> None:
    faults = Faults(ManualClock())
    for number in range(MAX_CLIENTS):
        faults.switch_on(str(number), Fault.DROP)
    with pytest.raises(FaultError, match="switch some off"):
        faults.switch_on("one more", Fault.DROP)


def test_wrong_certificate_is_for_one_handshake_from_the_clients_address() -> None:
    faults = Faults(ManualClock())
    faults.switch_on("a", Fault.WRONG_CERTIFICATE, "10.0.0.1")
    assert faults.wrong_certificate_for("10.0.0.2") is None
    assert faults.wrong_certificate_for("10.0.0.1") == "a"
    assert faults.wrong_certificate_for("10.0.0.1") is None
    assert not faults.active
