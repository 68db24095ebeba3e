"""TLS over an asyncio transport, for many connections in one process.

A lighter `asyncio.sslproto`: no stream, no task and no buffer for each connection. Bytes go to a receiver in a
callback, and the alert of a failed handshake reaches the peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from typing import Protocol, cast

READ_BYTES = 16 * 1024
"""The most bytes in a TLS record (RFC 8446 section 5.1)."""

NETWORK_BYTES = 64 * 1024
"""The most bytes that one system call reads."""

CLOSE_S = 1.0
"""Seconds for a peer to close its side before the connection is cut."""


class _Network(threading.local):
    """What the last system call read: one buffer for all connections of a thread, because it is emptied at once.

    Without it asyncio allocates 256 KB for each call, which costs more than the call.
    """

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(NETWORK_BYTES))


_network = _Network()


class Receiver(Protocol):
    """The owner of a connection."""

    def connected(self, transport: asyncio.Transport) -> None:
        """Called when TCP is connected, before the handshake."""

    def handshake_begins(self, tls: ssl.SSLObject) -> None:
        """Called with the TLS state; a server creates it at the first byte, because a flood may send none."""

    def handshake_done(self) -> None:
        """Called at most once, when bytes can be sent, before any data."""

    def data_received(self, data: bytes) -> None:
        """Called with bytes from the peer, at least one."""

    def connection_ended(self, error: OSError | None) -> None:
        """Called once, when nothing more will arrive, whichever side ended it.

        Args:
            error: why; None if one side closed it in an orderly way after the handshake.
        """


class TlsConnection(asyncio.BufferedProtocol):
    """One TLS connection, as the protocol of a TCP transport.

    Args:
        context: server's or client's.
        receiver: gets the incoming bytes.
        server_hostname: of the server, for a client; None makes this the server's side.

    Attributes:
        context: may be replaced until the handshake begins.
        is_closing: whether nothing more can be sent.
        is_paused: whether the peer does not read, and more waits for it than the transport's limit: 64 KB unless set.
        on_writable: called when a peer that did not read does so again.
    """

    __slots__ = (
        *("_close_timer", "_ended", "_incoming", "_object", "_outgoing", "_ready", "_receiver", "_server_hostname"),
        *("_transport", "context", "is_closing", "is_paused", "on_writable"),
    )

    def __init__(self, context: ssl.SSLContext, receiver: Receiver, server_hostname: str | None = None) -> None:
        self.on_writable: Callable[[], None] | None = None
        self.context = context
        self._receiver = receiver
        self._server_hostname = server_hostname
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object: ssl.SSLObject | None = None
        self._transport: asyncio.Transport | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._ready = self._ended = self.is_closing = self.is_paused = False

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """The TLS state; see `Receiver.handshake_begins`."""
        if self._object is None:
            host = self._server_hostname
            self._object = self.context.wrap_bio(
                self._incoming, self._outgoing, server_side=host is None, server_hostname=host
            )
            self._receiver.handshake_begins(self._object)
        return self._object

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait for the peer to read: while `is_paused` is False, at most the transport's limit."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a client's handshake; a server waits for it."""
        self._transport = cast(asyncio.Transport, transport)
        self._receiver.connected(self._transport)
        if self._server_hostname is not None:
            self._handshake()

    def get_buffer(self, _: int) -> memoryview:
        """Return where the next bytes from the network go."""
        return _network.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Process bytes from the network."""
        if self.is_closing:
            return
        self._incoming.write(_network.buffer[:nbytes])
        if self._ready:
            self._read()
        else:
            self._handshake()

    def eof_received(self) -> None:
        """Process the end of the stream; the transport then closes itself."""
        if not self._ready:
            self._end(ConnectionResetError("the peer closed during the handshake"))

    def connection_lost(self, error: Exception | None) -> None:
        """Process the loss of the transport."""
        if self._close_timer is not None:
            self._close_timer.cancel()
        self._end(error if isinstance(error, OSError) else None)
        self._transport = None

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read."""
        self.is_paused = True
        self.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        self.is_paused = False
        self.resume_reading()
        if self.on_writable is not None:
            self.on_writable()

    def pause_reading(self) -> None:
        """Stop reading from the network until `resume_reading`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read from the network again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send bytes; dropped once the connection is closing."""
        if self.is_closing or not data or self._object is None:
            return
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            self.abort(error)
            return
        self._flush()

    def close(self) -> None:
        """Close once everything is sent: notify the peer, and give it a moment to close its side."""
        if self.is_closing:
            return
        transport = self._transport
        if not self._ready or transport is None or transport.is_closing():
            self.abort()
            return
        self.is_closing = True
        with contextlib.suppress(ssl.SSLError):  # the peer's close_notify is not here yet, and is not waited for
            self.ssl_object.unwrap()
        self._flush()
        try:
            # Closing with unread bytes would reset the connection, and the peer could lose what was sent last.
            transport.resume_reading()
            transport.write_eof()
        except OSError:  # the peer has gone
            transport.abort()
        else:
            self._close_timer = asyncio.get_running_loop().call_later(CLOSE_S, transport.abort)

    def abort(self, error: OSError | None = None) -> None:
        """Abort the connection; waiting bytes are not sent."""
        transport = self._transport
        self._end(error)
        if transport is not None:
            transport.abort()

    def _handshake(self) -> None:
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except OSError as error:  # ssl.SSLError and a certificate's error are ones
            self._flush()  # the alert
            transport = self._transport
            self._end(error)
            if transport is not None:
                transport.close()
            return
        self._flush()
        self._ready = True
        self._receiver.handshake_done()
        if self._incoming.pending and not self.is_closing:
            self._read()

    def _read(self) -> None:
        tls, incoming = self.ssl_object, self._incoming
        chunks = []
        ended = False
        try:
            while True:
                chunk = tls.read(READ_BYTES)
                if not chunk:
                    ended = True
                    break
                chunks.append(chunk)
                if not incoming.pending and not tls.pending():
                    break  # asking once more would cost an exception
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            self.abort(error)
            return
        if self._outgoing.pending:  # an answer to a key update
            self._flush()
        if chunks:
            self._receiver.data_received(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        if ended and not self._ended:
            with contextlib.suppress(ssl.SSLError):  # the peer's end of the stream was not one of TLS
                tls.unwrap()
            self._flush()
            self._end(None)
            if self._transport is not None:
                self._transport.close()

    def _flush(self) -> None:
        if self._transport is not None and self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _end(self, error: OSError | None) -> None:
        if not self._ended:
            self._ended = self.is_closing = True
            self._receiver.connection_ended(error)
