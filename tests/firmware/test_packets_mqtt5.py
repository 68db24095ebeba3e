"""The packet filter with MQTT 5: properties added to what is sent, and taken out of what umqtt reads."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import packets5

from tests.firmware.fakes import Wire
from tests.firmware.packets_mqtt5 import TOPIC, USER, attached, message, take
from tests.support.mqtt.answers import (
    MQTT_5,
    Published,
    packet,
    puback,
    published,
    reason_string,
    suback,
    text,
    variable,
)

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
    packets.attach(Wire(), packets5)
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
