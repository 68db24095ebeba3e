"""The packet filter with MQTT 5: what a server may not send, and the reason codes with which it refuses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import errors

from tests.firmware.packets_mqtt5 import USER, attached, message
from tests.support.mqtt.answers import MQTT_5, connack, disconnect, packet, puback, reason_string, text, variable

REFUSED = [
    b"\x00\x00",
    b"\x10\x00",
    connack(MQTT_5),  # a second one
    b"\x41\x02\0\1",
    b"\x40\x01\0",
    b"\x40\x03\0\1\x01",  # no code of PUBACK
    b"\x40\x03\0\1\x7f",
    b"\x40\x04\0\1\x87\x01",  # properties longer than the packet
    b"\x40\x05\0\1\x87\0\0",  # bytes after the properties
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
        (0x87, True, True, "not authorized (0x87)"),
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
