"""The WebSocket: the upgrade, one masked frame per write, and input in any legal fragmentation."""

import base64
import hashlib
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import errors
from mqtt443.packets import ROOM
from mqtt443.websocket import WebSocket
from mqtt443.ws_handshake import upgrade

from tests.firmware.fakes import Wire

KEY = bytes(range(16))
MASK = b"\x11\x22\x33\x44"


def urandom(count: int) -> bytes:
    return KEY if count == 16 else MASK


def accept() -> str:
    digest = hashlib.sha1(base64.b64encode(KEY) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


def answer(status: str = "101 Switching Protocols", **changes: str | None) -> bytes:
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec_WebSocket_Accept": accept(),
        "Sec_WebSocket_Protocol": "mqtt",
        **changes,
    }
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, first: int = 0, masked: int = 0) -> bytes:
    head = bytes([(0x80 if fin else 0) | opcode | first])
    if len(payload) < 126:
        return head + bytes([masked | len(payload)]) + payload
    if len(payload) < 65536:
        return head + bytes([masked | 126]) + len(payload).to_bytes(2, "big") + payload
    return head + bytes([masked | 127]) + len(payload).to_bytes(8, "big") + payload


def unmask(data: bytes) -> tuple[int, bytes, bytes]:
    """Return (first byte, payload, what follows) of one client frame."""
    assert data[1] & 0x80, "a client's frame must be masked"
    size, at = data[1] & 0x7F, 2
    if size >= 126:
        count = 2 if size == 126 else 8
        size, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    mask, at = data[at : at + 4], at + 4
    payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data[at : at + size]))
    return data[0], payload, data[at + size :]


def read(socket: WebSocket, count: int) -> bytes:
    data = bytearray(count)
    done = 0
    while done < count:
        got = socket.readinto(memoryview(data)[done:])
        assert got
        done += got
    return bytes(data)


def send(socket: WebSocket, payload: bytes) -> None:
    socket.send(bytearray(ROOM) + payload, ROOM, ROOM + len(payload))


def opened(*incoming: bytes | Exception | None) -> tuple[WebSocket, Wire]:
    wire = Wire(incoming)
    wire.spoils = False
    stream: Any = wire
    return WebSocket(stream, urandom), wire


# The upgrade.


def test_upgrade_asks_for_mqtt_in_one_write() -> None:
    wire = Wire([answer()])
    upgrade(wire, "h.example", 443, urandom)
    assert wire.writes == [
        b"GET /mqtt HTTP/1.1\r\nHost: h.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: " + base64.b64encode(KEY) + b"\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    ]


def test_another_port_stands_in_the_host_header() -> None:
    wire = Wire([answer()])
    upgrade(wire, "h.example", 8443, urandom)
    assert b"\r\nHost: h.example:8443\r\n" in wire.writes[0]


def test_header_values_are_compared_without_case() -> None:
    upgrade(Wire([answer(Upgrade="WebSocket", Connection="keep-alive, upgrade")]), "h", 443, urandom)


@pytest.mark.parametrize(("status", "code"), [("403 Forbidden", 403), ("426 Upgrade Required", 426), ("200 OK", 200)])
def test_another_status_is_a_refusal_that_names_it(status: str, code: int) -> None:
    with pytest.raises(errors.UpgradeRefused, match=str(code)) as info:
        upgrade(Wire([answer(status)]), "h", 443, urandom)
    assert info.value.status == code


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Accept": "AAAA"},
        {"Sec_WebSocket_Accept": None},
        {"Sec_WebSocket_Protocol": None},
        {"Sec_WebSocket_Protocol": "mqttv3.1"},
        {"Upgrade": None},
        {"Connection": "close"},
        {"Sec_WebSocket_Extensions": "permessage-deflate"},
    ],
)
def test_101_that_does_not_answer_this_request_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.WebSocketError):
        upgrade(Wire([answer(**changes)]), "h", 443, urandom)


# Out.


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 125, 126, 300, 65535, 65536])
def test_each_write_is_one_masked_binary_frame(size: int) -> None:
    payload = bytes(i * 7 & 0xFF for i in range(size))
    socket, wire = opened()
    send(socket, payload)
    assert len(wire.writes) == 1
    assert unmask(wire.writes[0]) == (0x82, payload, b"")


def test_encoding_leaves_the_bytes_around_the_packet_unchanged() -> None:
    socket, wire = opened()
    buffer = bytearray(b"before" + b"r" * ROOM + b"abc" + b"behind")
    socket.send(buffer, 6 + ROOM, 9 + ROOM)
    assert unmask(wire.writes[0])[1] == b"abc"
    assert bytes(buffer[:6] + buffer[-6:]) == b"beforebehind"


def test_mask_is_new_for_each_frame() -> None:
    masks = [b"\1\2\3\4", b"\5\6\7\x08"]
    wire: Any = Wire()
    socket = WebSocket(wire, lambda _: masks[len(wire.writes)])
    send(socket, b"aaaa")
    send(socket, b"aaaa")
    assert [sent[2:6] for sent in wire.writes] == masks


# In.


@given(
    payload=st.binary(min_size=1, max_size=400),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    controls=st.lists(st.tuples(st.sampled_from([9, 10]), st.binary(max_size=125)) | st.none(), min_size=7, max_size=7),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    gaps=st.booleans(),
)
def test_fragments_with_interleaved_control_frames_give_the_payload(
    payload: bytes,
    cuts: list[int],
    controls: list[tuple[int, bytes] | None],
    sizes: list[int],
    gaps: bool,
) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(payload)), len(payload)]
    fragments = [payload[a:b] for a, b in itertools.pairwise(edges)]
    data = b""
    for i, fragment in enumerate(fragments):
        data += frame(2 if i == 0 else 0, fragment, fin=i == len(fragments) - 1)
        if control := controls[i % len(controls)]:
            data += frame(*control)
    data += frame(9, b"end")
    pieces: list[bytes | None] = []
    for i in range(len(data)):
        if not data:
            break
        size = sizes[i % len(sizes)]
        pieces += [data[:size], None] if gaps else [data[:size]]
        data = data[size:]
    socket, wire = opened(*pieces)
    if gaps:
        wire.setblocking(False)
    got = b""
    view = memoryview(bytearray(37))
    while wire.incoming:
        count = socket.readinto(view)
        got += bytes(view[: count or 0])
        if not gaps and got == payload and not count:
            break
        if not gaps and got == payload:
            wire.setblocking(False)
    assert got == payload
    expected = [body for kind, body in [c for c in (controls[i % 7] for i in range(len(fragments))) if c] if kind == 9]
    assert [unmask(sent) for sent in wire.writes] == [(0x8A, body, b"") for body in [*expected, b"end"]]


def test_length_is_never_allocated() -> None:
    socket, _ = opened(b"\x82\x7f" + (1 << 40).to_bytes(8, "big") + b"abc")
    assert read(socket, 3) == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        frame(2, b"x", masked=0x80),
        frame(2, b"x", first=0x40),
        frame(2, b"x", first=0x10),
        frame(1, b"text"),
        frame(3, b"x"),
        frame(11, b"x"),
        frame(9, b"x" * 126),
        frame(9, b"x", fin=False),
        frame(0, b"x"),
        frame(2, b"", fin=False) + frame(2, b"x"),
        b"\x82\x7e\x00\x05hello",
        b"\x82\x7f" + (5).to_bytes(8, "big") + b"hello",
        b"\x82\x7f" + (1 << 63).to_bytes(8, "big"),
        frame(8, b"x"),
    ],
)
def test_frames_that_rfc_6455_forbids_are_websocket_errors(data: bytes) -> None:
    socket, _ = opened(data)
    with pytest.raises(errors.WebSocketError):
        read(socket, 1)


@pytest.mark.parametrize(("payload", "reply", "code"), [(b"", b"", "1005"), (b"\x03\xe9bye", b"\x03\xe9", "1001")])
def test_close_is_answered_once_and_names_its_code(payload: bytes, reply: bytes, code: str) -> None:
    socket, wire = opened(frame(8, payload))
    with pytest.raises(errors.ConnectionLost, match=code) as info:
        read(socket, 1)
    assert info.value.closed
    assert [unmask(sent) for sent in wire.writes] == [(0x88, reply, b"")]


@given(st.binary(max_size=80))
def test_any_bytes_end_in_payload_silence_or_an_error_of_ours(data: bytes) -> None:
    socket, wire = opened(data)
    wire.setblocking(False)
    try:
        while wire.incoming and socket.readinto(memoryview(bytearray(16))):
            pass
    except (errors.WebSocketError, errors.ConnectionLost):
        pass


def test_closing_sends_no_close_frame_so_the_will_is_sent() -> None:
    socket, wire = opened()
    socket.close()
    assert (wire.writes, wire.closed) == ([], 1)
