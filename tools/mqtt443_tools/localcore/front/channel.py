"""One TLS connection as the endpoint uses it: bytes to a consumer or to a reader, and bounded writes."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mqtt443_tools.support.tls_connection import TlsConnection

MAX_UNREAD_BYTES = 64 * 1024
"""Nothing more is taken from the network while this much waits for `read`."""


class Consumer(Protocol):
    """What takes the bytes of a connection as they come."""

    def data_received(self, data: bytes) -> None:
        """Take bytes, at least one."""

    def connection_ended(self) -> None:
        """Take note that nothing more will come; called once."""


class Channel:
    """One TLS connection. What is sent within one turn of the event loop leaves in one write.

    A write is a TLS record and a system call, which cost more than the packets in them: fifty PUBACKs for fifty
    publishes that came together go back together.

    What comes goes to a consumer, once there is one, and until then waits for `read`.

    Args:
        tls: the connection.
        max_buffer_bytes: if more than this waits for a client, the client does not read and is cut.
    """

    __slots__ = ("_consumer", "_ended", "_max_buffer_bytes", "_pending", "_pending_bytes", "_tls", "_unread", "_waiter")

    def __init__(self, tls: TlsConnection, max_buffer_bytes: int) -> None:
        self._tls = tls
        self._max_buffer_bytes = max_buffer_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._consumer: Consumer | None = None
        self._unread = b""
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    def receive(self, data: bytes) -> None:
        """Take bytes from the connection."""
        if self._consumer is not None:
            self._consumer.data_received(data)
            return
        self._unread += data
        if len(self._unread) >= MAX_UNREAD_BYTES:
            self._tls.pause_reading()
        self._wake()

    def end(self) -> None:
        """Take note that the connection has ended; a consumer is told unless it did that itself."""
        if self._ended:
            return
        self._ended = True
        self._clear_pending()
        self._wake()
        if self._consumer is not None:
            self._consumer.connection_ended()

    def consume(self, consumer: Consumer) -> None:
        """Hand everything over to a consumer: what waits, and all that comes."""
        self._consumer = consumer
        unread, self._unread = self._unread, b""
        if unread:
            self._tls.resume_reading()
            consumer.data_received(unread)
        if self._ended:
            consumer.connection_ended()

    async def read(self) -> bytes:
        """Return what came, or nothing at the end of the stream, clean or not."""
        while not self._unread and not self._ended:
            await self._wait()
        unread, self._unread = self._unread, b""
        if len(unread) >= MAX_UNREAD_BYTES:
            self._tls.resume_reading()
        return unread

    def pause(self) -> None:
        """Take nothing more from the client until `resume`."""
        self._tls.pause_reading()

    def resume(self) -> None:
        """Take bytes from the client again, unless it does not read what it is sent."""
        if not self._tls.is_paused:
            self._tls.resume_reading()

    def send(self, data: bytes) -> bool:
        """Send bytes; False means that the client does not read and the connection was aborted."""
        if self._tls.is_closing:
            return True
        if self._tls.waiting_bytes + self._pending_bytes + len(data) > self._max_buffer_bytes:
            self.abort()
            return False
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(data)
        self._pending_bytes += len(data)
        return True

    async def drain(self) -> None:
        """Wait for a client that does not read; the caller bounds the wait."""
        self._flush()
        self._tls.on_writable = self._wake
        while self._tls.is_paused and not self._ended:
            await self._wait()

    def close(self) -> None:
        """Close after what was sent; a peer that does not take part is cut."""
        self._flush()
        self._tls.close()

    def abort(self) -> None:
        """Cut the connection; what still waits is not sent."""
        self._clear_pending()
        self._ended = True
        self._wake()
        self._tls.abort()

    def _flush(self) -> None:
        if self._pending:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._clear_pending()
            self._tls.write(data)

    def _clear_pending(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
