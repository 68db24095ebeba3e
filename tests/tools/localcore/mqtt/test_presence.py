"""Lifecycle events: connected, disconnected and connect_failed, for all clients that may subscribe."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.mqtt.client import DISCONNECT, Got, Suback, client_connect, client_publish, client_subscribe
from tests.support.mqtt.engine import Engine, EngineClient, allow

FILTER = "$aws/events/presence/#"


@pytest.fixture
def watcher(engine: Engine) -> EngineClient:
    client = engine.subscriber((FILTER, 0), client_id="watcher", keep_alive_s=1200)
    client.take()
    return client


def events(watcher: EngineClient) -> list[tuple[str, dict[str, Any]]]:
    found = [(packet.topic, json.loads(packet.payload)) for packet in watcher.take() if isinstance(packet, Got)]
    return [(topic.removeprefix("$aws/events/presence/"), event) for topic, event in found]


def test_connection_is_announced_at_both_ends_with_one_version(engine: Engine, watcher: EngineClient) -> None:
    now = int(engine.clock.time() * 1000)
    client = engine.connected("dev-1")
    ((topic, connected),) = events(watcher)
    session = connected.pop("sessionIdentifier")
    assert topic == "connected/dev-1"
    assert connected == {
        "clientId": "dev-1",
        "timestamp": now,
        "eventType": "connected",
        "principalIdentifier": "test",
        "ipAddress": "127.0.0.1",
        "versionNumber": 0,
    }
    client.send(DISCONNECT)
    ((topic, disconnected),) = events(watcher)
    assert topic == "disconnected/dev-1"
    assert disconnected == {
        "clientId": "dev-1",
        "timestamp": now,
        "eventType": "disconnected",
        "sessionIdentifier": session,
        "principalIdentifier": "test",
        "clientInitiatedDisconnect": True,
        "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
        "versionNumber": 0,
    }


def test_connection_that_is_taken_over_ends_before_the_new_one_begins(engine: Engine, watcher: EngineClient) -> None:
    engine.connected("dev-1")
    engine.connected("dev-1")
    told = [(topic, event["versionNumber"], event.get("disconnectReason")) for topic, event in events(watcher)]
    assert told == [
        ("connected/dev-1", 0, None),
        ("disconnected/dev-1", 0, "DUPLICATE_CLIENTID"),
        ("connected/dev-1", 1, None),
    ]


def test_version_begins_again_after_an_hour_away(engine: Engine, watcher: EngineClient) -> None:
    for pause_s, version in ((0, 0), (1700, 1), (1700, 2)):
        engine.advance(pause_s)
        engine.connected("dev-1").send(DISCONNECT)
        assert [event["versionNumber"] for _, event in events(watcher)] == [version, version]
        watcher.send(client_publish("alive"))
    for _ in range(3):
        engine.advance(1200)
        watcher.send(client_publish("alive"))
    engine.connected("dev-1")
    assert [event["versionNumber"] for _, event in events(watcher)] == [0]


def test_clients_that_stay_away_are_forgotten(engine: Engine) -> None:
    for number in range(100):
        engine.connected(f"dev-{number}").vanish()
    engine.advance(3600)
    engine.connected("last").vanish()
    assert list(engine.broker.presence._gone) == ["last"]


def test_refused_login_and_refused_policy_are_reported(engine: Engine, watcher: EngineClient) -> None:
    engine.function.allow(allow(("Publish", "*")))
    engine.client().send(client_connect("dev-1"))
    engine.function.refuse()
    engine.client().send(client_connect("dev-2"))
    told = events(watcher)
    assert [topic for topic, _ in told] == ["connect_failed/dev-1", "connect_failed/dev-2"]
    assert [event["connectFailureReason"] for _, event in told] == ["AUTHORIZATION_FAILED"] * 2
    assert [event["principalIdentifier"] for _, event in told] == ["test", ""]


@pytest.mark.parametrize("client_id", ["a+b", "a#b"])
def test_client_id_with_a_wildcard_gets_no_events(engine: Engine, watcher: EngineClient, client_id: str) -> None:
    engine.connected(client_id).vanish()
    assert events(watcher) == []


def test_policy_decides_who_may_watch_and_no_client_may_publish(engine: Engine) -> None:
    engine.connected("dev-1").send(client_publish("$aws/events/presence/connected/x", b"{}"))
    assert "lifecycle events are only for subscribers" in engine.events[-1].detail
    engine.function.allow(allow(("Connect", "*"), ("Subscribe", "topicfilter/$aws/events/presence/*")))
    client = engine.connected("blind")
    client.send(client_subscribe((FILTER, 0)))
    assert client.take() == [Suback(1, (0,))]
    engine.connected("dev-2")
    assert client.take() == []  # no iot:Receive
    engine.function.allow(allow(("Connect", "*")))
    client = engine.connected("dev-3")
    client.send(client_subscribe((FILTER, 0)))
    assert client.closed
