"""CONNECT and CONNACK: the packet, one write, and an error for each way that it fails."""

from typing import Any

import pytest

from tests.firmware.clients import CONNACK, Opener, sent, settings
from tests.firmware.fakes import Wire

from mqtt443 import errors  # isort: skip
from mqtt443.client import Client  # isort: skip


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


def test_long_user_name_makes_a_long_remaining_length() -> None:
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


def test_close_while_connecting_is_a_close_before_connack() -> None:
    client = Client(settings(), Opener(errors.ConnectionLost("closed", closed=True)))
    with pytest.raises(errors.ClosedBeforeConnack):
        client.connect()


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 7])
def test_return_code_is_a_refusal_with_that_code(code: int) -> None:
    wire = Wire([bytes([0x20, 2, 0, code])])
    with pytest.raises(errors.ConnectRefused) as info:
        Client(settings(), Opener(wire)).connect()
    assert info.value.code == code
    assert wire.closed == 1


def test_no_connack_is_its_own_timeout() -> None:
    wire = Wire([errors.timeout_error(errors.Timeout, "CONNACK", 15)])
    with pytest.raises(errors.ConnackTimeout, match="15 s: CONNACK"):
        Client(settings(), Opener(wire)).connect()
    assert wire.closed == 1


def test_handshake_timeout_stays_one() -> None:
    client = Client(settings(), Opener(errors.timeout_error(errors.HandshakeTimeout, "the TLS handshake with h", 15)))
    with pytest.raises(errors.HandshakeTimeout):
        client.connect()


def test_server_without_alpn_is_reported_after_the_handshake() -> None:
    wire = Wire([CONNACK])
    with pytest.raises(errors.NoAlpn):
        Client(settings(), Opener(wire, check=errors.NoAlpn("picked none"))).connect()
    assert wire.closed == 1


@pytest.mark.parametrize("connack", [b"\x20\x02\x02\x00", b"\x20\x02\x01\x05"])
def test_connack_with_wrong_flags_is_malformed(connack: bytes) -> None:
    wire = Wire([connack])
    with pytest.raises(errors.MalformedPacket, match="CONNACK flags"):
        Client(settings(), Opener(wire)).connect()
    assert wire.closed == 1


def test_old_socket_is_closed_before_the_new_one_opens() -> None:
    first, second = Wire([CONNACK]), Wire([CONNACK])
    opener = Opener(first, second)
    client = Client(settings(), opener)
    client.connect()
    real_open = opener.open
    closed_at_open = []

    def watched() -> Any:
        closed_at_open.append(first.closed)
        return real_open()

    opener.open = watched  # type: ignore[method-assign]
    client.connect()
    assert closed_at_open == [1]


def test_password_is_in_no_error() -> None:
    wire = Wire([errors.ConnectionLost("closed", closed=True)])
    with pytest.raises(errors.ClosedBeforeConnack) as info:
        Client(settings(password="hunter2", username="usr"), Opener(wire)).connect()
    assert "hunter2" not in str(info.value) + repr(info.value)
