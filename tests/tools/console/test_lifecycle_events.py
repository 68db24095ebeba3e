"""Lifecycle events, as AWS sends them: late, twice, out of order, and by anybody who may publish there."""

import json

import pytest
from mqtt443_tools.console.lifecycle_events import MAX_CLIENTS, OnlineClients


def payload(kind: str, client_id: str = "kitchen", session: str = "s1", **more: object) -> bytes:
    said = {"clientId": client_id, "timestamp": 1_796_000_000_500, "eventType": kind, "sessionIdentifier": session}
    return json.dumps({**said, "principalIdentifier": "p", "versionNumber": 0, **more}).encode()


def test_events_say_who_is_online_and_why_somebody_left() -> None:
    clients = OnlineClients()
    begun = clients.take(payload("connected", ipAddress="192.0.2.1"))
    assert begun == {
        "time": 1_796_000_000.5,
        "client_id": "kitchen",
        "source": "192.0.2.1",
        "connection_id": "s1",
        "outcome": "accepted",
        "reason": "CONNECTED",
        "detail": "session 0 began",
    }
    assert clients.online == ["kitchen"]
    ended = clients.take(payload("disconnected", disconnectReason="MQTT_KEEP_ALIVE_TIMEOUT"))
    assert ended is not None
    assert (ended["outcome"], ended["reason"]) == ("closed", "MQTT_KEEP_ALIVE_TIMEOUT")
    assert clients.online == []


def test_failed_connection_is_a_refusal() -> None:
    clients = OnlineClients()
    failed = clients.take(payload("connect_failed", connectFailureReason="AUTHORIZATION_FAILED"))
    assert failed is not None
    assert (failed["outcome"], failed["reason"], clients.online) == ("refused", "AUTHORIZATION_FAILED", [])


def test_late_event_of_an_old_session_changes_nothing() -> None:
    clients = OnlineClients()
    clients.take(payload("connected", session="new"))
    clients.take(payload("disconnected", session="old"))
    assert clients.online == ["kitchen"]
    clients.take(payload("disconnected", session="new"))
    clients.take(payload("connected", session="new"))  # the same event again
    assert clients.online == []


def test_event_that_comes_twice_is_told_once() -> None:
    clients = OnlineClients()
    for kind, session in (("connected", "s1"), ("disconnected", "s1"), ("connect_failed", "s2")):
        assert clients.take(payload(kind, session=session)) is not None
        assert clients.take(payload(kind, session=session)) is None


def test_client_that_was_online_at_the_start_can_leave() -> None:
    clients = OnlineClients()
    clients.begin("kitchen")
    clients.take(payload("disconnected"))
    assert clients.online == []


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"{",
        b"[" * 5000,
        b"\xff",
        b"[]",
        b'{"clientId": 1, "eventType": "connected", "timestamp": 1}',
        b'{"clientId": "a", "eventType": "connected", "timestamp": "x"}',
        b'{"clientId": "a", "eventType": "connected", "timestamp": ' + b"9" * 400 + b"}",
        b'{"clientId": "a", "eventType": "melted", "timestamp": 1}',
    ],
)
def test_anything_else_is_no_event(hostile: bytes) -> None:
    clients = OnlineClients()
    assert clients.take(hostile) is None
    assert clients.online == []


def test_clients_are_bounded() -> None:
    clients = OnlineClients()
    for number in range(MAX_CLIENTS + 10):
        clients.begin(f"c{number}")
    assert (len(clients.online), clients.online[-1]) == (MAX_CLIENTS, f"c{MAX_CLIENTS + 9}")
