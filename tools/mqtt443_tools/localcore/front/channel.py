"""One TLS connection: passes bytes to a consumer or a reader, and bounds what it has to send."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from mqtt443_tools.support.tls_connection import TlsConnection

MAX_UNREAD_BYTES = 64 * 1024
"""While this many bytes wait for `read`, no more are read from the network."""

UNCOUNTED_BYTES = 64 * 1024
"""What the transport holds for a client counts only beyond this: to ask at each packet would cost too much."""


class Consumer(Protocol):
    """Receives the bytes of a connection as they arrive."""

    def data_received(self, data: bytes) -> None:
        """Take bytes, at least one."""

    def connection_ended(self) -> None:
        """Called once, when no more bytes will come."""


class Turn:
    """The channels that have sent something in this turn of the event loop; they are flushed together at its end."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[Channel] = deque()

    def add(self, channel: Channel) -> None:
        """Flush a channel at the end of this turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._end)
        self._waiting.append(channel)

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        try:
            while waiting:
                waiting.popleft().flush()
        finally:  # an internal error of one channel holds up no other
            for channel in waiting:
                self.add(channel)


class Channel:
    """One TLS connection. All data sent within one turn of the event loop leaves in one write.

    A write costs a TLS record and a system call, more than the packets in it: fifty PUBACKs for fifty publishes that
    came together leave together.

    Incoming bytes go to the consumer, if there is one, and else wait for `read`.

    Args:
        tls: the connection.
        turn: of the event loop; all channels share it.
        max_buffer_bytes: a client with more than this waiting for it does not read, and is disconnected. What the
            transport holds counts once `tls` is paused: from UNCOUNTED_BYTES on, or from this if it is less.
    """

    __slots__ = (
        *("_consumer", "_ended", "_first", "_max_buffer_bytes", "_others", "_pending_bytes", "_tls", "_turn"),
        *("_unread", "_waiter"),
    )

    def __init__(self, tls: TlsConnection, turn: Turn, max_buffer_bytes: int) -> None:
        self._tls = tls
        self._turn = turn
        self._max_buffer_bytes = max_buffer_bytes
        self._first = b""  # of the packets sent in this turn; most channels send one
        self._others: list[bytes] = []
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
        """Note the end of the connection; tell the consumer, unless it ended the connection itself."""
        if self._ended:
            return
        self._ended = True
        self._clear_pending()
        self._wake()
        if self._consumer is not None:
            self._consumer.connection_ended()

    def consume(self, consumer: Consumer) -> None:
        """Pass all bytes to a consumer, including those already waiting."""
        self._consumer = consumer
        unread, self._unread = self._unread, b""
        if unread:
            self._tls.resume_reading()
            consumer.data_received(unread)
        if self._ended:
            consumer.connection_ended()

    async def read(self) -> bytes:
        """Return the bytes that arrived, or nothing at the end of the stream, clean or not."""
        while not self._unread and not self._ended:
            await self._wait()
        unread, self._unread = self._unread, b""
        if len(unread) >= MAX_UNREAD_BYTES:
            self._tls.resume_reading()
        return unread

    def pause(self) -> None:
        """Stop reading from the client until `resume`."""
        self._tls.pause_reading()

    def resume(self) -> None:
        """Read from the client again, unless it does not read its own input."""
        if not self._tls.is_paused:
            self._tls.resume_reading()

    def send(self, data: bytes) -> bool:
        """Send bytes, at least one; False means that the client does not read and the connection was aborted."""
        tls = self._tls
        if tls.is_closing:
            return True
        pending_bytes = self._pending_bytes + len(data)
        if pending_bytes + (tls.waiting_bytes if tls.is_paused else 0) > self._max_buffer_bytes:
            self.abort()
            return False
        if self._pending_bytes:
            self._others.append(data)
        else:
            self._turn.add(self)
            self._first = data
        self._pending_bytes = pending_bytes
        return True

    async def drain(self) -> None:
        """Wait for a client that does not read; the caller bounds the wait."""
        self.flush()
        self._tls.on_writable = self._wake
        while self._tls.is_paused and not self._ended:
            await self._wait()

    def close(self) -> None:
        """Close once everything is sent; a peer that does not cooperate is cut off."""
        self.flush()
        self._tls.close()

    def abort(self) -> None:
        """Abort the connection; waiting bytes are not sent."""
        self._clear_pending()
        self._ended = True
        self._wake()
        self._tls.abort()

    def flush(self) -> None:
        """Write what was sent in this turn."""
        if self._pending_bytes:
            data = self._first
            if len(data) < self._pending_bytes:
                data = b"".join((data, *self._others))
            self._clear_pending()
            self._tls.write(data)

    def _clear_pending(self) -> None:
        if len(self._first) < self._pending_bytes:
            self._others = []
        self._first = b""
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
