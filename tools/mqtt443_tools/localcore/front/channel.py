"""One TLS connection as the endpoint uses it: bounded writes, and a close that ends in time."""

from __future__ import annotations

import asyncio

READ_BYTES = 64 * 1024
CLOSE_TIMEOUT_S = 2.0


class Channel:
    """One TLS connection: one packet, one write, so one TLS record.

    Arguments:
        max_buffer_bytes: a client for whom more than this waits does not read, and is cut.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_buffer_bytes: int) -> None:
        self._reader = reader
        self._writer = writer
        self._max_buffer_bytes = max_buffer_bytes

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
        if transport.get_write_buffer_size() + len(data) > self._max_buffer_bytes:
            transport.abort()
            return False
        self._writer.write(data)
        return True

    async def drain(self) -> None:
        """Wait for a client that does not read. Bound it: MQTT does by its timers, which close the connection."""
        try:
            await self._writer.drain()
        except OSError:  # the next read finds the end of the stream and says why
            return

    def close(self) -> None:
        """Close after what was sent."""
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
        """Cut the connection."""
        self._writer.transport.abort()
