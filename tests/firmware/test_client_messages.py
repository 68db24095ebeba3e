"""Publishing and subscribing on umqtt 1.3.4: one write a packet, a deadline on each wait, messages in."""

import pytest

from tests.firmware.clients import connected

from mqtt443 import errors  # isort: skip


def test_publish_is_one_write() -> None:
    client, wire = connected(b"\x40\x02\0\1")
    client.publish("telemetry/dev1", '{"t": 1}', qos=1)
    assert wire.writes == [b'\x32\x1a\0\x0etelemetry/dev1\0\1{"t": 1}']
    client.publish(b"t", b"x", retain=True)
    assert wire.writes[1:] == [b"\x31\x04\0\1tx"]


def test_text_is_sent_as_utf8() -> None:
    client, wire = connected()
    client.publish("ä", "ö")
    assert wire.writes == [b"\x30\x06\0\2\xc3\xa4\xc3\xb6"]


def test_publish_waits_for_its_own_puback() -> None:
    client, wire = connected(b"\x40\x02\0\x63", b"\x40\x02\0\1")
    client.publish("t", "x", qos=1)
    assert not wire.incoming


def test_packet_identifiers_wrap_to_one() -> None:
    client, wire = connected(b"\x40\x02\xff\xff", b"\x40\x02\0\1")
    client.pid = 65534
    client.publish("t", "x", qos=1)
    client.publish("t", "x", qos=1)
    assert [packet[5:7] for packet in wire.writes] == [b"\xff\xff", b"\0\1"]


def test_missing_puback_means_that_the_peer_vanished() -> None:
    client, _ = connected(errors.timeout_error(errors.Timeout, "PUBACK", 15))
    with pytest.raises(errors.PeerVanished) as info:
        client.publish("t", "x", qos=1)
    assert info.value.phase == "PUBACK"


def test_every_operation_sets_its_deadline() -> None:
    client, wire = connected(b"\x40\x02\0\1", b"\x90\x03\0\2\0", b"\xb0\x02\0\3")
    client.set_callback(lambda *_: None)
    client.publish("t", "x", qos=1)
    client.subscribe("t")
    client.unsubscribe("t")  # umqtt 1.7 and later has one of its own, without a deadline
    client.ping()
    client.check_msg()
    client.disconnect()
    phases = [phase for _, phase in wire.deadlines]
    assert phases == ["PUBLISH", "PUBLISH", "PUBACK", "SUBACK", "UNSUBACK", "PINGREQ", "message", "DISCONNECT"]
    assert all(timeout_ms <= 15000 for timeout_ms, _ in wire.deadlines)


@pytest.mark.parametrize(("qos", "size"), [(2, 1), (-1, 1), (0, 131073)])
def test_messages_that_aws_never_accepts_are_refused_here(qos: int, size: int) -> None:
    client, wire = connected()
    with pytest.raises(ValueError, match=r"AWS"):
        client.publish("t", b"x" * size, qos=qos)
    assert wire.writes == []


def test_largest_payload_is_one_write() -> None:
    client, wire = connected()
    client.publish("t", b"x" * 131072)
    assert len(wire.writes) == 1


# SUBSCRIBE and messages.


@pytest.mark.parametrize("size", [1, 120, 121, 122, 256])
def test_subscribe_sends_long_filters_in_one_write(size: int) -> None:
    client, wire = connected(b"\x90\x03\0\1\1")
    client.set_callback(lambda *_: None)
    assert client.subscribe("f" * size, 1) == 1
    (packet,) = wire.writes
    remaining = size + 5
    head = bytes([0x82, remaining]) if remaining < 128 else bytes([0x82, remaining & 0x7F | 0x80, remaining >> 7])
    assert packet == head + b"\0\1" + size.to_bytes(2, "big") + b"f" * size + b"\1"


def test_refused_filter_is_its_own_error() -> None:
    client, _ = connected(b"\x90\x03\0\1\x80")
    client.set_callback(lambda *_: None)
    with pytest.raises(errors.SubscribeRefused, match="iot:Subscribe"):
        client.subscribe("f")


def test_messages_that_come_before_the_suback_are_delivered() -> None:
    got: list[tuple[bytes, bytes]] = []
    client, _ = connected(b"\x30\x04\0\1tx", b"\x90\x03\0\x09\0", b"\x90\x03\0\1\0")
    client.set_callback(lambda topic, msg: got.append((topic, msg)))
    client.subscribe("t")
    assert got == [(b"t", b"x")]


def test_subscribe_needs_a_callback() -> None:
    client, _ = connected()
    with pytest.raises(ValueError, match="set_callback"):
        client.subscribe("f")


def test_check_msg_never_blocks_on_half_a_message() -> None:
    got: list[bytes] = []
    client, wire = connected(None, b"\x32\x06\0\1", None, b"t\0\7x")
    client.set_callback(lambda _, msg: got.append(msg))
    for _ in range(3):
        client.check_msg()
    assert got == [b"x"]
    assert wire.writes == [b"\x40\x02\0\7"]


def test_empty_message_is_delivered_without_waiting_for_the_next_packet() -> None:
    client, wire = connected(b"\x30\x03\0\1t")
    got: list[bytes] = []
    client.set_callback(lambda _, msg: got.append(msg))
    client.wait(1000)
    wire.incoming.append(b"\x32\x05\0\1t\0\7")
    client.wait(1000)
    assert got == [b"", b""]
    assert wire.writes == [b"\x40\x02\0\7"]


def test_unexpected_acknowledgement_is_dropped() -> None:
    client, _ = connected(b"\x40\x02\0\7", b"\x90\x03\0\1\0", b"\x30\x04\0\1tx")
    got: list[bytes] = []
    client.set_callback(lambda _, msg: got.append(msg))
    for _ in range(3):
        client.check_msg()
    assert got == [b"x"]


def test_messages_too_large_are_counted() -> None:
    client, _ = connected(b"\x30\x82\x08\0\1t" + b"x" * 1023, max_message_bytes=512)
    client.set_callback(lambda *_: pytest.fail("delivered"))
    client.check_msg()
    assert client.discarded == 1


def test_wait_handles_all_that_came_and_waits_no_longer() -> None:
    client, wire = connected(None, *[b"\x30\x04\0\1tx"] * 3)
    got: list[bytes] = []
    client.set_callback(lambda _, msg: got.append(msg))
    assert client.wait(1000) is True
    assert got == [b"x"] * 3
    assert client.wait(1000) is False
    assert wire.polls == [1000, 0, 1000], "it waits when nothing is there, and only then"


def test_wait_ends_though_the_server_never_stops_sending() -> None:
    client, _wire = connected(b"\x30\x04\0\1tx" * 250)
    got: list[bytes] = []
    client.set_callback(lambda _, msg: got.append(msg))
    client.wait(1000)
    assert len(got) == 100


def test_callback_can_tell_a_retained_message() -> None:
    client, _ = connected(b"\x31\x04\0\1tx\x30\x04\0\1tx")
    seen: list[bool] = []
    client.set_callback(lambda *_: seen.append(client.retained))
    client.wait(0)
    assert seen == [True, False]


# A window.


def test_queued_publishes_leave_together_in_one_write() -> None:
    client, wire = connected()
    for pid in (7, 8, 0):
        client.queue_publish(b"t", b"x", pid)
    assert wire.writes == []
    client.flush()
    assert wire.writes == [b"\x32\x06\0\1t\0\7x\x32\x06\0\1t\0\x08x\x30\x04\0\1tx"]
    client.flush()
    assert len(wire.writes) == 1


def test_resent_publish_carries_dup() -> None:
    client, wire = connected()
    client.queue_publish(b"t", b"x", 7, 8)
    client.flush()
    assert wire.writes == [b"\x3a\x06\0\1t\0\7x"]


def test_full_record_leaves_at_once() -> None:
    client, wire = connected()
    for _ in range(5):
        client.queue_publish(b"t", b"x" * 1000, 1)
    client.flush()
    assert [len(sent) for sent in wire.writes] == [4 * 1008, 1008]


def test_pubacks_without_a_waiting_publish_go_to_the_window() -> None:
    client, _ = connected(b"\x40\x02\0\7\x40\x02\0\x09\x40\x02\0\1")
    acknowledged: list[int] = []
    client.on_puback = lambda pid, _: acknowledged.append(pid)
    client.publish("t", "x", qos=1)
    assert acknowledged == [7, 9]


def test_publish_inside_a_callback_does_not_take_the_outer_puback() -> None:
    client, _ = connected(b"\x30\x04\0\1tx", b"\x40\x02\0\1", b"\x40\x02\0\2")
    client.set_callback(lambda *_: client.publish("inner", "x", qos=1))
    client.publish("outer", "x", qos=1)
    assert client.wait(0) is False
