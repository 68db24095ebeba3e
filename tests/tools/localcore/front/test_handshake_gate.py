"""Handshakes in progress are bounded, and a flood from one address does not keep another address out."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from mqtt443_tools.localcore.front.handshake_gate import HandshakeGate

from tests.support.mqtt.client import Connack, Puback, RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore


class Handshakes:
    """Handshakes that go on until they are ended."""

    def __init__(self, per_address: int, in_all: int) -> None:
        self.gate = HandshakeGate(per_address, in_all)
        self.ended: list[str] = []
        self.open = contextlib.ExitStack()

    def begin(self, address: str, name: str) -> None:
        self.open.callback(self.gate.begin(address, lambda: self.ended.append(name)))


def test_oldest_handshake_of_a_crowded_address_ends() -> None:
    handshakes = Handshakes(per_address=2, in_all=10)
    for name in ("first", "second", "third"):
        handshakes.begin("flood", name)
    assert handshakes.ended == ["first"]
    assert handshakes.gate.count == 2


def test_flood_makes_room_for_another_address() -> None:
    handshakes = Handshakes(per_address=10, in_all=3)
    for name in ("one", "two", "three"):
        handshakes.begin("flood", name)
    handshakes.begin("device", "device")
    for name in ("four", "five"):
        handshakes.begin("flood", name)
    assert handshakes.ended == ["one", "two", "three"]
    assert handshakes.gate.count == 3


def test_handshakes_that_end_by_themselves_leave_nothing() -> None:
    handshakes = Handshakes(per_address=2, in_all=3)
    handshakes.begin("a", "a")
    handshakes.begin("b", "b")
    handshakes.open.close()
    assert (handshakes.gate.count, handshakes.gate._in_progress, handshakes.ended) == (0, {}, [])


def test_device_connects_while_half_open_handshakes_fill_the_limit(tmp_path: Path) -> None:
    with (
        RunningCore(tmp_path / "state", max_handshakes=20, max_handshakes_per_address=10) as core,
        contextlib.ExitStack() as flood,
    ):
        password = core.add_device("device")
        for _ in range(40):
            flood.enter_context(socket.create_connection(("127.0.0.1", core.port), source_address=("127.0.0.2", 0)))
        with RawClient(core) as client:
            assert client.connect("device", password) == Connack(0)
            client.send(client_publish("telemetry/device", b"x", 1))
            assert client.receive() == Puback(1)
        assert core.next_event("refused", "THROTTLED").source == "127.0.0.2"


def test_flood_of_half_open_handshakes_is_counted_in_few_events(tmp_path: Path) -> None:
    flooders = 300
    with (
        RunningCore(tmp_path / "state", max_handshakes=20, max_handshakes_per_address=10) as core,
        contextlib.ExitStack() as flood,
    ):
        password = core.add_device("device")
        for _ in range(flooders):
            flood.enter_context(socket.create_connection(("127.0.0.1", core.port), source_address=("127.0.0.2", 0)))
        with RawClient(core) as client:
            assert client.connect("device", password) == Connack(0)
    told = [event.detail for event in core.events if event.reason == "THROTTLED"]
    one = "too many TLS handshakes were in progress, and this was the oldest"
    assert told[0] == one
    # A machine that is too slow for a flood has pauses in it; what comes after one is named again.
    assert sum(1 if detail == one else int(detail.removesuffix(f" more: {one}")) for detail in told) == flooders - 10
    assert len(told) < flooders / 10
