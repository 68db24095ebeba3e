"""MQTT 5 packets: what goes in comes out, and what the standard forbids is refused with its reason code.

What a client sends is encoded by the tests' own code and paho's properties, what it receives is decoded by them.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.localcore_errors import MalformedPacketError
from mqtt443_tools.localcore.mqtt import encoder, packet_types, properties
from mqtt443_tools.localcore.mqtt.fields import Body
from mqtt443_tools.localcore.mqtt.packets import (
    Connect,
    Malformed,
    Packet,
    Publish,
)
from mqtt443_tools.localcore.mqtt.parser import Parser
from mqtt443_tools.localcore.mqtt.properties import NONE, Properties
from mqtt443_tools.localcore.mqtt.reason_codes import ReasonCode
from paho.mqtt.packettypes import PacketTypes

from tests.support.mqtt.client import client_connect, frame, text
from tests.support.mqtt.client5 import (
    Connack5,
    Disconnect5,
    Got5,
    Inbox5,
    Puback5,
    Suback5,
    Unsuback5,
    connect5,
    disconnect5,
    publish5,
    subscribe5,
    unsubscribe5,
)
from tests.support.mqtt.client5 import (
    Properties as PahoProperties,
)
from tests.support.mqtt.packets5 import BY_NUMBER, connects, encode, found, named, publishes, streams

MAX = 5000


def parse(data: bytes) -> list[Packet]:
    parser = Parser(MAX)
    parser.version = 5
    return parser.feed(data)


def refusal(data: bytes) -> tuple[int, str]:
    (packet,) = parse(data)
    assert isinstance(packet, Malformed), f"expected it to be refused, got {packet}"
    return packet.reason_code, packet.detail


@settings(max_examples=100)
@given(connects, streams, st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_any_packets_in_any_chunks_come_out_as_they_went_in(
    connect: Connect, sent: list[Packet], sizes: list[int]
) -> None:
    data, parser, received = b"".join(map(encode, [connect, *sent])), Parser(MAX), []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        received += parser.feed(data[:size])
        data, turn = data[size:], turn + 1
    assert received == [connect, *sent]
    assert parser.version == 5


@settings(max_examples=200)
@given(connects | streams.filter(bool), st.data())
def test_packet_with_flipped_bytes_never_raises(sent: Any, data: st.DataObject) -> None:
    stream = bytearray(b"".join(map(encode, sent if isinstance(sent, list) else [sent])))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    received = parse(bytes(stream))
    assert not any(isinstance(packet, Malformed) for packet in received[:-1])


@settings(max_examples=200)
@given(st.sampled_from([0x10, 0x30, 0x32, 0x40, 0x82, 0xA2, 0xE0, 0x62]), st.binary(max_size=200))
def test_any_body_of_a_packet_never_raises(first_byte: int, body: bytes) -> None:
    assert len(parse(frame(first_byte, body))) == 1


@pytest.mark.parametrize("packet_type", [1, 2, 3, 4, 8, 9, 10, 11, 14, 16])
@settings(max_examples=30)
@given(st.data())
def test_properties_are_the_same_bytes_for_us_and_for_paho(packet_type: int, data: st.DataObject) -> None:
    sent = data.draw(found(packet_type))
    theirs = PahoProperties(PacketTypes.WILLMESSAGE if packet_type == packet_types.WILL else packet_type)
    for name, value in named(sent).items():
        setattr(theirs, name, value)
    body = Body(bytes(theirs.pack()))
    assert properties.decode(body, packet_type) == sent
    assert body.left == 0
    again = Body(properties.encode(sent))
    assert properties.decode(again, packet_type) == sent


def test_table_is_that_of_the_standard() -> None:
    paho = PahoProperties(PacketTypes.CONNECT)
    types = {PacketTypes.WILLMESSAGE: packet_types.WILL}
    theirs = {
        number: {types.get(packet, packet) for packet in packets} for number, (_, packets) in paho.properties.items()
    }
    ours = {number: set(field.metadata["packets"]) for number, field in BY_NUMBER.items()}
    assert ours == theirs


TOPIC = text("t")


@pytest.mark.parametrize(
    ("code", "part", "data"),
    [
        (0x81, "does not exist", frame(0x30, TOPIC + b"\x02\x7f\x00")),
        (0x81, "does not belong", frame(0x30, TOPIC + b"\x05\x11\x00\x00\x00\x01")),
        (0x81, "longer than it need be", frame(0x30, TOPIC + b"\x80\x00")),
        (0x81, "more than four bytes", frame(0x30, TOPIC + b"\xff\xff\xff\xff\x01")),
        (0x81, "ends inside its properties", frame(0x30, TOPIC + b"\x05\x01")),
        (0x81, "ends inside its content_type", frame(0x30, TOPIC + b"\x04\x03\x00\x09x")),
        (0x81, "not UTF-8", frame(0x30, TOPIC + b"\x04\x03\x00\x01\xff")),
        (0x82, "comes twice", frame(0x30, TOPIC + b"\x04\x01\x00\x01\x00")),
        (0x82, "payload_format is 2", frame(0x30, TOPIC + b"\x02\x01\x02")),
        (0x82, "receive_maximum is 0", connect5(ReceiveMaximum=1).replace(b"\x21\x00\x01", b"\x21\x00\x00")),
        (0x82, "maximum_packet_bytes is 0", connect5(MaximumPacketSize=1).replace(b"\x27\0\0\0\1", b"\x27\0\0\0\0")),
        (0x82, "request_problem_information is 2", connect5(RequestProblemInformation=1).replace(b"\x17\1", b"\x17\2")),
        (0x82, "without a method", connect5(AuthenticationData=b"x")),
        (0x94, "topic alias 0", frame(0x30, TOPIC + b"\x03\x23\x00\x00")),
        (0x82, "subscription identifier", frame(0x30, TOPIC + b"\x02\x0b\x01")),
        (0x82, "subscription_identifier is 0", frame(0x82, b"\0\1\x02\x0b\x00" + TOPIC + b"\0")),
        (0x81, "options 0x40", subscribe5(("t", 0x40))),
        (0x81, "options 0x03", subscribe5(("t", 3))),
        (0x82, "retain handling 3", subscribe5(("t", 0x30))),
        (0x82, "without a topic filter", subscribe5()),
        (0x82, "without a topic filter", unsubscribe5()),
        (0x81, "reason code 0x8e", disconnect5(0x8E)),
        (0x81, "bytes too many", frame(0xE0, b"\x00\x00x")),
        (0x82, "AUTH", frame(0xF0)),
        (0x82, "not for a client", frame(0x20)),
        (0x95, "limit is 5000", bytes([0x30, 0x89, 0x27])),
        (0x81, "packet identifier 0", publish5("t", qos=1, packet_id=0)),
    ],
)
def test_packets_that_the_standard_forbids_are_refused_with_the_reason_code(code: int, part: str, data: bytes) -> None:
    reason_code, detail = refusal(data)
    assert (reason_code, part in detail) == (code, True), detail


def test_version_5_connect_that_is_malformed_is_known_to_be_version_5() -> None:
    parser = Parser(MAX)
    (packet,) = parser.feed(client_connect(level=5, flags=0xC3))
    assert isinstance(packet, Malformed)
    assert parser.version == 5


def test_password_without_a_user_name_is_allowed_in_version_5() -> None:
    (packet,) = parse(connect5(username=None, password=b"x"))
    assert isinstance(packet, Connect)
    assert packet.password == b"x"


def test_property_block_that_is_cut_off_is_refused() -> None:
    with pytest.raises(MalformedPacketError, match="ends inside its property identifier"):
        properties.decode(Body(b"\x01\x80"), packet_types.PUBLISH)


@settings(max_examples=100)
@given(publishes.filter(lambda packet: packet.qos < 2))
def test_publish_from_here_is_read_by_a_client_as_it_was_meant(packet: Publish) -> None:
    expected = Got5(*(packet.topic, packet.payload, packet.qos, packet.retain, packet.dup, packet.packet_id), {})
    (got,) = Inbox5().feed(encoder.publish(packet, 5))
    sent = named(packet.properties)
    assert got._replace(found={}) == expected
    assert got.found == sent


def test_answers_are_read_by_a_client_as_they_were_meant() -> None:
    why = Properties(reason_string="why")
    data = (
        encoder.connack(0, session_present=True, found=Properties(receive_maximum=100))
        + encoder.connack(0x87, found=NONE)
        + encoder.puback(513)
        + encoder.puback(513, 0x87)
        + encoder.puback(513, 0x87, why)
        + encoder.suback(7, [0, 1, 0x87], why)
        + encoder.unsuback(8, [0, 0x11], NONE)
        + encoder.disconnect(ReasonCode.SESSION_TAKEN_OVER, why)
        + encoder.disconnect(ReasonCode.SERVER_SHUTTING_DOWN)
    )
    assert Inbox5().feed(data) == [
        Connack5(0, True, {"ReceiveMaximum": 100}),
        Connack5(0x87, False, {}),
        Puback5(513),
        Puback5(513, 0x87),
        Puback5(513, 0x87, "why"),
        Suback5(7, (0, 1, 0x87), "why"),
        Unsuback5(8, (0, 0x11)),
        Disconnect5(0x8E, "why"),
        Disconnect5(0x8B),
    ]
