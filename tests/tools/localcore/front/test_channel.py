"""What the endpoint sends to one client: packets that belong together leave in one TLS record."""

from __future__ import annotations

import contextlib
import tracemalloc

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
