"""The client side of MQTT 3.1.1, written for tests independently of the endpoint's code.

`client_*` functions encode what a client sends (also what it must not send); `Inbox` decodes what a server sends;
`RawClient` is a blocking client over real TLS that shows every packet and every close.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.support.mqtt.endpoint import RunningCore

WAIT_S = 20.0


class Connack(NamedTuple):
    code: int
    session_present: bool = False


class Puback(NamedTuple):
    packet_id: int


class Suback(NamedTuple):
    packet_id: int
    codes: tuple[int, ...]


class Unsuback(NamedTuple):
    packet_id: int


class Pingresp(NamedTuple):
    pass


class Got(NamedTuple):
    """A PUBLISH from the server."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None


Received = Connack | Puback | Suback | Unsuback | Pingresp | Got


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def frame(first_byte: int, body: bytes = b"") -> bytes:
    """A control packet with this first byte and body."""
    length, digits = len(body), bytearray()
    while True:
        digits.append(length % 128 + (128 if length > 127 else 0))
        length //= 128
        if length == 0:
            return bytes([first_byte]) + bytes(digits) + body


def client_connect(
    client_id: str | bytes = "dev-1",
    username: str | None = "dev-1",
    password: bytes | None = b"secret",
    *,
    clean: bool = True,
    keep_alive_s: int = 60,
    will: tuple[str, bytes, int, bool] | None = None,
    name: str = "MQTT",
    level: int = 4,
    flags: int | None = None,
) -> bytes:
    """CONNECT; `will` is topic, payload, QoS, retain; `flags` overrides the connect flags."""
    bits = clean << 1 | (username is not None) << 7 | (password is not None) << 6
    body = text(client_id)
    if will is not None:
        topic, payload, qos, retain = will
        bits |= 0x04 | qos << 3 | retain << 5
        body += text(topic) + text(payload)
    body += b"" if username is None else text(username)
    body += b"" if password is None else text(password)
    head = text(name) + struct.pack(">BBH", level, bits if flags is None else flags, keep_alive_s)
    return frame(0x10, head + body)


def client_publish(
    topic: str | bytes,
    payload: bytes = b"",
    qos: int = 0,
    *,
    retain: bool = False,
    dup: bool = False,
    packet_id: int | None = None,
) -> bytes:
    number = b"" if not qos else struct.pack(">H", 1 if packet_id is None else packet_id)
    return frame(0x30 | dup << 3 | qos << 1 | retain, text(topic) + number + payload)


def client_puback(packet_id: int) -> bytes:
    return frame(0x40, struct.pack(">H", packet_id))


def client_subscribe(*filters: tuple[str, int], packet_id: int = 1) -> bytes:
    return frame(0x82, struct.pack(">H", packet_id) + b"".join(text(f) + bytes([qos]) for f, qos in filters))


def client_unsubscribe(*filters: str, packet_id: int = 1) -> bytes:
    return frame(0xA2, struct.pack(">H", packet_id) + b"".join(map(text, filters)))


PINGREQ = frame(0xC0)
DISCONNECT = frame(0xE0)


class Inbox:
    """Decodes a server's bytes."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Any]:
        self._buffer += data
        packets = []
        while (packet := self._next()) is not None:
            packets.append(packet)
        return packets

    def _next(self) -> Any:
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(self._buffer):
                return None
            byte = self._buffer[at]
            length |= (byte & 127) << shift
            shift, at = shift + 7, at + 1
            if byte < 128:
                break
        if len(self._buffer) < at + length:
            return None
        first_byte, body = self._buffer[0], self._buffer[at : at + length]
        self._buffer = self._buffer[at + length :]
        return self.decode(first_byte, body)

    def decode(self, first_byte: int, body: bytes) -> Any:
        """One packet; what a server must not send fails."""
        return _decode(first_byte, body)


def _decode(first_byte: int, body: bytes) -> Received:
    match first_byte >> 4, first_byte & 15:
        case 2, 0:
            assert len(body) == 2
            assert body[0] <= 1
            return Connack(body[1], bool(body[0]))
        case 3, flags:
            size = int.from_bytes(body[:2], "big")
            topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
            qos = flags >> 1 & 3
            packet_id = int.from_bytes(rest[:2], "big") if qos else None
            return Got(topic, rest[2:] if qos else rest, qos, bool(flags & 1), bool(flags & 8), packet_id)
        case 4, 0:
            assert len(body) == 2
            return Puback(int.from_bytes(body, "big"))
        case 9, 0:
            return Suback(int.from_bytes(body[:2], "big"), tuple(body[2:]))
        case 11, 0:
            assert len(body) == 2
            return Unsuback(int.from_bytes(body, "big"))
        case 13, 0:
            assert body == b""
            return Pingresp()
    raise AssertionError(f"a server does not send {first_byte:#04x}")


class RawClient:
    """A TLS connection that is handled byte by byte. `alpn` is offered; `sni` is the name asked for."""

    def __init__(
        self,
        core: RunningCore,
        *,
        alpn: Iterable[str] = ("mqtt",),
        sni: str | None = "localhost",
        port: int | None = None,
    ) -> None:
        context = core.tls_context(alpn)
        context.check_hostname = False  # also clients that ask for a wrong name, or none, must get their handshake
        raw = socket.create_connection(("127.0.0.1", core.port if port is None else port), WAIT_S)
        try:
            self.socket: ssl.SSLSocket = context.wrap_socket(raw, server_hostname=sni)
        except BaseException:
            raw.close()
            raise
        self._inbox = Inbox()
        self._received: list[Received] = []

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Received | None:
        """The next packet, or None if the server has closed."""
        while not self._received:
            data = self.read()
            if not data:
                return None
            self._received += self._inbox.feed(data)
        return self._received.pop(0)

    def read(self) -> bytes:
        """Some bytes, none if the server has closed."""
        try:
            return self.socket.recv(65536)
        except (ConnectionError, ssl.SSLEOFError):
            return b""

    def connect(self, client_id: str = "dev-1", password: str = "secret", **options: object) -> Connack:
        """Send CONNECT, return its CONNACK."""
        options = {"username": client_id, **options}
        self.send(client_connect(client_id, password=password.encode(), **options))  # type: ignore[arg-type]
        answer = self.receive()
        assert isinstance(answer, Connack), f"expected CONNACK, got {answer}"
        return answer
