"""One TLS connection as the endpoint uses it: bounded writes, and a close that ends in time."""

from __future__ import annotations

import asyncio

READ_BYTES = 64 * 1024
CLOSE_TIMEOUT_S = 2.0


class Channel:
    """One TLS connection. What is sent within one turn of the event loop leaves in one write.

    A write is a TLS record and a system call, which cost more than the packets in them: fifty PUBACKs for fifty
    publishes that came together go back together.

    Args:
        max_buffer_bytes: if more than this waits for a client, the client does not read and is cut.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_buffer_bytes: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_buffer_bytes = max_buffer_bytes
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    async def read(self) -> bytes:
        """Return what came, or nothing at the end of the stream, clean or not."""
        try:
            return await self._reader.read(READ_BYTES)
        except OSError:  # a reset or a broken TLS stream is an end like any other
            return b""

    def send(self, data: bytes) -> bool:
        """Send bytes; False means that the client does not read and the connection was aborted."""
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
        """Close after what was sent."""
        self._flush()
        self._writer.close()

    async def finish(self) -> None:
        """Close and see it through; a peer that does not take part is cut."""
        self.close()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.wait_closed()
        except OSError:  # TimeoutError is one
            self.abort()

    def abort(self) -> None:
        """Cut the connection; what still waits is not sent."""
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
