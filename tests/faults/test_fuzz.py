"""Mutated input for everything that is open to the network: events for the authorizer, packets for the endpoint.

Seeded: MQTT443_SEED repeats a run. `make soak` tries 250,000 events and 320,000 packets.
"""

from __future__ import annotations

import json
import random
from typing import Any

from tests.authorizer.test_event_fuzz import NAMES, places, right_login, with_changes
from tests.faults.conftest import Form
from tests.faults.mutations import mutated
from tests.support.aws.logins import Desk, device, event
from tests.support.mqtt.client import (
    client_connect,
    client_puback,
    client_publish,
    client_subscribe,
    client_unsubscribe,
    frame,
)
from tests.support.mqtt.client5 import connect5, publish5, subscribe5
from tests.support.mqtt.engine import Engine

TEXTS = [
    "",
    "sensor-1",
    "dev1",
    "*",
    "${iot:ClientId}",
    "a" * 5000,
    "\0",
    "\ud800",
    "ÿ",
    "../..",
    "dev1?x=1",
    "=",
    "AA==",
]
PACKETS_A_LIFE = 12


def value(source: random.Random, depth: int = 3) -> Any:
    """A JSON value."""
    kind = source.randrange(8 if depth else 6)
    if kind == 6:
        return [value(source, depth - 1) for _ in range(source.randrange(4))]
    if kind == 7:
        return {source.choice(TEXTS): value(source, depth - 1) for _ in range(source.randrange(4))}
    simple = (None, True, source.randrange(-(2**70), 2**70), source.random() * 10**300, float("nan"))
    return simple[kind] if kind < len(simple) else source.choice(TEXTS)


def test_mutated_events_are_never_wrongly_allowed(form: Form) -> None:
    source = form.random("events")
    recorded = [event(name) for name in NAMES]
    whereabouts = [list(places(each)) for each in recorded]
    desk = Desk(device())
    allowed = 0
    count = form.pick(2_000, 250_000)
    for _ in range(count):
        which = source.randrange(len(recorded))
        changes = [
            (source.choice(whereabouts[which]), value(source), source.random() < 0.3)
            for _ in range(source.randrange(1, 4))
        ]
        changed = with_changes(recorded[which], changes)
        answer = desk.decide(changed)
        line = desk.lines.pop()
        assert answer["isAuthenticated"] in (True, False), changes
        assert "internal error" not in line["reason"], changes
        assert not answer["isAuthenticated"] or right_login(changed), changes
        json.dumps(line)
        allowed += answer["isAuthenticated"]
    assert 0 < allowed < count, "mutations that change everything, or nothing, find nothing"


def packets(source: random.Random, version: int, client_id: str) -> list[bytes]:
    """All packets of a client: CONNECT, then any that it may send."""
    topic = source.choice(("t", "a/b", "a//b", "é", "$aws/rules/r/t") * 5 + ("telemetry/+", "x" * 300))
    payload = source.randbytes(source.choice((0, 1, 100, 3000)))
    qos, packet_id = source.choice((0, 1) * 8 + (2,)), source.choice((1, 2, 65535) * 8 + (0,))
    if version == 5:
        able = [publish5(topic, payload), subscribe5((topic, qos)), subscribe5(("#", 1), ("a/+", 0))]
        connect = connect5(client_id)
    else:
        able = [
            client_publish(topic, payload, min(qos, 1)),
            client_subscribe((topic, qos), packet_id=packet_id or 1),
            client_unsubscribe(topic),
        ]
        connect = client_connect(client_id)
    able += [client_puback(packet_id), frame(0xC0)]
    if source.random() < 0.2:
        able.append(frame(source.randrange(256), source.randbytes(source.randrange(9))))
    first = connect if source.random() < 0.9 else source.choice(able)
    return [first, *(source.choice(able) for _ in range(source.randrange(PACKETS_A_LIFE))), frame(0xE0)]


class Unread:
    """Accepts any answers: a mutated CONNECT can have any version, and its answer has the same version."""

    def feed(self, _: bytes) -> list[Any]:
        return []


def test_mutated_packets_leave_the_endpoint_whole(form: Form) -> None:
    source = form.random("packets")
    engine = Engine(max_queued_messages=20)
    sent = accepted = 0
    try:
        while sent < form.pick(10_000, 320_000):
            version = source.choice((4, 5))
            client = engine.client(version)
            client._inbox = Unread()  # type: ignore[assignment]
            for packet in packets(source, version, f"c{source.randrange(5)}"):
                data = mutated(source, packet)
                cut = source.randrange(len(data) + 1)
                for piece in (data[:cut], data[cut:]):
                    if not client.closed and piece:
                        client.send(piece)
                sent += 1
            if not client.closed:
                client.vanish()
            assert engine.broker.connected() == []
            assert engine.log == []
            accepted += any(event.outcome == "accepted" for event in engine.events)
            engine.events.clear()
            engine.messages.clear()
            if source.random() < 0.02:
                engine.advance(source.choice((1, 60, 4000)))
                client = engine.connected("witness")
                client.send(client_subscribe(("w", 1)) + client_publish("w", b"still here", 0))
                assert client.payloads() == [b"still here"]
                client.vanish()
        assert accepted, "a fuzzer that never gets in tests the door alone"
    finally:
        engine.close()
