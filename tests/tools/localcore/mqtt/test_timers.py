"""The time limits that end a connection."""

from __future__ import annotations

import pytest

from tests.support.mqtt.client import PINGREQ, Pingresp, client_connect, client_publish
from tests.support.mqtt.engine import EVERYTHING, Engine, EngineClient, MakeEngine, allow


def test_no_connect_in_time_closes(engine: Engine) -> None:
    client = engine.client()
    client.send(client_connect()[:10])
    engine.advance(29)
    assert not client.closed
    engine.advance(1)
    assert client.closed
    assert engine.outcomes() == [("refused", "CONNECT_TIMEOUT")]


@pytest.mark.parametrize(
    ("asked_s", "cut_after_s"),
    [(60, 90), (1, 45), (29, 45), (30, 45), (1200, 1800), (1201, 1800), (0, 1800), (65535, 1800)],
)
def test_silent_client_is_cut_at_one_and_a_half_keep_alives(engine: Engine, asked_s: int, cut_after_s: int) -> None:
    client = engine.connected(keep_alive_s=asked_s)
    engine.advance(cut_after_s - 0.5)
    assert not client.closed
    engine.advance(0.5)
    assert client.closed
    assert engine.outcomes()[-1] == ("closed", "MQTT_KEEP_ALIVE_TIMEOUT")


@pytest.mark.parametrize("packet", [PINGREQ, client_publish("t")])
def test_any_packet_keeps_a_client_alive(engine: Engine, packet: bytes) -> None:
    client = engine.connected(keep_alive_s=60)
    for _ in range(5):
        engine.advance(89)
        client.send(packet)
    engine.advance(89)
    assert not client.closed
    engine.advance(1)
    assert client.closed


def test_half_a_packet_does_not_keep_a_client_alive(engine: Engine) -> None:
    client = engine.connected(keep_alive_s=60)
    engine.advance(60)
    client.send(client_publish("t", b"x" * 10)[:5])
    engine.advance(30)
    assert client.closed


def test_pingreq_is_answered(engine: Engine) -> None:
    client = engine.connected()
    client.send(PINGREQ)
    assert client.take() == [Pingresp()]


def stay_for(engine: Engine, client: EngineClient, seconds: int) -> None:
    """Let time pass with a ping every 1,000 s."""
    left = seconds
    while left > 0:
        engine.advance(min(left, 1000))
        client.send(PINGREQ)
        left -= 1000


def test_grant_ends_the_connection_at_its_ttl(engine: Engine) -> None:
    engine.function.allow(EVERYTHING, disconnect_s=3600, refresh_s=300)
    client = engine.connected(keep_alive_s=1200)
    stay_for(engine, client, 3599)
    assert not client.closed
    engine.function.allow(EVERYTHING, disconnect_s=86_400, refresh_s=300)  # a refresh cannot move it
    engine.advance(1)
    assert client.closed
    assert engine.outcomes()[-1] == ("closed", "CUSTOMAUTH_TTL_EXPIRATION")


def test_policy_is_refreshed_on_time_and_the_new_one_counts(engine: Engine) -> None:
    engine.function.allow(EVERYTHING, refresh_s=300)
    client = engine.connected("dev-1", keep_alive_s=1200)
    engine.advance(299)
    assert len(engine.function.events) == 1
    engine.function.allow(allow(("Connect", "client/dev-1"), ("Publish", "topic/new")), refresh_s=600)
    engine.advance(1)
    assert len(engine.function.events) == 2
    assert engine.function.events[0] == engine.function.events[1]
    client.send(client_publish("new", b"1"))
    assert engine.payloads() == [b"1"]
    engine.advance(599)
    assert len(engine.function.events) == 2
    engine.advance(1)
    assert len(engine.function.events) == 3
    client.send(client_publish("old", b"2"))
    assert client.closed
    assert engine.payloads() == [b"1"]


def test_refused_refresh_cuts_the_connection_and_sends_its_will(engine: Engine) -> None:
    engine.function.allow(EVERYTHING, refresh_s=300)
    client = engine.connected(will=("last", b"words", 0, False))
    engine.function.refuse()
    for _ in range(5):
        engine.advance(60)
        client.send(PINGREQ)
    assert client.closed
    assert engine.outcomes()[-1] == ("closed", "AUTH_ERROR")
    assert "NOT_AUTHENTICATED" in engine.events[-1].detail
    assert engine.payloads() == [b"words"]


@pytest.mark.parametrize("recheck", [True, False])
def test_iot_connect_is_evaluated_again_at_a_refresh(make_engine: MakeEngine, recheck: bool) -> None:
    engine = make_engine(recheck_connect=recheck)
    engine.function.allow(EVERYTHING, refresh_s=300)
    client = engine.connected(keep_alive_s=1200)
    engine.function.allow(allow(("Publish", "topic/*")), refresh_s=300)
    engine.advance(300)
    assert client.closed is recheck
    assert ("closed", "AUTH_ERROR") in engine.outcomes() or not recheck


def test_refresh_error_closes_one_connection_and_logs_its_class(engine: Engine) -> None:
    engine.function.allow(EVERYTHING, refresh_s=300)
    other = engine.connected("other", keep_alive_s=1200)
    engine.function.allow(EVERYTHING, refresh_s=600)
    engine.advance(300)
    client = engine.connected("dev-1", keep_alive_s=1200)
    engine.function.answer = RuntimeError("a bug")
    engine.advance(600)
    assert client.closed
    assert other.closed
    assert engine.events[-1].detail == "internal error: RuntimeError"
    assert any("RuntimeError: a bug" in line for line in engine.log)


@pytest.mark.parametrize(("active", "asked_at_s"), [(False, 500), (True, 300)])
def test_first_refresh_of_an_idle_connection_can_be_late(
    make_engine: MakeEngine, active: bool, asked_at_s: int
) -> None:
    engine = make_engine(refresh_idle_lateness_s=200)
    engine.function.allow(EVERYTHING, refresh_s=300)
    client = engine.connected(keep_alive_s=1200)
    engine.advance(10)
    if active:
        client.send(PINGREQ)
    engine.advance(asked_at_s - 10 - 1)
    assert len(engine.function.events) == 1
    engine.advance(1)
    assert len(engine.function.events) == 2


def test_connection_that_ends_while_it_is_refreshed_stays_ended(engine: Engine) -> None:
    engine.function.allow(EVERYTHING, refresh_s=300)
    client = engine.connected(keep_alive_s=1200)
    engine.function.gate.clear()
    engine.advance(300)
    client.vanish()
    engine.function.gate.set()
    engine.settle()
    assert engine.outcomes()[-1] == ("closed", "CONNECTION_LOST")
    assert engine.clock.pending == 0


def test_websocket_lives_for_a_day_at_most(make_engine: MakeEngine) -> None:
    engine = make_engine(websocket_lifetime_s=2000)
    client = engine.client(http_headers={}, http_query="")
    client.send(client_connect(keep_alive_s=1200))
    plain = engine.connected("plain", keep_alive_s=1200)
    stay_for(engine, client, 1000)
    plain.send(PINGREQ)
    client.take()
    engine.advance(1000)
    assert client.closed
    assert not plain.closed
    assert engine.outcomes()[-1] == ("closed", "WEBSOCKET_TTL_EXPIRATION")


def test_no_timer_is_left_where_connack_could_not_be_sent(engine: Engine) -> None:
    client = engine.client()
    client.reads = False
    client.send(client_connect())
    assert engine.outcomes()[-1] == ("closed", "CONNECTION_LOST")
    assert engine.clock.pending == 0


def test_no_timer_is_left_when_a_clean_session_ends(engine: Engine) -> None:
    engine.connected().vanish()
    assert engine.clock.pending == 0
