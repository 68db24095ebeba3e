"""What the endpoint sends to one client: packets that belong together leave in one TLS record."""

from __future__ import annotations

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
