"""One TLS connection of the endpoint, with bounded writes and a close that has a deadline."""

from __future__ import annotations

import asyncio

READ_BYTES = 64 * 1024
CLOSE_TIMEOUT_S = 2.0


class Channel:
    """One TLS connection. Everything sent within one turn of the event loop leaves in one write.

    A write is a TLS record and a system call, which cost more than the packets in them: fifty PUBACKs for fifty
    publishes that arrived together leave together.

    Args:
        max_buffer_bytes: a client for which more than this is waiting does not read, and is disconnected.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_buffer_bytes: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_buffer_bytes = max_buffer_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    async def read(self) -> bytes:
        """Return the bytes received, or nothing at the end of the stream, clean or not."""
        try:
            return await self._reader.read(READ_BYTES)
        except OSError:  # a reset or a broken TLS stream counts as the end
            return b""

    def send(self, data: bytes) -> bool:
        """Send bytes; return False if the client does not read and the connection was aborted."""
        transport = self._writer.transport
        if transport.is_closing():
            return True
        waiting = transport.get_write_buffer_size() + self._pending_bytes
        if waiting + len(data) > self._max_buffer_bytes:
            self.abort()
            return False
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        self._pending.append(data)
        self._pending_bytes += len(data)
        return True

    async def drain(self) -> None:
        """Wait for a client that does not read. Bound it: MQTT does by its timers, which close the connection."""
        self._flush()
        try:
            await self._writer.drain()
        except OSError:  # the next read finds the end of the stream and says why
            return

    def close(self) -> None:
        """Close once everything has been sent."""
        self._flush()
        self._writer.close()

    async def finish(self) -> None:
        """Close and wait for the end; abort if the peer does not take part."""
        self.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except OSError:  # TimeoutError is one
            self.abort()

    def abort(self) -> None:
        """Abort the connection; waiting bytes are not sent."""
        self._clear_pending()
        self._writer.transport.abort()

    def _flush(self) -> None:
        if self._pending:
            data = b"".join(self._pending)
            self._clear_pending()
            self._writer.write(data)

    def _clear_pending(self) -> None:
        self._pending.clear()
        self._pending_bytes = 0
