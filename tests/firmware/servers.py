"""Servers on loopback for the board's tests: one TLS connection after another, each handled by a function of the test.

trustme makes the certificates; the test decides what is sent over TLS.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import trustme
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from tests.support.mqtt import answers

TIMEOUT_S = 10.0

CONNACK = b"\x20\x02\x00\x00"

# "localhost" may have an IPv6 address on which nothing listens, too; the board tries each.
HOST = "localhost"


@dataclass
class Server:
    """A listening server. `errors`: what its handlers raised; `alpn`: what each handshake picked; `sni`: its names."""

    port: int
    ca: bytes
    errors: list[BaseException] = field(default_factory=list)
    alpn: list[str | None] = field(default_factory=list)
    sni: list[str | None] = field(default_factory=list)

    def write_ca(self, folder: Path, name: str = "ca.pem") -> None:
        """Put the CA certificate, PEM, into folder."""
        (folder / name).write_bytes(self.ca)


Handler = Callable[[ssl.SSLSocket], object]


def context(
    ca: trustme.CA,
    name: str = HOST,
    protocols: tuple[str, ...] = ("mqtt",),
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> ssl.SSLContext:
    """Return a server's TLS context with a certificate for name, valid between two moments."""
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = ca.issue_cert(
        name,
        not_before=not_before or datetime(2026, 1, 1, tzinfo=UTC),
        not_after=not_after or datetime(2038, 1, 1, tzinfo=UTC),
    )
    certificate.configure_cert(served)
    if protocols:
        served.set_alpn_protocols(list(protocols))
    return served


@contextlib.contextmanager
def serve_tls(ca: trustme.CA, tls: ssl.SSLContext, handler: Handler) -> Iterator[Server]:
    """Run handler for each TLS connection, one after another, until the block ends."""
    server: Server

    def on_sni(_: ssl.SSLObject | ssl.SSLSocket, name: str | None, __: ssl.SSLContext) -> None:
        server.sni.append(name)

    tls.sni_callback = on_sni

    def accepted(connection: socket.socket) -> None:
        try:
            wrapped = tls.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, ConnectionError):  # the board refused the certificate: its error is what is tested
            connection.close()
            return
        with wrapped:
            server.alpn.append(wrapped.selected_alpn_protocol())
            handler(wrapped)

    with serve_tcp(accepted) as server:
        server.ca = ca.cert_pem.bytes()
        yield server


@contextlib.contextmanager
def serve_tcp(accepted: Callable[[socket.socket], None]) -> Iterator[Server]:
    """Run accepted for each TCP connection, one after another, until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1], b"")
    stopping = threading.Event()
    live: list[socket.socket] = []

    def loop() -> None:
        while not stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:  # the listener was closed: the end
                return
            connection.settimeout(TIMEOUT_S)
            live[:] = [connection]
            with connection:
                try:
                    accepted(connection)
                except OSError as error:
                    if not stopping.is_set():
                        server.errors.append(error)
                except BaseException as error:
                    server.errors.append(error)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        stopping.set()
        for end in (listener, *live):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(TIMEOUT_S)
        assert not thread.is_alive(), "the server's thread did not end"


def read_packet(connection: ssl.SSLSocket) -> bytes:
    """Return one MQTT packet, or b"" at the end of the stream."""
    return read_packet_from(lambda count: _exactly(connection, count))


def read_packet_from(read: Callable[[int], bytes]) -> bytes:
    """Return one MQTT packet from a function that returns exactly n bytes (fewer only at the end)."""
    packet = read(1)
    if not packet:
        return b""
    size = shift = 0
    while True:
        packet += read(1)
        size |= (packet[-1] & 0x7F) << shift
        shift += 7
        if not packet[-1] & 0x80:
            return packet + read(size)


def _exactly(connection: ssl.SSLSocket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            return data
        data += piece
    return data


def answer_mqtt(connection: ssl.SSLSocket) -> list[bytes]:
    """Play an MQTT server until DISCONNECT or the end: accept, acknowledge, answer pings. Returns the packets."""
    return answer_packets(lambda: read_packet(connection), connection.sendall)


def answer_packets(receive: Callable[[], bytes], send: Callable[[bytes], object]) -> list[bytes]:
    """`answer_mqtt` over two functions: receive gives the next packet, b"" at the end."""
    packets = []
    version = answers.MQTT_311
    while packet := receive():
        packets.append(packet)
        kind = packet[0] & 0xF0
        if kind == 0x10:
            version = answers.level(packet)
            send(answers.connack(version))
        elif packet[0] & 0xF6 == 0x32:
            send(answers.puback(version, answers.published(version, packet).identifier))
        elif kind == 0x80:
            send(answers.suback(version, packet[2:4], packet[-1]))
        elif kind == 0xC0:
            send(b"\xd0\x00")
        elif kind == 0xE0:
            break
    return packets


def websocket_server(packets: list[bytes]) -> Handler:
    """Return a handler: the server side of the websockets library, with MQTT in its binary frames."""

    def handle(connection: ssl.SSLSocket) -> None:
        protocol = ServerProtocol(subprotocols=[Subprotocol("mqtt")])
        inbox = bytearray()

        def flush() -> None:
            for data in protocol.data_to_send():
                if data:
                    connection.sendall(data)

        def send(packet: bytes) -> None:
            # Two fragments with a ping between them: all of it is legal.
            protocol.send_binary(packet[:1], fin=False)
            protocol.send_ping(b"still there?")
            protocol.send_continuation(packet[1:], fin=True)
            flush()

        def more() -> bool:
            data = connection.recv(4096)
            protocol.receive_data(data) if data else protocol.receive_eof()
            for event in protocol.events_received():
                if isinstance(event, Request):
                    assert event.path == "/mqtt"
                    protocol.send_response(protocol.accept(event))
                elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                    inbox.extend(event.data)
            flush()
            return bool(data)

        def take(count: int) -> bytes:
            while len(inbox) < count:
                if not more():
                    return b""
            taken = bytes(inbox[:count])
            del inbox[:count]
            return taken

        packets.extend(answer_packets(lambda: read_packet_from(take), send))

    return handle
