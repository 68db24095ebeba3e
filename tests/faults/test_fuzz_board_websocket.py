"""Mutated WebSocket frames, and answers to the upgrade before them, for the board.

The board's code runs on real MicroPython. Seeded: MQTT443_SEED repeats a run. `board_fuzz` says how many cases.
"""

from __future__ import annotations

import base64
import hashlib
import random
from pathlib import Path

import pytest
from websockets.exceptions import ProtocolError
from websockets.frames import CONT, Frame, Opcode
from websockets.protocol import Protocol, Side, State

from tests.faults.board_fuzz import INTERPRETERS, LONG, SHORT, check_error, run_cases
from tests.faults.conftest import Form
from tests.faults.mutations import mutated, pieces

FRAMES = """
from mqtt443.websocket import WebSocket

def case():
    websocket = WebSocket(Stream(channel, "host", False, no_ticks), urandom)
    websocket.deadline(1000, "message")
    view = memoryview(bytearray(300))
    try:
        while True:
            tell("got", view[: websocket.readinto(view)])
    except errors.Mqtt443Error as e:
        error = said(e)
    return {"error": error}
"""


def server_frames(source: random.Random) -> list[bytes]:
    """Frames that a server may send: whole and fragmented messages, with control frames in between."""
    frames = []

    def control() -> None:
        if source.random() < 0.2:
            opcode = source.choice((Opcode.PING, Opcode.PING, Opcode.PONG))
            frames.append(Frame(opcode, source.randbytes(source.choice((0, 1, 125)))))

    for _ in range(source.randrange(1, 6)):
        parts = source.choice((1, 1, 1, 2, 3))
        for part in range(parts):
            control()
            payload = source.randbytes(source.choice((0, 1, 10, 125, 126, 300, 300, 3000)))
            frames.append(Frame(CONT if part else Opcode.BINARY, payload, fin=part == parts - 1))
    control()
    if source.random() < 0.3:
        frames.append(Frame(Opcode.CLOSE, source.choice((b"", b"\x03\xe8", b"\x03\xe9going"))))
    return [frame.serialize(mask=False) for frame in frames]


def by_the_book(data: bytes) -> tuple[bytes, list[bytes], str]:
    """What `websockets` reads: payload of whole frames, pings, and how it ended (bad, close, text or end)."""
    protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
    protocol.receive_data(data)
    payload = b""
    at = 0
    pings: list[bytes] = []
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        whole = event.serialize(mask=False)
        if not data.startswith(whole, at):  # a length in more bytes than it needs (RFC 6455 section 5.2)
            return payload, pings, "bad"
        at += len(whole)
        if event.opcode is Opcode.TEXT:
            return payload, pings, "text"
        if event.opcode is Opcode.PING:
            pings.append(bytes(event.data))
        elif event.opcode is Opcode.CLOSE:
            return payload, pings, "close"
        elif event.opcode in (Opcode.BINARY, Opcode.CONT):
            payload += event.data
    return payload, pings, "bad" if isinstance(protocol.parser_exc, ProtocolError) else "end"


def pongs(sent: bytes) -> list[bytes]:
    """The payloads of the pongs among the frames that the board sent, whose masks are zero."""
    found = []
    at = 0
    while at < len(sent):
        assert sent[at + 1] & 0x80
        size = sent[at + 1] & 0x7F
        assert size <= 125
        assert sent[at + 2 : at + 6] == bytes(4)
        if sent[at] == 0x8A:
            found.append(sent[at + 6 : at + 6 + size])
        at += 6 + size
    return found


ENDS = {
    "bad": {"WebSocketError", "ConnectionLost"},  # the latter for close frames, and headers that end too soon
    "text": {"WebSocketError"},
    "close": {"ConnectionLost"},
    "end": {"ConnectionLost", "WebSocketError"},  # the board refuses a header as soon as it has come
}


@pytest.mark.parametrize("name", INTERPRETERS)
def test_mutated_frames_mean_the_same_to_the_board_as_to_websockets(tmp_path: Path, form: Form, name: str) -> None:
    source = form.random("board frames " + name)
    sent = []
    for _ in range(form.pick(SHORT, LONG)):
        data = b"".join(mutated(source, frame) for frame in server_frames(source))
        sent.append(data if source.random() < 0.8 else data[: source.randrange(len(data) + 1)])
    arrived = [pieces(source, data) for data in sent]
    ends = dict.fromkeys(ENDS, 0)
    for data, case in zip(sent, run_cases(tmp_path, name, FRAMES, arrived), strict=True):
        check_error(case)
        payload, pings, end = by_the_book(data)
        ends[end] += 1
        got = b"".join(case.all("got"))
        assert got == payload if end == "bad" else got.startswith(payload), (end, case, data.hex())
        assert got[len(payload) :] in data, (end, case, data.hex())  # of the frame that is not whole
        assert pongs(b"".join(case.all("sent"))) == pings, (end, case, data.hex())
        assert case.result["error"][0] in ENDS[end], (end, case, data.hex())
    assert all(ends.values()), ends


UPGRADE = """
from mqtt443.ws_handshake import upgrade

def case():
    stream = Stream(channel, "host", False, no_ticks)
    stream.deadline(1000, "the WebSocket upgrade")
    error = None
    try:
        upgrade(stream, "host", 443, urandom)
    except errors.Mqtt443Error as e:
        error = said(e)
    return {"error": error}
"""
ACCEPT = base64.b64encode(hashlib.sha1(base64.b64encode(bytes(16)) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())


def server_head(source: random.Random) -> bytes:
    """The head of an answer to an upgrade, mostly a valid one."""
    status = source.choice((b"101 Switching Protocols",) * 6 + (b"403 Forbidden", b"503", b"1011 x", b"200 OK"))
    lines = [
        b"Upgrade: " + source.choice((b"websocket",) * 5 + (b"WebSocket", b"h2c")),
        b"Connection: " + source.choice((b"Upgrade",) * 5 + (b"keep-alive, upgrade", b"close")),
        b"Sec-WebSocket-Accept: " + ACCEPT,
        b"sec-websocket-protocol:" + source.choice((b" mqtt",) * 8 + (b"mqtt  ", b"mqttv3.1")),
    ]
    more = (
        b"Date: Fri, 27 Nov 2026 20:00:00 GMT",
        b"X: " + b"y" * 600,
        "x: é".encode(),
        b"Server:",
        b": ",
        b"no colon",
    )
    lines += source.sample(more, source.choice((0, 0, 1, 2)))
    if source.random() < 0.05:
        lines.append(b"Sec-WebSocket-Extensions: permessage-deflate")
    source.shuffle(lines)
    if source.random() < 0.1:
        del lines[source.randrange(len(lines))]
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""])


@pytest.mark.parametrize("name", INTERPRETERS)
def test_mutated_upgrade_is_accepted_only_if_it_answers_the_request(tmp_path: Path, form: Form, name: str) -> None:
    source = form.random("board upgrades " + name)
    behind = b"\x82\x04\x20\x02\x00\x00"
    sent = [mutated(source, server_head(source), 6) + behind for _ in range(form.pick(SHORT, LONG))]
    arrived = [pieces(source, data) for data in sent]
    taken = 0
    for data, case in zip(sent, run_cases(tmp_path, name, UPGRADE, arrived), strict=True):
        if case.result["error"]:
            check_error(case)
            assert case.result["error"][0] in ("UpgradeRefused", "WebSocketError", "ProtocolError", "ConnectionLost")
            continue
        taken += 1
        head = data[: len(data) - case.left]
        assert head.index(b"\r\n\r\n") == len(head) - 4, (case, data)
        first, *rest = head[:-4].split(b"\r\n")
        assert first.split(b" ")[1] == b"101", (case, data)
        headers = {line.split(b":")[0].lower(): line.split(b":", 1)[1].strip() for line in rest}
        assert headers[b"sec-websocket-accept"] == ACCEPT
        assert headers[b"upgrade"].lower() == b"websocket"
        assert b"upgrade" in headers[b"connection"].lower()
        assert headers[b"sec-websocket-protocol"] == b"mqtt"
        assert b"sec-websocket-extensions" not in headers
    assert len(sent) // 10 < taken < len(sent), "mutations that change everything, or nothing, find nothing"
