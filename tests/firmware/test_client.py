"""The client on umqtt 1.3.4: its own CONNECT and SUBSCRIBE, umqtt's PUBLISH in one write, a deadline on each wait."""

from typing import Any

import pytest

from tests.support import board  # noqa: F401 (umqtt, before mqtt443.client)

from mqtt443 import client as client_module  # isort: skip
from mqtt443 import config, errors  # isort: skip
from mqtt443.client import Client  # isort: skip

from tests.firmware.fakes import Ticks, Wire  # isort: skip

CONNACK = b"\x20\x02\x00\x00"


class Opener:
    """A transport over wires, one a connection."""

    def __init__(self, *wires: Wire | Exception, check: Exception | None = None) -> None:
        self.wires = list(wires)
        self.checked: list[Any] = []
        self.refusal = check

    def open(self) -> Wire:
        wire = self.wires.pop(0)
        if isinstance(wire, Exception):
            raise wire
        return wire

    def check(self, stream: Wire) -> None:
        assert stream.writes, "checked before the first write, so before the handshake"
        self.checked.append(stream)
        if self.refusal:
            raise self.refusal


def settings(**changes: Any) -> Any:
    return config.validate({"endpoint": "h", "client_id": "dev1", "username": "u", "password": "pw", **changes})


def connected(*incoming: bytes | Exception | None, **changes: Any) -> tuple[Client, Wire]:
    wire = Wire([CONNACK, *incoming])
    client = Client(settings(**changes), Opener(wire))
    assert client.connect() is False
    wire.writes.clear()
    wire.deadlines.clear()
    return client, wire


def sent(**changes: Any) -> bytes:
    wire = Wire([CONNACK])
    Client(settings(**changes), Opener(wire)).connect()
    assert len(wire.writes) == 1
    return wire.writes[0]


# CONNECT.


@pytest.mark.parametrize(
    ("changes", "packet"),
    [
        ({}, b"\x10\x17\0\4MQTT\4\xc2\0\x78\0\4dev1\0\1u\0\2pw"),
        ({"clean_session": False, "keepalive_s": 1200}, b"\x10\x17\0\4MQTT\4\xc0\x04\xb0\0\4dev1\0\1u\0\2pw"),
        ({"password": ""}, b"\x10\x13\0\4MQTT\4\x82\0\x78\0\4dev1\0\1u"),
        ({"username": "", "password": ""}, b"\x10\x10\0\4MQTT\4\x02\0\x78\0\4dev1"),
        ({"username": ""}, b"\x10\x16\0\4MQTT\4\xc2\0\x78\0\4dev1\0\0\0\2pw"),
        ({"client_id": "ä"}, b"\x10\x15\0\4MQTT\4\xc2\0\x78\0\2\xc3\xa4\0\1u\0\2pw"),
        (
            {"will_topic": "telemetry/{client_id}/s", "will_message": "gone"},
            b"\x10\x2f\0\4MQTT\4\xc6\0\x78\0\4dev1\0\x10telemetry/dev1/s\0\4gone\0\1u\0\2pw",
        ),
    ],
)  # fmt: skip
def test_connect_is_this_packet_in_one_write(changes: dict[str, Any], packet: bytes) -> None:
    assert sent(**changes) == packet


def test_a_long_user_name_makes_a_long_remaining_length() -> None:
    packet = sent(username="u" * 1000, authorizer="A" * 128)
    size = packet[1] & 0x7F | packet[2] << 7
    assert size == len(packet) - 3
    assert b"?x-amz-customauthorizer-name=" + b"A" * 128 in packet


def test_connack_has_at_least_ten_seconds() -> None:
    wire = Wire([CONNACK])
    Client(settings(timeout_s=10), Opener(wire)).connect()
    assert wire.deadlines[-1] == (10000, "CONNACK")


def test_session_present_is_returned() -> None:
    client = Client(settings(), Opener(Wire([b"\x20\x02\x01\x00"])))
    assert client.connect(clean_session=False) is True


@pytest.mark.parametrize("lost", [errors.ConnectionLost("the server closed the connection", closed=True)])
def test_close_before_connack_names_the_likely_causes(lost: Exception) -> None:
    wire = Wire([lost])
    client = Client(settings(), Opener(wire))
    with pytest.raises(errors.ClosedBeforeConnack, match="wrong username or password"):
        client.connect()
    assert wire.closed == 1


def test_a_close_while_the_transport_opens_is_a_close_before_connack() -> None:
    client = Client(settings(), Opener(errors.ConnectionLost("closed", closed=True)))
    with pytest.raises(errors.ClosedBeforeConnack):
        client.connect()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 7])
def test_a_return_code_is_a_refusal_with_that_code(code: int) -> None:
    wire = Wire([bytes([0x20, 2, 0, code])])
    with pytest.raises(errors.ConnectRefused) as info:
        Client(settings(), Opener(wire)).connect()
    assert info.value.code == code
    assert wire.closed == 1


def test_no_connack_is_its_own_timeout() -> None:
    wire = Wire([errors.late(errors.Timeout, "CONNACK", 15)])
    with pytest.raises(errors.ConnackTimeout, match="15 s: CONNACK"):
        Client(settings(), Opener(wire)).connect()
    assert wire.closed == 1


def test_a_handshake_timeout_stays_one() -> None:
    client = Client(settings(), Opener(errors.late(errors.HandshakeTimeout, "the TLS handshake with h", 15)))
    with pytest.raises(errors.HandshakeTimeout):
        client.connect()


def test_a_server_without_alpn_is_reported_after_the_handshake() -> None:
    wire = Wire([CONNACK])
    with pytest.raises(errors.NoAlpn):
        Client(settings(), Opener(wire, check=errors.NoAlpn("picked none"))).connect()
    assert wire.closed == 1


def test_the_old_socket_is_closed_before_the_new_one_opens() -> None:
    first, second = Wire([CONNACK]), Wire([CONNACK])
    opener = Opener(first, second)
    client = Client(settings(), opener)
    client.connect()
    real_open = opener.open
    closed_at_open = []

    def watched() -> Wire:
        closed_at_open.append(first.closed)
        return real_open()

    opener.open = watched  # type: ignore[method-assign]
    client.connect()
    assert closed_at_open == [1]


def test_a_password_is_in_no_error() -> None:
    wire = Wire([errors.ConnectionLost("closed", closed=True)])
    with pytest.raises(errors.ClosedBeforeConnack) as info:
        Client(settings(password="hunter2", username="usr"), Opener(wire)).connect()
    assert "hunter2" not in str(info.value) + repr(info.value)


# PUBLISH.


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


def test_a_missing_puback_means_that_the_peer_vanished() -> None:
    client, _ = connected(errors.late(errors.Timeout, "PUBACK", 15))
    with pytest.raises(errors.PeerVanished) as info:
        client.publish("t", "x", qos=1)
    assert info.value.phase == "PUBACK"


def test_every_operation_sets_its_deadline() -> None:
    client, wire = connected(b"\x40\x02\0\1", b"\x90\x03\0\2\0")
    client.set_callback(lambda *_: None)
    client.publish("t", "x", qos=1)
    client.subscribe("t")
    client.ping()
    client.check_msg()
    client.disconnect()
    assert [phase for _, phase in wire.deadlines] == ["PUBACK", "SUBACK", "PINGREQ", "message", "DISCONNECT"]
    assert all(timeout_ms <= 15000 for timeout_ms, _ in wire.deadlines)


@pytest.mark.parametrize(("qos", "size"), [(2, 1), (-1, 1), (0, 131073)])
def test_what_aws_never_takes_is_refused_here(qos: int, size: int) -> None:
    client, wire = connected()
    with pytest.raises(ValueError, match=r"AWS"):
        client.publish("t", b"x" * size, qos=qos)
    assert wire.writes == []


def test_the_largest_payload_is_one_write() -> None:
    client, wire = connected()
    client.publish("t", b"x" * 131072)
    assert len(wire.writes) == 1


# SUBSCRIBE and messages.


@pytest.mark.parametrize("size", [1, 120, 121, 122, 256])
def test_subscribe_takes_long_filters_in_one_write(size: int) -> None:
    client, wire = connected(b"\x90\x03\0\1\1")
    client.set_callback(lambda *_: None)
    assert client.subscribe("f" * size, 1) == 1
    (packet,) = wire.writes
    remaining = size + 5
    head = bytes([0x82, remaining]) if remaining < 128 else bytes([0x82, remaining & 0x7F | 0x80, remaining >> 7])
    assert packet == head + b"\0\1" + size.to_bytes(2, "big") + b"f" * size + b"\1"


def test_a_refused_filter_is_its_own_error() -> None:
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


def test_an_acknowledgement_that_nobody_waits_for_is_dropped() -> None:
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
    assert client.dropped == 1


def test_wait_handles_what_came() -> None:
    client, _ = connected(b"\x30\x04\0\1tx")
    got: list[bytes] = []
    client.set_callback(lambda _, msg: got.append(msg))
    client.wait(1000)
    client.wait(1000)
    assert got == [b"x"]


# Keep alive.


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> Ticks:
    clock = Ticks()
    monkeypatch.setattr(client_module, "ticks_ms", clock)
    return clock


def test_a_ping_goes_out_at_half_the_keep_alive(ticks: Ticks) -> None:
    client, wire = connected(keepalive_s=60)
    assert client.keep_alive() == 30000
    ticks.now_ms = 29999
    assert client.keep_alive() == 1
    assert wire.writes == []
    ticks.now_ms = 30000
    client.keep_alive()
    assert wire.writes == [b"\xc0\x00"]


def test_a_publish_puts_the_ping_off(ticks: Ticks) -> None:
    client, wire = connected(keepalive_s=60)
    ticks.now_ms = 20000
    client.publish("t", "x")
    ticks.now_ms = 49999
    assert client.keep_alive() == 1
    assert len(wire.writes) == 1


def test_a_missing_pingresp_means_that_the_peer_vanished(ticks: Ticks) -> None:
    client, _ = connected(keepalive_s=60, timeout_s=10)
    ticks.now_ms = 30000
    assert client.keep_alive() == 10000
    ticks.now_ms = 39999
    assert client.keep_alive() == 1
    ticks.now_ms = 40000
    with pytest.raises(errors.PeerVanished) as info:
        client.keep_alive()
    assert info.value.phase == "PINGRESP"


def test_a_pingresp_in_time_is_enough(ticks: Ticks) -> None:
    client, _ = connected(b"\xd0\x00", keepalive_s=60)
    ticks.now_ms = 30000
    client.keep_alive()
    client.check_msg()
    ticks.now_ms = 59999
    assert client.keep_alive() == 1


# The end.


def test_disconnect_says_goodbye_and_closes_once() -> None:
    client, wire = connected()
    client.disconnect()
    client.disconnect()
    assert (wire.writes, wire.closed) == ([b"\xe0\x00"], 1)


def test_close_says_nothing_so_the_will_is_sent() -> None:
    client, wire = connected()
    client.close()
    assert (wire.writes, wire.closed) == ([], 1)


@pytest.mark.parametrize("call", [lambda c: c.publish("t", "x"), lambda c: c.check_msg(), lambda c: c.keep_alive()])
def test_nothing_works_without_a_connection(call: Any) -> None:
    with pytest.raises(errors.ConnectionLost, match="not connected"):
        call(Client(settings(), Opener()))
