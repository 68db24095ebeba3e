"""Drives an MQTT connection: carries its bytes over TLS, bare or in WebSocket frames, and asks its authorizer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.registry import Grant, Request
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.front.channel import Channel
from mqtt443_tools.localcore.front.stall import Stall
from mqtt443_tools.localcore.front.websocket import WebSocketFrames
from mqtt443_tools.localcore.localcore_errors import Refused
from mqtt443_tools.localcore.mqtt.connection import MqttConnection


class MqttDriver:
    """One MQTT connection over a channel.

    Args:
        channel: the TLS connection.
        peer: who is on the other side.
        event_log: takes the events of this connection.
        context: what all connections share.
        frames: the WebSocket frames around MQTT, one packet a frame [MQTT-6.0.0-1]; None without WebSocket.
    """

    def __init__(
        self, channel: Channel, peer: Peer, event_log: EventLog, context: Context, frames: WebSocketFrames | None = None
    ) -> None:
        self.mqtt = MqttConnection(self, peer, event_log, context)
        self._channel = channel
        self._peer = peer
        self._context = context
        self._faults = context.faults
        self._stall = Stall(context.faults, event_log, channel, context.settings.max_write_buffer_bytes)
        self._frames = frames
        self._request: Request | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def send(self, data: bytes) -> bool:
        """Send a packet, in a frame of its own with WebSocket; False as Channel.send."""
        data = data if self._frames is None else self._frames.binary(data)
        if self._faults.active and self._stall.begins():
            return self._stall.hold(data)
        return self._channel.send(data)

    def authorize(self, request: Request) -> None:
        """Have `receive` ask the authorizer."""
        self._request = request

    def refresh(self, grant: Grant) -> None:
        """Ask the authorizer again, in a task of its own."""
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh(grant))

    def close(self) -> None:
        """Close, with WebSocket after a Close frame."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._stall.close()
        if self._frames is not None:
            self._channel.send(self._frames.close())
        self._channel.close()

    async def receive(self, data: bytes) -> None:
        """Pass bytes to MQTT; a CONNECT among them takes as long as its authorizer, 5 s at most."""
        if self._faults.active and self._stall.begins():
            await self._stall.wait()
        self.mqtt.receive(data)
        request, self._request = self._request, None
        if request is None:
            return
        try:
            grant = await self._peer.endpoint.authorize(request, self._context.registry, self._context.settings)
        except Refused as refused:
            self.mqtt.not_granted(refused)
        else:
            self.mqtt.granted(grant)

    async def run(self, first: bytes = b"") -> None:
        """Read until one side ends. `first`: bytes that came right behind a WebSocket upgrade request."""
        with self._contained():
            if self._frames is not None:
                await self._receive_frames(self._frames, first)
            while self.mqtt.open:
                data = await self._channel.read()
                if not data:
                    farewell = "DISCONNECT" if self._frames is None else "WebSocket Close"
                    self.mqtt.end("CONNECTION_LOST", f"the client closed the connection without {farewell}")
                elif self._frames is None:
                    await self.receive(data)
                    await self._channel.drain()
                else:
                    await self._receive_frames(self._frames, data)

    async def _receive_frames(self, frames: WebSocketFrames, data: bytes) -> None:
        mqtt_bytes = frames.receive(data)
        self._channel.send(frames.replies())
        await self.receive(mqtt_bytes)
        if frames.problem is not None:
            self.mqtt.end("CLIENT_ERROR", frames.problem)
        elif frames.closed:  # a Close frame counts as DISCONNECT (Developer Guide, "Lifecycle events")
            self.mqtt.end("CLIENT_INITIATED_DISCONNECT", "WebSocket Close", send_will=False)
        await self._channel.drain()

    async def _refresh(self, grant: Grant) -> None:
        refused = None
        try:
            grant = await self._context.registry.refresh(grant)
        except Refused as answer:
            refused = answer
        except Exception as error:  # an error of ours ends this connection and no other
            self._refreshing = None
            self.mqtt.fail(error)
            return
        self._refreshing = None  # so that an end of the connection does not cancel this task
        if refused is None:
            self.mqtt.refreshed(grant)
        else:
            self.mqtt.not_refreshed(refused)

    @contextlib.contextmanager
    def _contained(self) -> Iterator[None]:
        """End MQTT with the task that feeds it, and let an error of ours end this connection only."""
        try:
            yield
        except asyncio.CancelledError:
            self.mqtt.end("SERVER_INITIATED_DISCONNECT", "the endpoint stops")
            raise
        except Exception as error:
            self.mqtt.fail(error)
