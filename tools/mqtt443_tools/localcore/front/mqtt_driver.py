"""Drives an MQTT connection: carries its bytes over TLS, bare or in WebSocket frames, and asks its authorizer."""

from __future__ import annotations

import asyncio

from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.auth.described import describe_event
from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog
from mqtt443_tools.localcore.front.channel import Channel
from mqtt443_tools.localcore.front.stall import Stall
from mqtt443_tools.localcore.front.websocket import WebSocketFrames
from mqtt443_tools.localcore.localcore_errors import Refused
from mqtt443_tools.localcore.mqtt.connection import MqttConnection


class MqttDriver:
    """One MQTT connection over a channel, driven by arriving bytes: it has a task only while it asks the authorizer.

    Args:
        channel: the TLS connection; `Channel.consume` starts this.
        peer: the other side.
        event_log: receives the events of this connection.
        context: the state that all connections share.
        frames: the WebSocket frames around MQTT, one packet a frame [MQTT-6.0.0-1]; None without WebSocket.
    """

    __slots__ = (
        "_asking",
        "_channel",
        "_context",
        "_event_log",
        "_frames",
        "_peer",
        "_refreshing",
        "_stall",
        "_stalled",
        "mqtt",
    )

    def __init__(
        self, channel: Channel, peer: Peer, event_log: EventLog, context: Context, frames: WebSocketFrames | None = None
    ) -> None:
        self.mqtt = MqttConnection(self, peer, event_log, context)
        self._channel = channel
        self._peer = peer
        self._event_log = event_log
        self._context = context
        self._stall = Stall(
            context.faults, event_log, channel, context.settings.max_write_buffer_bytes, self._stall_over
        )
        self._stalled = b""  # bytes from a client that is stalled
        self._frames = frames
        self._asking: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None

    def send(self, data: bytes) -> bool:
        """Send a packet, in its own frame with WebSocket; returns the same as Channel.send."""
        data = data if self._frames is None else self._frames.binary(data)
        if self._context.faults.active and self._stall.begins():
            return self._stall.hold(data)
        return self._channel.send(data)

    def authorize(self, request: Request) -> None:
        """Ask the authorizer about a CONNECT, which takes 5 s at most."""
        self._asking = asyncio.get_running_loop().create_task(self._authorize(request))

    def refresh(self, grant: Grant) -> None:
        """Ask the authorizer again."""
        self._refreshing = asyncio.get_running_loop().create_task(self._refresh(grant))

    def close(self) -> None:
        """Close; with WebSocket, after a Close frame."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._stall.close()
        if self._frames is not None:
            self._channel.send(self._frames.close())
        self._channel.close()

    def data_received(self, data: bytes) -> None:
        """Pass bytes to MQTT; an internal error ends only this connection."""
        if self._context.faults.active and self._stall.begins():
            self._stalled += data
            self._channel.pause()
            return
        try:
            if self._frames is None:
                self.mqtt.receive(data)
            else:
                self._receive_frames(self._frames, data)
        except Exception as error:
            self.mqtt.fail(error)
        if self._asking is not None:  # at most this much more waits behind a CONNECT
            self._channel.pause()

    def connection_ended(self) -> None:
        """End MQTT because the connection ended."""
        farewell = "DISCONNECT" if self._frames is None else "WebSocket Close"
        self.mqtt.end("CONNECTION_LOST", f"the client closed the connection without {farewell}")

    def _stall_over(self) -> None:
        stalled, self._stalled = self._stalled, b""
        if stalled:
            self._channel.resume()
            self.data_received(stalled)

    def _receive_frames(self, frames: WebSocketFrames, data: bytes) -> None:
        mqtt_bytes = frames.receive(data)
        if replies := frames.replies():
            self._channel.send(replies)
        self.mqtt.receive(mqtt_bytes)
        if frames.problem is not None:
            self.mqtt.end("CLIENT_ERROR", frames.problem)
        elif frames.closed:  # a Close frame counts as DISCONNECT (Developer Guide, "Lifecycle events")
            self.mqtt.end("CLIENT_INITIATED_DISCONNECT", "WebSocket Close", send_will=False)

    async def _authorize(self, request: Request) -> None:
        refused = grant = None
        facts = self._event_log.facts
        facts["event"] = describe_event(request)
        try:
            grant = await self._peer.endpoint.authorize(request, self._context.registry, self._context.settings)
        except Refused as answer:
            refused = answer
        except Exception as error:  # an internal error ends only this connection
            self.mqtt.fail(error)
        self._asking = None
        try:
            if refused is not None:
                facts |= {"authorizer": refused.authorizer, "answer": refused.detail}
                self.mqtt.not_granted(refused)
            elif grant is not None:
                facts |= {"authorizer": grant.authorizer.name, "answer": grant.describe()}
                self.mqtt.granted(grant)
        except Exception as error:
            self.mqtt.fail(error)
        self._channel.resume()

    async def _refresh(self, grant: Grant) -> None:
        refused = None
        try:
            grant = await self._context.registry.refresh(grant)
        except Refused as answer:
            refused = answer
        except Exception as error:  # an internal error ends only this connection
            self._refreshing = None
            self.mqtt.fail(error)
            return
        self._refreshing = None  # so that the end of the connection does not cancel this task
        if refused is None:
            self.mqtt.refreshed(grant)
        else:
            self.mqtt.not_refreshed(refused)
