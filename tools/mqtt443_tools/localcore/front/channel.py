"""Carries bytes between a TLS connection and MQTT, bare or in WebSocket frames. What they mean is `mqtt.py`'s."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from mqtt443_tools.localcore.front.websocket import WebSocketFrames
from mqtt443_tools.localcore.mqtt.connection import MqttConnection

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


class WebSocketWire:
    """The way to a client in binary frames [MQTT-6.0.0-1], one packet a frame."""

    def __init__(self, channel: Channel, frames: WebSocketFrames) -> None:
        self._channel = channel
        self._frames = frames

    def send(self, data: bytes) -> bool:
        """Send a packet; False as Channel.send."""
        return self._channel.send(self._frames.binary(data))

    def close(self) -> None:
        """Send a Close frame, then close."""
        self._channel.send(self._frames.close())
        self._channel.close()


@contextlib.contextmanager
def _contained(mqtt: MqttConnection) -> Iterator[None]:
    """See to it that MQTT ends with the task that feeds it, and that an error of ours ends this connection only."""
    try:
        yield
    except asyncio.CancelledError:
        mqtt.end("SERVER_INITIATED_DISCONNECT", "the endpoint stops")
        raise
    except Exception as error:
        mqtt.fail(error)


async def run_mqtt(channel: Channel, mqtt: MqttConnection) -> None:
    """Feed bytes from TLS to MQTT until one side ends."""
    with _contained(mqtt):
        while mqtt.open:
            if data := await channel.read():
                await mqtt.receive(data)
                await channel.drain()
            else:
                mqtt.end("CONNECTION_LOST", "the client closed the connection without DISCONNECT")


async def run_websocket(channel: Channel, frames: WebSocketFrames, mqtt: MqttConnection, first: bytes) -> None:
    """Feed bytes from WebSocket frames to MQTT likewise; `first` came right behind the upgrade request."""
    data = first
    with _contained(mqtt):
        while mqtt.open:
            await _take_frames(channel, frames, mqtt, data)
            if mqtt.open and not (data := await channel.read()):
                mqtt.end("CONNECTION_LOST", "the client closed the connection without WebSocket Close")


async def _take_frames(channel: Channel, frames: WebSocketFrames, mqtt: MqttConnection, data: bytes) -> None:
    mqtt_bytes = frames.receive(data)
    channel.send(frames.replies())
    await mqtt.receive(mqtt_bytes)
    if frames.problem is not None:
        mqtt.end("CLIENT_ERROR", frames.problem)
    elif frames.closed:  # a Close frame counts as DISCONNECT (Developer Guide, "Lifecycle events")
        mqtt.end("CLIENT_INITIATED_DISCONNECT", "WebSocket Close", send_will=False)
    await channel.drain()
