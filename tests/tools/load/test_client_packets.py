"""The load client's packets, against the endpoint's own parser and encoder."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mqtt443_tools.load import client_packets
from mqtt443_tools.localcore.mqtt import encoder, packets
from mqtt443_tools.localcore.mqtt.fields import string
from mqtt443_tools.localcore.mqtt.parser import Parser


def parsed(data: bytes) -> list[packets.Packet]:
    return Parser(1024 * 1024).feed(data)


def test_endpoint_reads_the_packets_that_it_sends() -> None:
    data = b"".join(
        (
            client_packets.connect("board-1", "user", "pass", 60),
            client_packets.subscribe(7, "commands/board-1", 1),
            client_packets.publish(string("telemetry/board-1"), b"x" * 200, 9),
            client_packets.publish(string("telemetry/board-1"), b"", None),
            client_packets.puback(513),
            client_packets.PINGREQ,
            client_packets.DISCONNECT,
        )
    )
    assert parsed(data) == [
        packets.Connect("board-1", True, 60, "user", b"pass", None),
        packets.Subscribe(7, (("commands/board-1", 1),)),
        packets.Publish("telemetry/board-1", b"x" * 200, 1, packet_id=9),
        packets.Publish("telemetry/board-1", b"", 0),
        packets.Puback(513),
        packets.Pingreq(),
        packets.Disconnect(),
    ]


def test_anonymous_connect_has_neither_name_nor_password() -> None:
    assert parsed(client_packets.connect("c", None, None, 0)) == [packets.Connect("c", True, 0, None, None, None)]


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 50))
def test_packets_are_cut_wherever_the_stream_is(bodies: list[bytes], step: int) -> None:
    stream = b"".join(encoder.publish(packets.Publish("t", body, 0)) for body in bodies)
    incomplete, found = b"", []
    for at in range(0, len(stream), step):
        complete, incomplete = client_packets.cut(incomplete + stream[at : at + step])
        found += complete
    assert [body.removeprefix(string("t")) for _, body in found] == bodies
    assert {first for first, _ in found} <= {0x30}
    assert not incomplete
