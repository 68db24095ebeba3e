"""Cost on the wire: one TLS record per packet, and no more round trips than the protocols need."""

from collections.abc import Iterator

import pytest

from bench.figures import wire
from bench.rig import bench
from tests.support.board.interpreters import need

Figures = dict[str, tuple[float, float | None]]


@pytest.fixture(scope="module")
def figures() -> Iterator[dict[str, tuple[float, float | None]]]:
    need("alpn")
    with bench() as rig:
        yield {figure.name: (figure.ours, figure.umqtt) for figure in wire(rig)}


@pytest.mark.parametrize("transport", ["alpn", "tls", "wss"])
@pytest.mark.parametrize("packet", ["QoS 0 publish", "QoS 1 publish", "first QoS 1 publish of a connection"])
def test_publish_is_one_tls_record(figures: Figures, packet: str, transport: str) -> None:
    assert figures[f"{packet}, {transport}: records"][0] == 1


@pytest.mark.parametrize("transport", ["alpn", "tls"])
def test_publish_of_100_bytes_is_139_bytes_on_the_wire_after_the_first(figures: Figures, transport: str) -> None:
    assert figures[f"QoS 1 publish, {transport}: wire"][0] == 139
    assert figures[f"first QoS 1 publish of a connection, {transport}: wire"][0] == 172


@pytest.mark.parametrize(("transport", "records"), [("alpn", 1), ("tls", 1), ("wss", 2)])
def test_connect_is_one_tls_record_after_the_upgrade(figures: Figures, transport: str, records: int) -> None:
    assert figures[f"CONNECT, {transport}: records"][0] == records


@pytest.mark.parametrize(("transport", "turns"), [("alpn", 5), ("tls", 5), ("wss", 6)])
def test_first_puback_takes_the_fewest_round_trips(figures: Figures, transport: str, turns: int) -> None:
    assert figures[f"start to first PUBACK, {transport}"][0] == turns


def test_unchanged_umqtt_sends_packets_in_pieces(figures: Figures) -> None:
    packets = ("CONNECT", "QoS 0 publish", "QoS 1 publish")
    assert [figures[f"{packet}, alpn: records"][1] for packet in packets] == [8, 4, 5]
