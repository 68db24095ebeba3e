"""The packet filter: one write a packet out, and only whole, checked packets in."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import errors
from mqtt443.packets import Packets

from tests.firmware.fakes import Wire

CONNACK = b"\x20\x02\x00\x00"


def length(size: int) -> bytes:
    out = b""
    while size > 127:
        out += bytes([size & 0x7F | 0x80])
        size >>= 7
    return out + bytes([size])


def publish(topic: bytes, payload: bytes, identifier: int | None = None) -> bytes:
    body = len(topic).to_bytes(2, "big") + topic
    if identifier is not None:
        body += identifier.to_bytes(2, "big")
    body += payload
    return bytes([0x30 if identifier is None else 0x32]) + length(len(body)) + body


def attached(*incoming: bytes | Exception | None, max_bytes: int = 512, connected: bool = True) -> tuple[Any, Wire]:
    wire: Any = Wire([CONNACK, *incoming] if connected else incoming)
    packets = Packets(max_bytes)
    packets.attach(wire)
    if connected:
        assert packets.read(4) == CONNACK
    return packets, wire


def take(packets: Any) -> bytes:
    """Read one packet byte by byte, as umqtt may."""
    first: bytes = packets.read(1)
    return first + packets.read(packets.limit - 1) if packets.limit > 1 else first


# Out.


@given(payload=st.binary(max_size=700), cuts=st.lists(st.integers(0, 710), max_size=8))
def test_packet_leaves_in_one_write_however_it_is_cut(payload: bytes, cuts: list[int]) -> None:
    packet = publish(b"t", payload, 7)
    packets, wire = attached()
    edges = [0, *sorted({min(cut, len(packet)) for cut in cuts}), len(packet)]
    for a, b in itertools.pairwise(edges):
        packets.write(packet[a:b])
    assert wire.writes == [packet]


@given(
    messages=st.lists(
        st.tuples(st.binary(min_size=1, max_size=300), st.binary(max_size=1500), st.integers(0, 65535)), max_size=9
    )
)
def test_publishes_are_packed_into_records_and_come_out_whole(messages: list[tuple[bytes, bytes, int]]) -> None:
    packets, wire = attached()
    for topic, payload, pid in messages:
        packets.publish(0x32 if pid else 0x30, topic, payload, pid)
    packets.flush()
    expected = [publish(topic, payload, pid or None) for topic, payload, pid in messages]
    assert b"".join(wire.writes) == b"".join(expected)
    # A new record is begun only where the next packet, with five bytes of header at most, does not fit any more.
    assert all(len(sent) <= 4088 for sent in wire.writes)
    assert all(len(a) + len(b) > 4080 - max(map(len, expected)) for a, b in itertools.pairwise(wire.writes))


def test_dropped_packet_does_not_leave_with_the_next_one() -> None:
    packets, wire = attached()
    packets.publish(0x32, b"t", b"x", 7)
    packets.discard_output()
    packets.write(b"\xe0\x00")
    assert wire.writes == [b"\xe0\x00"]


def test_count_of_a_piece_is_kept_to() -> None:
    packets, wire = attached()
    packets.write(bytearray(b"\x30\x03\0\0\0"), 2)
    packets.write(b"\0\1t")
    assert wire.writes == [b"\x30\x03\0\1t"]


def test_buffer_is_used_again() -> None:
    packets, wire = attached()
    packets.write(publish(b"t", b"x" * 1000))
    kept = packets._out
    for _ in range(3):
        packets.write(b"\xc0\x00")
    packets.write(publish(b"t", b"y" * 1000))
    assert packets._out is kept
    assert wire.writes[1:] == [b"\xc0\x00"] * 3 + [publish(b"t", b"y" * 1000)]


def test_new_connection_forgets_half_a_packet() -> None:
    packets, _ = attached()
    packets.write(b"\x30\x0a\0\1t")
    wire = Wire()
    packets.attach(wire)
    packets.write(b"\xc0\x00")
    assert wire.writes == [b"\xc0\x00"]


def test_two_packets_in_one_write_are_a_mistake_of_the_caller() -> None:
    packets, _ = attached()
    with pytest.raises(ValueError, match="one packet"):
        packets.write(b"\xc0\x00\xc0\x00")


# In.

ALLOWED = [
    publish(b"a/b", b"hello"),
    publish(b"a", b"", 65535),
    b"\x40\x02\0\1",
    b"\x90\x03\0\1\1",
    b"\xb0\x02\0\1",
    b"\xd0\0",
]


@pytest.mark.parametrize("packet", ALLOWED)
def test_what_a_server_may_send_is_handed_on(packet: bytes) -> None:
    packets, _ = attached(packet)
    assert take(packets) == packet


@given(which=st.lists(st.sampled_from(ALLOWED), min_size=1, max_size=5), sizes=st.lists(st.integers(1, 9), min_size=1))
def test_packets_come_out_as_they_went_in_however_they_are_cut(which: list[bytes], sizes: list[int]) -> None:
    data = b"".join(which)
    pieces: list[bytes | None] = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        pieces += [data[:size], None]
        data, turn = data[size:], turn + 1
    packets, wire = attached(*pieces)
    wire.setblocking(False)
    for packet in which:
        for _ in range(1000):
            first = packets.read(1)
            if first is not None:
                break
        assert first == packet[:1]
        if len(packet) > 1:
            assert packets.read(len(packet) - 1) == packet[1:]
    assert packets.read(1) is None


def test_part_of_a_packet_is_not_shown_and_not_lost() -> None:
    packets, wire = attached(b"\x40", None, b"\x02\0", None, b"\7")
    wire.setblocking(False)
    assert packets.read(1) is None
    assert packets.read(1) is None
    packets.skip()
    assert packets.read(4) == b"\x40\x02\0\7"


def test_skip_drops_unread_bytes() -> None:
    packets, _ = attached(b"\x40\x02\0\1", b"\xd0\0")
    assert packets.read(1) == b"\x40"
    packets.skip()
    assert packets.read(2) == b"\xd0\0"


def test_reading_past_the_packet_is_refused() -> None:
    packets, _ = attached(b"\x40\x02\0\1")
    packets.read(3)
    with pytest.raises(errors.MalformedPacket):
        packets.read(2)


@pytest.mark.parametrize(
    "packet",
    [
        b"\x00\x00",
        b"\x10\x00",
        b"\x20\x02\x00\x00",  # a second CONNACK
        b"\x21\x02\x00\x00",
        b"\x40\x03\0\1\0",
        b"\x41\x02\0\1",
        b"\x50\x02\0\1",
        b"\x62\x02\0\1",
        b"\x70\x02\0\1",
        b"\x82\x02\0\1",
        b"\x90\x04\0\1\0\0",
        b"\xc0\x00",
        b"\xd0\x01\0",
        b"\xe0\x00",
        b"\xf0\x00",
        b"\x34\x05\0\1t\0\1",  # QoS 2
        b"\x36\x05\0\1t\0\1",  # QoS 3
        b"\x30\x00",
        b"\x30\x01\0",
        b"\x30\x03\0\2t",  # topic longer than the packet
        b"\x30\x02\0\0",  # empty topic
        b"\x32\x04\0\1t\0",  # no room for the identifier
        b"\x32\x05\0\1t\0\0",  # identifier 0
        b"\x30\xff\xff\xff\xff\x01",
        b"\xd0\x80\0",  # a length in more bytes than it needs
        b"\x30\x84\0\0\1tx",
        b"\x30\xff\xff\xff\x7f",  # 256 MB
    ],
)
def test_what_a_server_may_not_send_is_malformed(packet: bytes) -> None:
    packets, _ = attached(packet)
    with pytest.raises(errors.MalformedPacket):
        packets.read(1)


@pytest.mark.parametrize("packet", [b"\x20\x03\0\0\0", b"\xd0\0", b"\x40\x02\0\1"])
def test_first_packet_is_a_connack(packet: bytes) -> None:
    packets, _ = attached(packet, connected=False)
    with pytest.raises(errors.MalformedPacket):
        packets.read(1)


@pytest.mark.parametrize("packet", [CONNACK, b"\x20\x02\x01\x00", b"\x20\x02\x00\x05"])
def test_connack_is_handed_on(packet: bytes) -> None:
    packets, _ = attached(packet, connected=False)
    assert packets.read(4) == packet


def test_pingresp_clears_the_flag() -> None:
    packets, _ = attached(b"\xd0\0")
    packets.pinged = True
    packets.read(1)
    assert not packets.pinged


@pytest.mark.parametrize("identifier", [None, 0x1234])
@pytest.mark.parametrize("blocking", [True, False])
def test_message_too_large_is_read_away_acknowledged_and_counted(identifier: int | None, blocking: bool) -> None:
    big = publish(b"t" * 200, b"x" * 2000, identifier)
    pieces: list[bytes | None] = []
    for at in range(0, len(big), 150):
        pieces += [big[at : at + 150], None]
    packets, wire = attached(*pieces, ALLOWED[0])
    wire.setblocking(blocking)
    for _ in range(100):
        first = packets.read(1)
        if first is not None:
            break
    assert first + packets.read(len(ALLOWED[0]) - 1) == ALLOWED[0]
    assert packets.discarded == 1
    assert wire.writes == ([] if identifier is None else [b"\x40\x02\x12\x34"])
    assert len(packets._in) == 512


def test_message_of_exactly_the_buffer_is_kept() -> None:
    packet = publish(b"t", b"x" * (512 - 6))
    assert len(packet) == 512
    packets, _ = attached(packet)
    assert take(packets) == packet


def test_large_message_with_a_topic_past_the_buffer_is_malformed() -> None:
    packets, _ = attached(publish(b"t" * 600, b"x", 1))
    with pytest.raises(errors.MalformedPacket):
        packets.read(1)


@given(st.binary(max_size=60))
def test_any_bytes_give_packets_silence_or_malformed(data: bytes) -> None:
    packets, wire = attached(data)
    wire.setblocking(False)
    try:
        while packets.read(1) is not None:
            packets.skip()
    except errors.MalformedPacket:
        pass


def test_closing_twice_closes_once() -> None:
    packets, wire = attached()
    packets.close()
    packets.close()
    assert wire.closed == 1
