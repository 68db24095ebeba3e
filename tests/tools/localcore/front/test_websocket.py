"""MQTT in WebSocket frames: any framing gives the same bytes, and what is no such frame ends the connection."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.front.websocket import SUBPROTOCOL, WebSocketFrames, negotiate
from mqtt443_tools.localcore.mqtt.packets import Malformed
from mqtt443_tools.localcore.mqtt.parser import Parser
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.uri import parse_uri

from tests.support.mqtt.client import client_connect, client_publish, client_subscribe

STREAM = client_connect() + client_subscribe(("a", 1)) + client_publish("t", bytes(range(256)) * 2, 1)


def client_frame(opcode: Opcode, data: bytes, *, fin: bool = True, mask: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=mask)


@st.composite
def framings(draw: st.DrawFn, stream: bytes = STREAM) -> bytes:
    """`stream` cut into messages, these into fragments, with control frames between them."""
    cuts = sorted(draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    data, begins = b"", True
    for index, piece in enumerate(pieces):
        if draw(st.booleans()):
            data += client_frame(draw(st.sampled_from([Opcode.PING, Opcode.PONG])), draw(st.binary(max_size=9)))
        ends = index == len(pieces) - 1 or draw(st.booleans())
        data += client_frame(Opcode.BINARY if begins else Opcode.CONT, piece, fin=ends)
        begins = ends
    return data


@settings(max_examples=150)
@given(framings(), st.lists(st.integers(1, 60), min_size=1, max_size=10))
def test_framing_and_chunking_do_not_change_the_packets(data: bytes, sizes: list[int]) -> None:
    frames, parser, packets, turn = WebSocketFrames(4096), Parser(4096), [], 0
    while data:
        size = sizes[turn % len(sizes)]
        packets += parser.feed(frames.receive(data[:size]))
        data, turn = data[size:], turn + 1
    assert packets == Parser(4096).feed(STREAM)
    assert not any(isinstance(packet, Malformed) for packet in packets)
    assert (frames.problem, frames.closed) == (None, False)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=100), max_size=6))
def test_any_bytes_never_raise(chunks: list[bytes]) -> None:
    frames = WebSocketFrames(256)
    for chunk in chunks:
        frames.receive(chunk)
        frames.replies()
    frames.close()


def test_ping_is_answered_with_its_data() -> None:
    frames = WebSocketFrames(4096)
    assert frames.receive(client_frame(Opcode.PING, b"hello")) == b""
    assert frames.replies() == Frame(Opcode.PONG, b"hello").serialize(mask=False)


def test_close_frame_is_answered_and_later_frames_are_ignored() -> None:
    frames = WebSocketFrames(4096)
    data = client_frame(Opcode.BINARY, b"mqtt") + client_frame(Opcode.CLOSE, b"\x03\xe8") + b"\x82\x81\0\0\0\0x"
    assert frames.receive(data) == b"mqtt"
    assert frames.closed
    assert frames.replies() == Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)
    assert frames.binary(b"late") == b""
    assert frames.close() == b""


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (client_frame(Opcode.TEXT, b"mqtt"), "[MQTT-6.0.0-1]"),
        (client_frame(Opcode.BINARY, b"mqtt", mask=False), "mask"),
        (client_frame(Opcode.CONT, b"mqtt"), "continuation"),
        (client_frame(Opcode.BINARY, b"x", fin=False) + client_frame(Opcode.BINARY, b"y"), "continuation"),
        (client_frame(Opcode.BINARY, bytes(300)), "256"),
        (b"\xf2\x80\0\0\0\0", "reserved"),
    ],
    ids=["text", "unmasked", "no beginning", "two beginnings", "too large", "reserved bits"],
)
def test_frame_that_is_not_for_mqtt_is_a_problem(data: bytes, problem: str) -> None:
    frames = WebSocketFrames(256)
    frames.receive(data)
    assert problem in (frames.problem or "")
    assert frames.receive(client_frame(Opcode.BINARY, b"more")) == b""


def test_oversized_frame_is_refused_before_its_payload() -> None:
    frames = WebSocketFrames(256)
    frames.receive(client_frame(Opcode.BINARY, bytes(300))[:8])
    assert frames.problem is not None


def upgrade(**headers: str | None) -> Request:
    client = ClientProtocol(parse_uri("wss://localhost/mqtt"), subprotocols=[SUBPROTOCOL])
    request = client.connect()
    for name, value in headers.items():
        key = name.replace("_", "-")
        del request.headers[key]
        if value is not None:
            request.headers[key] = value
    return request


def test_upgrade_with_subprotocol_mqtt_is_accepted() -> None:
    client = ClientProtocol(parse_uri("wss://localhost/mqtt"), subprotocols=[SUBPROTOCOL])
    request = client.connect()
    client.send_request(request)
    client.receive_data(negotiate(request).serialize())
    assert client.state is State.OPEN
    assert client.subprotocol == "mqtt"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_WebSocket_Protocol": None}, 400),
        ({"Sec_WebSocket_Protocol": "mqttv3.1"}, 400),
        ({"Sec_WebSocket_Version": "8"}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
    ],
)
def test_another_upgrade_gets_an_error(headers: dict[str, str | None], status: int) -> None:
    assert negotiate(upgrade(**headers)).status_code == status
