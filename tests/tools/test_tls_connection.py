"""TLS over a transport that the test holds in its hand: handshake, alerts, and the ways to end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import trustme
from mqtt443_tools.support.tls_connection import TlsConnection


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.events: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None:
        self.events.append("eof")

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")

    def is_closing(self) -> bool:
        return bool({"close", "abort"} & set(self.events))

    def pause_reading(self) -> None:
        self.events.append("pause")

    def resume_reading(self) -> None:
        self.events.append("resume")

    def get_write_buffer_size(self) -> int:
        return len(self.written)


class End:
    """One side: its connection, and what its receiver was told."""

    def __init__(self, context: ssl.SSLContext, host: str | None = None) -> None:
        self.received = bytearray()
        self.ready = 0
        self.ends: list[OSError | None] = []
        self.wire = Wire()
        self.connection = TlsConnection(context, self, host)

    def connected(self, transport: asyncio.Transport) -> None:
        assert transport is self.wire

    def handshake_begins(self, tls: ssl.SSLObject) -> None:
        assert tls is self.connection.ssl_object

    def handshake_done(self) -> None:
        self.ready += 1

    def data_received(self, data: bytes) -> None:
        assert data
        self.received += data

    def connection_ended(self, error: OSError | None) -> None:
        self.ends.append(error)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def pair(ca: trustme.CA, *, trusted: bool = True) -> tuple[End, End]:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(server_context)
    client_context = ssl.create_default_context()
    if trusted:
        ca.configure_trust(client_context)
    client, server = End(client_context, "localhost"), End(server_context)
    for end in (server, client):
        end.connection.connection_made(end.wire)
    return client, server


def arrive(end: End, data: bytes) -> None:
    """Pass bytes to one side as asyncio does."""
    end.connection.get_buffer(-1)[: len(data)] = data
    end.connection.buffer_updated(len(data))


def pump(one: End, other: End, step: int = 1 << 20) -> None:
    """Carry bytes both ways, `step` at a time, until none are left."""
    while one.wire.written or other.wire.written:
        for source, sink in ((one, other), (other, one)):
            data = bytes(source.wire.written)
            source.wire.written.clear()
            for at in range(0, len(data), step):
                arrive(sink, data[at : at + step])


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_bytes_pass_both_ways_however_the_network_cuts_them(ca: trustme.CA, step: int) -> None:
    client, server = pair(ca)
    pump(client, server, step)
    assert (client.ready, server.ready) == (1, 1)
    client.connection.write(b"a" * 40_000)
    server.connection.write(b"b")
    pump(client, server, step)
    assert (bytes(server.received), bytes(client.received)) == (b"a" * 40_000, b"b")
    assert (client.ends, server.ends) == ([], [])


def test_record_is_read_with_one_call(ca: trustme.CA) -> None:
    reads = 0

    class Counted(ssl.SSLObject):
        def read(self, *args: Any) -> Any:
            nonlocal reads
            reads += 1
            return super().read(*args)

    client, server = pair(ca)
    server.connection.context.sslobject_class = Counted
    pump(client, server)
    for count in (1, 2):
        client.connection.write(b"x" * 100)
        pump(client, server)
        assert (reads, len(server.received)) == (count, count * 100)


def test_failed_handshake_sends_its_alert_and_ends_both(ca: trustme.CA) -> None:
    client, server = pair(ca, trusted=False)
    pump(client, server)
    (refused,), (told,) = client.ends, server.ends
    assert isinstance(refused, ssl.SSLCertVerificationError)
    assert isinstance(told, ssl.SSLError)
    assert "UNKNOWN_CA" in str(told.reason)
    assert client.wire.events == ["close"]


def test_close_tells_the_peer_and_keeps_what_was_sent(ca: trustme.CA) -> None:
    async def scenario() -> tuple[End, End]:
        client, server = pair(ca)
        pump(client, server)
        server.connection.write(b"last words")
        server.connection.close()
        server.connection.close()
        server.connection.write(b"too late")
        assert server.wire.events == ["resume", "eof"]
        pump(client, server)
        server.connection.connection_lost(None)
        return client, server

    client, server = asyncio.run(scenario())
    assert bytes(client.received) == b"last words"
    assert (client.ends, client.wire.events) == ([None], ["close"]), "it answered, and closed"
    assert server.ends == [None]


def test_abort_ends_once_and_sends_nothing(ca: trustme.CA) -> None:
    client, server = pair(ca)
    pump(client, server)
    client.connection.abort()
    client.connection.write(b"x")
    client.connection.connection_lost(None)
    assert (client.ends, client.wire.events, bytes(client.wire.written)) == ([None], ["abort"], b"")


def test_broken_record_aborts_with_the_error(ca: trustme.CA) -> None:
    client, server = pair(ca)
    pump(client, server)
    arrive(server, b"\x17\x03\x03\x00\x05hello")
    (error,) = server.ends
    assert isinstance(error, ssl.SSLError)
    assert server.wire.events == ["abort"]


def test_end_of_the_stream_in_the_handshake_is_an_error(ca: trustme.CA) -> None:
    _, server = pair(ca)
    server.connection.eof_received()
    assert isinstance(server.ends[0], ConnectionResetError)


def test_peer_that_does_not_read_is_not_read_from(ca: trustme.CA) -> None:
    client, server = pair(ca)
    pump(client, server)
    server.connection.pause_writing()
    server.connection.resume_writing()
    assert server.wire.events == ["pause", "resume"]
