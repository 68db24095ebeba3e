"""What the endpoint sends to one client: packets that belong together leave in one TLS record."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from mqtt443_tools.localcore.front.channel import Channel, Turn

from tests.support.mqtt.client import Puback, RawClient, client_publish
from tests.support.mqtt.endpoint import RunningCore
from tests.support.mqtt.relay import Relay


def test_pubacks_for_publishes_of_one_record_go_back_in_one_record(core: RunningCore) -> None:
    core.add_device("dev-1", password="secret")
    with Relay(core.port) as relay, RawClient(core, port=relay.port) as client:
        client.connect()
        before = relay.passages[0].down.data_records
        client.send(b"".join(client_publish("telemetry/dev-1", b"x" * 100, 1, packet_id=n) for n in range(1, 51)))
        assert [client.receive() for _ in range(50)] == [Puback(n) for n in range(1, 51)]
        assert relay.passages[0].down.data_records - before == 1


def test_packets_sent_before_a_close_arrive(core: RunningCore) -> None:
    core.add_device("dev-1", password="secret")
    with RawClient(core) as client:
        client.connect()
        client.send(client_publish("telemetry/dev-1", b"x", 1, packet_id=7) + client_publish("elsewhere", b"x", 1))
        assert client.receive() == Puback(7)
        assert client.receive() is None


def test_connected_idle_client_takes_little_memory(core: RunningCore) -> None:
    for number in range(11):
        core.add_device(f"dev-{number}", password="secret")
    places = [tracemalloc.Filter(True, pattern) for pattern in ("*/asyncio/*", "*/localcore/*")]

    def held() -> int:
        traces = tracemalloc.take_snapshot().filter_traces(places)
        return sum(trace.size for trace in traces.traces)

    with contextlib.ExitStack() as clients:
        tracemalloc.start()
        clients.callback(tracemalloc.stop)
        clients.enter_context(RawClient(core)).connect("dev-0")  # what all connections share is there now
        before = held()
        for number in range(1, 11):
            clients.enter_context(RawClient(core)).connect(f"dev-{number}")
        assert len(core.run(core.core.broker.connected)) == 11
        per_client = (held() - before) / 10
    assert per_client < 50_000, per_client


def test_channels_that_send_in_one_turn_are_flushed_by_one_callback() -> None:
    async def scenario() -> tuple[int, list[list[bytes]]]:
        turn, tls = Turn(), [FakeTls() for _ in range(3)]
        with counted_callbacks() as callbacks:
            for each in tls:
                channel = Channel(each, turn, 1000)  # type: ignore[arg-type]  # what a channel uses of it
                channel.send(b"a")
                channel.send(b"b")
        await asyncio.sleep(0)
        return len(callbacks), [each.written for each in tls]

    assert asyncio.run(scenario()) == (1, [[b"ab"]] * 3)


def test_each_turn_has_a_write_of_its_own() -> None:
    async def scenario() -> list[bytes]:
        tls = FakeTls()
        channel = Channel(tls, Turn(), 1000)  # type: ignore[arg-type]
        for packets in ((b"a", b"b", b"c"), (b"d",), (b"e", b"f")):
            for packet in packets:
                channel.send(packet)
            await asyncio.sleep(0)
        return tls.written

    assert asyncio.run(scenario()) == [b"abc", b"d", b"ef"]


@pytest.mark.parametrize(("waiting", "sizes"), [(0, [1000, 1]), (0, [1001]), (900, [50, 51]), (1000, [1])])
def test_client_that_does_not_read_is_aborted(waiting: int, sizes: list[int]) -> None:
    async def scenario() -> tuple[list[bool], FakeTls]:
        tls = FakeTls(waiting=waiting)
        channel = Channel(tls, Turn(), 1000)  # type: ignore[arg-type]
        sent = [channel.send(b"x" * size) for size in sizes]
        await asyncio.sleep(0)
        return sent, tls

    sent, tls = asyncio.run(scenario())
    assert sent == [True] * (len(sizes) - 1) + [False]
    assert (tls.is_closing, tls.written) == (True, [])


def test_error_of_one_channel_holds_up_no_other() -> None:
    async def scenario() -> tuple[list[str], list[list[bytes]]]:
        errors: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, found: errors.append(str(found["exception"])))
        turn, tls = Turn(), [FakeTls(), FakeTls(broken=True), FakeTls(), FakeTls()]
        for each in tls:
            Channel(each, turn, 1000).send(b"a")  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return errors, [each.written for each in tls]

    assert asyncio.run(scenario()) == (["broken"], [[b"a"], [], [b"a"], [b"a"]])


class FakeTls:
    """What a channel uses of its TLS connection."""

    is_closing = False

    def __init__(self, *, broken: bool = False, waiting: int = 0) -> None:
        self.written: list[bytes] = []
        self.waiting_bytes = waiting
        self.is_paused = waiting > 0
        self._broken = broken

    def write(self, data: bytes) -> None:
        if self._broken:
            raise RuntimeError("broken")
        self.written.append(data)

    def abort(self) -> None:
        self.is_closing = True


@contextlib.contextmanager
def counted_callbacks() -> Iterator[list[object]]:
    """Collect the callbacks that are scheduled in the running loop."""
    loop = asyncio.get_running_loop()
    call_soon, found = loop.call_soon, []

    def count(callback: Any, *args: Any, **options: Any) -> asyncio.Handle:
        found.append(callback)
        return call_soon(callback, *args, **options)

    loop.call_soon = count  # type: ignore[assignment, method-assign]
    try:
        yield found
    finally:
        loop.call_soon = call_soon  # type: ignore[method-assign]
