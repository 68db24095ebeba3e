"""The packet filter with MQTT 5: properties added to what is sent, and taken out of what umqtt reads."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import errors
from mqtt443.packets import Packets

from tests.firmware.fakes import Wire
from tests.support.mqtt.answers import (
    MQTT_5,
    Published,
    connack,
    disconnect,
    packet,
    puback,
    published,
    reason_string,
    suback,
    text,
    variable,
)

CONNACK = connack(MQTT_5)
TOPIC = b"telemetry/greenhouse-north-bay-3"


def attached(*incoming: bytes | Exception | None, max_bytes: int = 512, connected: bool = True) -> tuple[Any, Wire]:
    wire: Any = Wire([CONNACK, *incoming] if connected else incoming)
    packets = Packets(max_bytes, TOPIC)
    packets.attach(wire, True)
    if connected:
        assert packets.read(1) == CONNACK[:1]
        assert bytes(packets.body()) == CONNACK[2:]
        packets.skip()
    return packets, wire


def take(packets: Any) -> bytes:
    """Read one packet byte by byte, as umqtt may."""
    first: bytes = packets.read(1)
    return first + packets.read(packets.limit - 1) if packets.limit > 1 else first


def message(topic: bytes, payload: bytes, identifier: int | None = None, properties: bytes = b"") -> bytes:
    body = len(topic).to_bytes(2, "big") + topic
    if identifier is not None:
        body += identifier.to_bytes(2, "big")
    return packet(0x30 if identifier is None else 0x32, body + variable(len(properties)) + properties + payload)


# Out.


def test_topic_is_sent_once_a_connection_and_is_an_alias_afterwards() -> None:
    packets, wire = attached()
    packets.alias = 1
    for pid in (1, 2, 3):
        packets.publish(0x32, TOPIC, b"x" * 100, pid)
        packets.flush()
    first, *others = [published(MQTT_5, written) for written in wire.writes]
    assert first == Published(TOPIC, b"\0\1", b"\x23\0\1", b"x" * 100)
    assert others == [Published(b"", bytes((0, pid)), b"\x23\0\1", b"x" * 100) for pid in (2, 3)]
    # With the 29 bytes of a TLS 1.2 record around it, 140 would be the limit.
    assert len(wire.writes[1]) == 110


def test_other_topics_and_servers_without_aliases_get_the_topic() -> None:
    packets, wire = attached()
    packets.publish(0x30, TOPIC, b"x", 0)
    packets.publish(0x30, TOPIC, b"x", 0)
    packets.flush()
    packets.alias = 1
    packets.publish(0x30, b"other", b"x", 0)
    packets.publish(0x30, TOPIC, b"x", 0)
    packets.publish(0x30, b"other", b"x", 0)
    packets.flush()
    assert wire.writes == [
        message(TOPIC, b"x") * 2,
        message(b"other", b"x") + message(TOPIC, b"x", properties=b"\x23\0\1") + message(b"other", b"x"),
    ]


def test_alias_is_told_again_after_its_packet_was_discarded_and_on_a_new_connection() -> None:
    packets, _ = attached()
    packets.alias = 1
    packets.publish(0x30, TOPIC, b"x", 0)
    packets.discard_output()
    packets.publish(0x30, TOPIC, b"x", 0)
    packets.flush()
    assert packets.stream.writes == [message(TOPIC, b"x", properties=b"\x23\0\1")]
    packets.attach(Wire(), True)
    packets.publish(0x30, TOPIC, b"x", 0)
    packets.flush()
    assert packets.stream.writes == [message(TOPIC, b"x")]


def test_time_to_live_goes_along() -> None:
    packets, wire = attached()
    packets.alias = 1
    packets.publish(0x32, TOPIC, b"x", 7, 3600)
    packets.publish(0x30, b"other", b"x", 0, 604800)
    packets.flush()
    assert wire.writes == [
        message(TOPIC, b"x", 7, b"\x23\0\1\x02\0\0\x0e\x10") + message(b"other", b"x", properties=b"\x02\0\x09\x3a\x80")
    ]


@given(
    messages=st.lists(
        st.tuples(
            st.sampled_from([TOPIC, b"t", b"o" * 250]),
            st.binary(max_size=1500),
            st.integers(0, 65535),
            st.sampled_from([0, 1, 604800]),
        ),
        max_size=9,
    ),
    aliases=st.booleans(),
)
def test_publishes_are_packed_into_records_and_come_out_whole(
    messages: list[tuple[bytes, bytes, int, int]], aliases: bool
) -> None:
    packets, wire = attached()
    packets.alias = int(aliases)
    expected = b""
    told = False
    for topic, payload, pid, expiry_s in messages:
        packets.publish(0x32 if pid else 0x30, topic, payload, pid, expiry_s)
        alias = aliases and topic == TOPIC
        properties = b"\x23\0\1" * alias + (b"\x02" + expiry_s.to_bytes(4, "big") if expiry_s else b"")
        expected += message(b"" if alias and told else topic, payload, pid or None, properties)
        told |= alias
    packets.flush()
    assert b"".join(wire.writes) == expected
    assert all(len(sent) <= 4088 for sent in wire.writes)


# In.

USER = b"\x26\0\1k\0\1v"
PROPERTIES = [
    b"",
    b"\x01\x01",
    b"\x02\0\0\0\x3c",
    text(0x08, b"answers/dev1"),
    text(0x09, b"\x01\x02"),
    text(0x03, b"application/json"),
    USER * 3,
    b"\x01\x00" + USER + text(0x03, b"text/plain") + USER,
    text(0x08, b"a" * 200),
]


@pytest.mark.parametrize("properties", PROPERTIES, ids=range(len(PROPERTIES)))
@pytest.mark.parametrize("identifier", [None, 0x1234])
@pytest.mark.parametrize("payload", [b"", b"hello", b"x" * 120, b"x" * 200], ids=len)
def test_umqtt_reads_a_publish_without_its_properties(
    properties: bytes, identifier: int | None, payload: bytes
) -> None:
    packets, _ = attached(message(b"a/b", payload, identifier, properties), b"\xd0\0")
    # umqtt reads like this: byte by byte the length, then topic, packet identifier, payload.
    assert packets.read(1)[0] & 0xF0 == 0x30
    size = shift = 0
    while True:
        byte = packets.read(1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    assert packets.read(5) == b"\0\3a/b"
    if identifier is not None:
        assert packets.read(2) == b"\x12\x34"
    assert size == 5 + (0 if identifier is None else 2) + len(payload)
    assert packets.read(len(payload)) == payload
    assert packets.read(1) == b"\xd0"


ALLOWED = [
    puback(MQTT_5, b"\0\1"),
    b"\x40\x03\0\1\x10",
    b"\x40\x04\0\1\0\0",
    packet(0x40, b"\0\1\x87" + variable(10) + reason_string("no iot:")),
    puback(MQTT_5, b"\0\1", 0x97),
    suback(MQTT_5, b"\0\1", 1),
    suback(MQTT_5, b"\0\1", 0x87, reason_string("no")),
    b"\xb0\x04\0\1\0\x11",
    b"\xd0\0",
]


@pytest.mark.parametrize("allowed", ALLOWED)
def test_what_a_server_may_send_is_handed_on(allowed: bytes) -> None:
    packets, _ = attached(allowed)
    assert take(packets) == allowed


@given(
    which=st.lists(
        st.one_of(
            st.sampled_from(ALLOWED),
            st.builds(
                message,
                st.just(b"a/b"),
                st.binary(max_size=150),
                st.sampled_from([None, 7]),
                st.sampled_from(PROPERTIES[:-1]),
            ),
        ),
        min_size=1,
        max_size=5,
    ),
    sizes=st.lists(st.integers(1, 9), min_size=1),
)
def test_packets_come_out_as_they_went_in_however_they_are_cut(which: list[bytes], sizes: list[int]) -> None:
    data = b"".join(which)
    pieces: list[bytes | None] = []
    for size in itertools.cycle(sizes):
        pieces += [data[:size], None]
        data = data[size:]
        if not data:
            break
    packets, wire = attached(*pieces)
    wire.setblocking(False)
    for whole in which:
        while packets.read(1) is None:
            pass
        if whole[0] & 0xF0 == 0x30:
            came = published(MQTT_5, whole)
            body = bytes(packets.body())
            assert body == b"\0\3a/b" + came.identifier + came.payload
        else:
            assert bytes(packets.body()) == whole[2:]
        packets.skip()
    assert packets.read(1) is None


REFUSED = [
    b"\x00\x00",
    b"\x10\x00",
    connack(MQTT_5),  # a second one
    b"\x41\x02\0\1",
    b"\x40\x01\0",
    b"\x40\x03\0\1\x01",  # no code of PUBACK
    b"\x40\x03\0\1\x7f",
    b"\x40\x04\0\1\x87\x01",  # properties longer than the packet
    b"\x40\x05\0\1\x87\0\0",  # bytes behind the properties
    packet(0x40, b"\0\1\x87\x03\x1f\0\1"),  # text longer than its properties
    packet(0x40, b"\0\1\x87" + variable(8) + reason_string("a") * 2),  # twice
    packet(0x40, b"\0\1\x87\x02\x01\x00"),  # no property of PUBACK
    packet(0x40, b"\0\1\x87\x80\x80\x80\x80\x00"),  # a length of five bytes
    packet(0x40, b"\0\1\x87" + variable(600) + reason_string("a" * 597)),  # over our Maximum Packet Size
    b"\x50\x02\0\1",
    b"\x62\x02\0\1",
    b"\x70\x02\0\1",
    b"\x82\x02\0\1",
    b"\x90\x02\0\1",
    b"\xc0\x00",
    b"\xd0\x01\0",
    b"\xe1\x00",
    b"\xe0\x01\x04",  # a code of the client
    b"\xe0\x02\x87\x05",
    packet(0xE0, b"\x87\x05\x11\0\0\0\1"),  # session expiry is the client's
    b"\xf0\x00",
    message(b"t", b"x")[:-2] + b"\x05x",  # properties longer than the packet
    b"\x30\x03\0\1t",  # no properties at all
    b"\x32\x05\0\1t\0\1",
    message(b"", b"x", properties=b"\x23\0\1"),  # an alias, and we allow none
    message(b"t", b"x", properties=b"\x23\0\1"),
    message(b"t", b"x", properties=b"\x0b\x01"),  # a subscription identifier, and we sent none
    message(b"t", b"x", properties=b"\x13\0\1"),
    message(b"t", b"x", properties=b"\x01\x01\x01\x01"),
    message(b"t", b"x", properties=b"\x02\0\0"),
    message(b"t", b"x", properties=b"\x26\0\1k\0\5v"),
    b"\x34\x06\0\1t\0\1\0",  # QoS 2
    b"\x32\x06\0\1t\0\0\0",  # identifier 0
    b"\x30\xff\xff\xff\x7f",  # 256 MB
]


@pytest.mark.parametrize("hostile", REFUSED, ids=range(len(REFUSED)))
def test_what_a_server_may_not_send_is_malformed(hostile: bytes) -> None:
    packets, _ = attached(hostile)
    with pytest.raises(errors.MalformedPacket):
        packets.read(1)


def test_text_at_the_end_of_the_buffer_is_not_read_past_it() -> None:
    # Without properties, and as long as the buffer.
    packets, _ = attached(packet(0x30, b"\x01\xfb" + b"t" * 507))
    with pytest.raises(errors.MalformedPacket):
        packets.read(1)


@pytest.mark.parametrize(
    ("code", "closed", "is_refusal", "words"),
    [
        (0x00, True, False, "normal disconnection (0x00)"),
        (0x80, True, False, "unspecified error (0x80)"),
        (0x82, False, True, "protocol error (0x82)"),
        (0x87, False, True, "not authorized (0x87)"),
        (0x8B, False, False, "server shutting down (0x8b)"),
        (0x8D, False, False, "keep alive timeout (0x8d)"),
        (0x8E, False, True, "another device connected with this client id (0x8e)"),
        (0x97, False, True, "quota exceeded (0x97)"),
        (0x9F, False, False, "connection rate exceeded (0x9f)"),
        (0xFE, False, True, "unknown reason (0xfe)"),
    ],
)
def test_disconnect_says_why_and_how_long_to_wait(code: int, closed: bool, is_refusal: bool, words: str) -> None:
    for sent in (disconnect(code), packet(0xE0, bytes((code,))), disconnect(code, USER)):
        packets, _ = attached(sent)
        with pytest.raises(errors.ConnectionLost) as raised:
            packets.read(1)
        assert raised.value.args[0] == "the server disconnected: " + words
        assert (raised.value.code, raised.value.closed, raised.value.is_refusal) == (code, closed, is_refusal)


def test_disconnect_without_anything_is_a_normal_one() -> None:
    packets, _ = attached(b"\xe0\0")
    with pytest.raises(errors.ConnectionLost, match="normal disconnection"):
        packets.read(1)


def test_reason_string_is_made_printable_and_bounded() -> None:
    packets, _ = attached(disconnect(0x87, text(0x1F, b"\x1b[2J\r\n\0ol\xc3\xa9 " + b"x" * 400)))
    with pytest.raises(errors.ConnectionLost) as raised:
        packets.read(1)
    assert raised.value.args[0] == "the server disconnected: not authorized (0x87): ?[2J???ol?? " + "x" * 188


def test_refusal_belongs_to_its_puback() -> None:
    packets, _ = attached(
        puback(MQTT_5, b"\0\1", 0x87, reason_string("iot:Publish")), puback(MQTT_5, b"\0\2"), b"\x40\x03\0\3\x99"
    )
    packets.read(3)
    assert packets.refusal.args[0] == "refused: not authorized (0x87): iot:Publish"
    assert packets.refusal.code == 0x87
    packets.skip()
    packets.read(3)
    assert packets.refusal is None
    packets.skip()
    packets.read(3)
    refusal: Any = packets.refusal
    assert refusal.code == 0x99


@pytest.mark.parametrize("identifier", [None, 0x1234])
def test_message_too_large_is_read_away_acknowledged_and_counted(identifier: int | None) -> None:
    packets, wire = attached(message(b"t", b"x" * 2000, identifier, USER), b"\xd0\0")
    assert packets.read(1) == b"\xd0"
    assert packets.discarded == 1
    assert wire.writes == ([] if identifier is None else [b"\x40\x02\x12\x34"])


@given(st.binary(max_size=60))
def test_any_bytes_give_packets_silence_or_an_error_of_the_tree(data: bytes) -> None:
    packets, wire = attached(data)
    wire.setblocking(False)
    try:
        while packets.read(1) is not None:
            packets.skip()
    except (errors.MalformedPacket, errors.ConnectionLost):
        pass


@given(
    st.sampled_from([0x20, 0x30, 0x32, 0x40, 0x90, 0xB0, 0xE0]),
    st.lists(st.one_of(st.binary(max_size=8), st.sampled_from([b"\0\1t", b"\0\1", b"\x87", USER, b"\x1f\0\1x"]))),
)
def test_any_body_gives_packets_silence_or_an_error_of_the_tree(first: int, pieces: list[bytes]) -> None:
    packets, wire = attached(packet(first, b"".join(pieces)))
    wire.setblocking(False)
    try:
        while packets.read(1) is not None:
            packets.skip()
    except (errors.MalformedPacket, errors.ConnectionLost):
        pass
