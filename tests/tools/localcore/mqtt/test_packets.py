"""The packet parser: what it takes, what it refuses, and that it stays within its bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.mqtt import encoder, packets
from mqtt443_tools.localcore.mqtt.packets import (
    Connect,
    Malformed,
    Packet,
    Publish,
    Subscribe,
    Unsubscribe,
    Will,
)
from mqtt443_tools.localcore.mqtt.parser import Parser
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode

from tests.support.mqtt.client import (
    Connack,
    Got,
    Inbox,
    Pingresp,
    Puback,
    Suback,
    Unsuback,
    client_connect,
    client_puback,
    client_publish,
    client_subscribe,
    client_unsubscribe,
    frame,
    text,
)

MAX = 1000

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
ids = st.integers(1, 0xFFFF)
wills = st.builds(Will, words, st.binary(max_size=40), st.integers(0, 2), st.booleans())
credentials = st.one_of(
    st.tuples(st.none(), st.none()), st.tuples(words, st.none()), st.tuples(words, st.binary(max_size=40))
)
connects = st.builds(
    lambda client_id, clean, keep_alive_s, login, will: Connect(
        client_id, clean, keep_alive_s, login[0], login[1], will
    ),
    words,
    st.booleans(),
    st.integers(0, 0xFFFF),
    credentials,
    st.none() | wills,
)
publishes = st.builds(Publish, words, st.binary(max_size=60), st.just(0), st.booleans()) | st.builds(
    Publish, words, st.binary(max_size=60), st.integers(1, 2), st.booleans(), st.booleans(), ids
)
subscribes = st.builds(Subscribe, ids, st.lists(st.tuples(words, st.integers(0, 2)), min_size=1, max_size=5).map(tuple))
unsubscribes = st.builds(Unsubscribe, ids, st.lists(words, min_size=1, max_size=5).map(tuple))
simple = st.sampled_from([packets.Pingreq(), packets.Disconnect()]) | st.builds(packets.Puback, ids)
streams = st.lists(st.one_of(connects, publishes, subscribes, unsubscribes, simple), max_size=6)


def encode(packet: Packet) -> bytes:
    """What a client sends for `packet`, by the tests' own encoder."""
    match packet:
        case Connect(client_id, clean, keep_alive_s, username, password, will):
            sent_will = None if will is None else (will.topic, will.payload, will.qos, will.retain)
            return client_connect(client_id, username, password, clean=clean, keep_alive_s=keep_alive_s, will=sent_will)
        case Publish(topic, payload, qos, retain, dup, packet_id):
            return client_publish(topic, payload, qos, retain=retain, dup=dup, packet_id=packet_id)
        case Subscribe(packet_id, filters):
            return client_subscribe(*filters, packet_id=packet_id)
        case Unsubscribe(packet_id, filters):
            return client_unsubscribe(*filters, packet_id=packet_id)
        case packets.Puback(packet_id):
            return client_puback(packet_id)
        case packets.Pingreq():
            return frame(0xC0)
    return frame(0xE0)


def parse(data: bytes) -> list[Packet]:
    return Parser(MAX).feed(data)


def detail(data: bytes) -> str:
    (packet,) = parse(data)
    assert isinstance(packet, Malformed), f"expected it to be refused, got {packet}"
    return packet.detail


@settings(max_examples=150)
@given(streams, st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_any_packets_in_any_chunks_come_out_as_they_went_in(sent: list[Packet], sizes: list[int]) -> None:
    data, parser, received = b"".join(map(encode, sent)), Parser(MAX), []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        received += parser.feed(data[:size])
        data, turn = data[size:], turn + 1
    assert received == sent
    assert parser.buffered == 0


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_never_raise_and_never_pile_up(chunks: list[bytes]) -> None:
    parser = Parser(100)
    for chunk in chunks:
        received = parser.feed(chunk)
        assert not any(isinstance(packet, Malformed) for packet in received[:-1])
        assert parser.buffered < 100 + 5


@settings(max_examples=200)
@given(streams.filter(bool), st.data())
def test_packet_with_flipped_bytes_never_raises(sent: list[Packet], data: st.DataObject) -> None:
    stream = bytearray(b"".join(map(encode, sent)))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    Parser(MAX).feed(bytes(stream))


def test_oversized_packet_is_refused_before_its_body() -> None:
    parser = Parser(MAX)
    assert parser.feed(bytes([0x30, 0xE8, 0x07])) == []  # 1000: as large as it may be
    (packet,) = Parser(MAX).feed(bytes([0x30, 0xE9, 0x07]))
    assert packet == Malformed("a packet of 1001 bytes, the limit is 1000", ReasonCode.PACKET_TOO_LARGE)


def test_malformed_packet_ends_the_parse_after_those_before_it() -> None:
    parser = Parser(MAX)
    received = parser.feed(frame(0xC0) + b"\x00" + frame(0xC0))
    assert [type(packet) for packet in received] == [packets.Pingreq, Malformed]
    assert parser.feed(frame(0xC0)) == []
    assert parser.buffered == 0


@pytest.mark.parametrize("first_byte", [0x00, 0xF0, 0x20, 0x90, 0xB0, 0xD0])
def test_server_packet_type_is_refused_at_its_first_byte(first_byte: int) -> None:
    assert "not for a client" in detail(bytes([first_byte]))


@pytest.mark.parametrize("first_byte", [0x11, 0x41, 0x60, 0x80, 0x81, 0xA0, 0xA3, 0xC1, 0xE8])
def test_wrong_header_flags_are_refused_at_the_first_byte(first_byte: int) -> None:
    assert "[MQTT-2.2.2-2]" in detail(bytes([first_byte]))


def test_remaining_length_of_five_bytes_is_refused() -> None:
    assert "2.2.3" in detail(b"\x30\x80\x80\x80\x80\x01")


@pytest.mark.parametrize(("name", "level", "answered_in"), [("MQIsdp", 3, 4), ("MQTT", 3, 4), ("MQTT", 6, 5)])
def test_other_protocol_levels_are_refused_in_the_version_nearest_to_them(
    name: str, level: int, answered_in: int
) -> None:
    parser = Parser(MAX)
    (packet,) = parser.feed(client_connect(name=name, level=level))
    assert isinstance(packet, Malformed)
    assert packet.reason_code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION
    assert parser.version == answered_in


@pytest.mark.parametrize(
    ("clause", "data"),
    [
        ("3.1.2-1]", client_connect(name="MQIsdp", level=4)),
        ("3.1.2-3]", client_connect(flags=0b1100_0011)),
        ("3.1.2-13]", client_connect(flags=0b1100_1010)),
        ("3.1.2-15]", client_connect(flags=0b1110_0010)),
        ("3.1.2-14]", client_connect(will=("t", b"", 3, False))),
        ("3.1.2-22]", client_connect(flags=0b0100_0010)),
        ("3.3.1-4]", client_publish("t", qos=3)),
        ("3.3.1-2]", client_publish("t", dup=True)),
        ("2.3.1-1]", client_publish("t", qos=1, packet_id=0)),
        ("2.3.1-1]", client_puback(0)),
        ("2.3.1-1]", client_subscribe(("t", 0), packet_id=0)),
        ("3.8.3-3]", client_subscribe()),
        ("3.8.3-4]", client_subscribe(("t", 3))),
        ("3.8.3-4]", client_subscribe(("t", 0x10))),
        ("3.10.3-2]", client_unsubscribe()),
        ("1.5.3-1]", client_publish(b"\xff")),
        ("1.5.3-1]", client_publish(b"\xed\xa0\x80")),
        ("1.5.3-1]", client_publish(b"\xc0\xaf")),
        ("1.5.3-2]", client_publish("a\0b")),
        ("1.5.3-1]", client_connect(b"\xfe")),
        ("ends inside its topic", frame(0x30, b"\x00\x05abc")),
        ("ends inside its packet identifier", frame(0x32, text("t"))),
        ("1 bytes too many", frame(0xC0, b"x")),
        ("1 bytes too many", frame(0x40, b"\x00\x01x")),
        ("1 bytes too many", client_connect()[:1] + bytes([client_connect()[1] + 1]) + client_connect()[2:] + b"x"),
    ],
)
def test_packets_that_the_standard_forbids_are_refused_with_the_clause(clause: str, data: bytes) -> None:
    assert clause in detail(data)


def test_byte_order_mark_stays_in_the_topic() -> None:
    assert parse(client_publish("\ufefft")) == [Publish("\ufefft", b"", 0)]  # [MQTT-1.5.3-3]


def test_password_is_not_in_the_repr() -> None:
    (connect,) = parse(client_connect(password=b"hunter2"))
    assert "hunter2" not in repr(connect)


@settings(max_examples=100)
@given(publishes.filter(lambda packet: packet.qos < 2))
def test_publish_from_here_is_read_by_a_client_as_it_was_meant(packet: Publish) -> None:
    expected = Got(packet.topic, packet.payload, packet.qos, packet.retain, packet.dup, packet.packet_id)
    assert Inbox().feed(encoder.publish(packet)) == [expected]


def test_large_publish_has_its_length_in_three_bytes() -> None:
    payload = bytes(128 * 1024)
    assert Inbox().feed(encoder.publish(Publish("t", payload, 0))) == [Got("t", payload)]


def test_answers_are_read_by_a_client_as_they_were_meant() -> None:
    data = (
        encoder.connack(0, session_present=True)
        + encoder.connack(5)
        + encoder.puback(513)
        + encoder.suback(7, [0, 1, 0x80])
        + encoder.unsuback(8)
        + encoder.PINGRESP_BYTES
    )
    expected = [Connack(0, True), Connack(5), Puback(513), Suback(7, (0, 1, 0x80)), Unsuback(8), Pingresp()]
    assert Inbox().feed(data) == expected
