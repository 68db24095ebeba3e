"""One MQTT client of a fleet, in callbacks: without a task and a queue, because there are thousands."""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Protocol

from mqtt443_tools.load import client_packets as packets
from mqtt443_tools.load.tally import Tally
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.localcore.mqtt.fields import string
from mqtt443_tools.support.tls_connection import TlsConnection

KEEP_ALIVE_S = 1200
"""AWS's longest ("AWS IoT Core protocol quotas")."""

MARK = b'{"sent_ns":'
REFUSALS = {1: "MQTT level", 2: "client id", 3: "server unavailable", 4: "user name or password", 5: "not authorized"}
"""CONNACK return codes (MQTT 3.1.1, table 3.1)."""


class Fleet(Protocol):
    """The fleet, as its clients see it."""

    def acknowledged(self, client: LoadClient, began: float, tally: Tally) -> None:
        """Count a PUBACK in the tally of its publish, which was due at `began`, in monotonic seconds."""

    def arrived(self, sent: float) -> None:
        """Count a message; `sent` is its time stamp in monotonic seconds."""

    def lost(self, client: LoadClient, cause: str) -> None:
        """Count a connection that ended by itself."""


class LoadClient:
    """A client.

    Args:
        login: its credentials.
        fleet: receives the results.
    """

    __slots__ = (
        *("_fleet", "_incomplete", "_last_packet_id", "_pending", "_tls", "_waiting", "_written"),
        *("heard_at", "login", "topic"),
    )

    def __init__(self, login: Login, fleet: Fleet) -> None:
        self.login = login
        self.topic = string(f"telemetry/{login.client_id}")
        self.heard_at = 0.0
        self._fleet = fleet
        self._incomplete = b""
        self._pending: dict[int, tuple[float, Tally]] = {}
        self._last_packet_id = 0
        self._tls: TlsConnection | None = None
        self._waiting: asyncio.Future[str | None] | None = None
        self._written: list[bytes] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it can publish."""
        return self._tls is not None and not self._tls.is_closing and self._waiting is None

    @property
    def pending(self) -> int:
        """How many publishes are unacknowledged."""
        return len(self._pending)

    async def connect(self, target: Target, context: ssl.SSLContext) -> str | None:
        """Connect, and wait for CONNACK; return why it failed, None on success."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        self._incomplete = b""
        self._pending.clear()
        tls = self._tls = TlsConnection(context, self, target.host)
        try:
            await loop.create_connection(lambda: tls, target.address, target.port)
        except OSError as error:
            return _cause(error)
        return await self._answer()

    async def subscribe(self, topic_filter: str, qos: int) -> str | None:
        """Subscribe, and wait for SUBACK; return why it failed, None on success."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._send(packets.subscribe(1, topic_filter, qos))
        return await self._answer()

    def publish(self, began: float, size: int, tally: Tally, *, qos: int = 1, topic: bytes | None = None) -> None:
        """Publish a message that carries its due time.

        Args:
            began: when it was due, in monotonic seconds.
            size: bytes of the payload; its time stamp needs about 40.
            tally: counts it; at QoS 0 as soon as it is sent.
            qos: 0 or 1.
            topic: encoded; its telemetry topic if None.
        """
        payload = (b'%b%d,"fill":"' % (MARK, int(began * 1e9))).ljust(size - 2, b"x") + b'"}'
        packet_id = None
        if qos:
            packet_id = self._last_packet_id = self._last_packet_id % 0xFFFF + 1
            self._pending[packet_id] = began, tally
        else:
            tally.add(began, time.monotonic())
        self._send(packets.publish(topic or self.topic, payload, packet_id))

    def ping(self) -> None:
        """Keep the connection alive."""
        self._send(packets.PINGREQ)

    def disconnect(self) -> None:
        """Send DISCONNECT, and close."""
        self._send(packets.DISCONNECT)
        self.close()

    def close(self) -> None:
        """Close, and stop reporting."""
        tls, self._tls = self._tls, None
        if tls is not None:
            tls.close()

    def connected(self, transport: asyncio.Transport) -> None:
        """See Receiver."""

    def handshake_begins(self, tls: ssl.SSLObject) -> None:
        """See Receiver."""

    def handshake_done(self) -> None:
        """Send CONNECT."""
        self._send(packets.connect(self.login.client_id, self.login.username, self.login.password, KEEP_ALIVE_S))

    def data_received(self, data: bytes) -> None:
        """Process bytes from the endpoint; all answers to them leave in one write."""
        found, self._incomplete = packets.cut(self._incomplete + data if self._incomplete else data)
        self._written = []
        for first_byte, body in found:
            self._take(first_byte, body)
        written, self._written = self._written, None
        if written:
            self._send(b"".join(written))

    def connection_ended(self, error: OSError | None) -> None:
        """Report an unexpected end."""
        if self._tls is None:
            return
        self._tls = None
        cause = _cause(error) if error is not None else "the endpoint closed the connection"
        if self._waiting is not None:
            self._settle(cause)
        else:
            self.give_up(f"no PUBACK: {cause}")
            self._fleet.lost(self, cause)

    def give_up(self, cause: str) -> None:
        """Count unacknowledged publishes as failed."""
        for _, tally in self._pending.values():
            tally.fail(cause)
        self._pending.clear()

    def _take(self, first_byte: int, body: bytes) -> None:
        kind = first_byte >> 4
        if kind == packets.PUBACK:
            publish = self._pending.pop(body[0] << 8 | body[1], None)
            if publish is not None:
                self._fleet.acknowledged(self, *publish)
        elif kind == packets.PUBLISH:
            self._take_publish(first_byte, body)
        elif kind == packets.CONNACK:
            self._settle(f"CONNACK {body[1]}: {REFUSALS.get(body[1], 'unknown')}" if body[1] else None)
        elif kind == packets.SUBACK:
            self._settle("SUBACK 0x80: subscription refused" if body[2] & 0x80 else None)

    def _take_publish(self, first_byte: int, body: bytes) -> None:
        at = 2 + (body[0] << 8 | body[1])
        if first_byte & 0x06:
            self._send(packets.puback(body[at] << 8 | body[at + 1]))
            at += 2
        if body.startswith(MARK, at):
            at += len(MARK)
            self._fleet.arrived(int(body[at : body.index(b",", at)]) / 1e9)

    def _send(self, data: bytes) -> None:
        if self._written is not None:
            self._written.append(data)
        elif self._tls is not None:
            self.heard_at = time.monotonic()
            self._tls.write(data)

    async def _answer(self) -> str | None:
        assert self._waiting is not None  # noqa: S101 - the callers set it
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def _settle(self, cause: str | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(cause)


def _cause(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return error.strerror or str(error) or type(error).__name__
