"""One accepted connection: its handshake, the protocol that its ALPN asks for, and its end."""

from __future__ import annotations

import asyncio
import socket
import ssl
import traceback
import uuid
from collections.abc import Callable
from typing import Protocol

import trustme

from mqtt443_tools.localcore.auth.peer import Endpoint, Peer
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.event_log import EventLog, FloodLog
from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault, explained
from mqtt443_tools.localcore.front.certificates import GOOD_LEAF, issue_leaf
from mqtt443_tools.localcore.front.channel import UNCOUNTED_BYTES, Channel, Turn
from mqtt443_tools.localcore.front.handshake import explain_failure
from mqtt443_tools.localcore.front.handshake_gate import HandshakeGate
from mqtt443_tools.localcore.front.http import HttpConnection
from mqtt443_tools.localcore.front.mqtt_driver import MqttDriver
from mqtt443_tools.localcore.front.tls import Handshake, ServerTls, server_context
from mqtt443_tools.support.printable import printable
from mqtt443_tools.support.tls_connection import TlsConnection

CERTIFICATE_ALPN = ("x-amzn-mqtt-ca", "x-amzn-http-ca")
DEFAULT_ALPN = ("mqtt", *CERTIFICATE_ALPN, "http/1.1")


class Front(Protocol):
    """The state that all connections share."""

    context: Context
    handshakes: HandshakeGate
    flood_log: FloodLog
    turn: Turn

    def opened(self, connection: Inbound) -> bool:
        """Count a connection; return False if there are too many."""

    def closed(self, connection: Inbound) -> None:
        """Stop counting a connection."""


class Inbound:
    """One connection, from its first byte to its last.

    Args:
        front: shared by all.
        endpoint: the listener that it reached.
        tls_context: of that listener.

    Attributes:
        tls: the protocol for asyncio.
    """

    __slots__ = (
        *("_channel", "_endpoint", "_event_log", "_front", "_handshake", "_handshake_ended", "_source_ip", "_task"),
        *("_timer", "_victim", "tls"),
    )

    def __init__(self, front: Front, endpoint: Endpoint, tls_context: ssl.SSLContext) -> None:
        self.tls = TlsConnection(tls_context, self)
        self._front = front
        self._endpoint = endpoint
        self._channel: Channel | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._handshake_ended: Callable[[], None] | None = None
        self._victim: str | None = None  # the client id that suffers the fault `wrong-certificate`

    def connected(self, transport: asyncio.Transport) -> None:
        """Wait for a handshake, unless there are too many connections."""
        context, settings = self._front.context, self._front.context.settings
        sock: socket.socket = transport.get_extra_info("socket")
        # asyncio does this only for sockets that name their protocol. Without it a PUBACK waits for the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=min(UNCOUNTED_BYTES, settings.max_write_buffer_bytes))
        self._source_ip = transport.get_extra_info("peername", ("a client that has gone",))[0]
        self._event_log = EventLog(context.on_event, context.clock, self._source_ip, str(uuid.uuid4()))
        self._handshake = Handshake(transport.get_extra_info("sockname")[0])
        if not self._front.opened(self):
            detail = f"over {settings.max_connections} connections, or over the system's limit for this process"
            self._front.flood_log.refused(self._source_ip, "THROTTLED", detail)
            self.tls.abort()
            return
        if context.faults.active:
            self._victim = context.faults.wrong_certificate_for(self._source_ip)
        if self._victim is not None:
            self._event_log.client_id = self._victim
            leaf = issue_leaf(trustme.CA(), self._endpoint.names, GOOD_LEAF, context.clock.time())
            self.tls.context = server_context(self._endpoint.names, leaf, DEFAULT_ALPN)
        limit_s = settings.handshake_timeout_s
        late = ConnectionAbortedError(f"{limit_s:g} s are over")
        self._timer = asyncio.get_running_loop().call_later(limit_s, self.tls.abort, late)
        crowded = ConnectionRefusedError("too many handshakes at once")
        self._handshake_ended = self._front.handshakes.begin(self._source_ip, lambda: self.tls.abort(crowded))

    def handshake_begins(self, tls: ssl.SSLObject) -> None:
        """Make this handshake available to the SNI callback."""
        assert isinstance(tls, ServerTls)  # noqa: S101 - server_context says so
        tls.handshake = self._handshake

    def handshake_done(self) -> None:
        """Route by ALPN."""
        self._end_handshake()
        if self._victim is not None:
            self._tell_fault("THE CLIENT ACCEPTED IT: it does not check the server's certificate")
            self.tls.abort()
            return
        try:
            self._route(self.tls.ssl_object.selected_alpn_protocol())
        except Exception as error:  # an internal error ends only this connection
            self._fail(error)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on."""
        if self._channel is not None:
            self._channel.receive(data)

    def connection_ended(self, error: OSError | None) -> None:
        """Log why a handshake failed, or end the protocol on this connection."""
        if self._handshake_ended is not None:
            self._end_handshake()
            error = error or ConnectionResetError("closed")
            reason, detail = explain_failure(error, self._handshake, self._endpoint.name)
            name = self._handshake.name
            self._event_log.facts["sni"] = None if name is None else printable(name)
            if self._victim is not None:
                self._tell_fault(detail)
            elif reason == "THROTTLED" or name is None:
                self._front.flood_log.refused(self._source_ip, reason, detail)
            else:
                self._refuse(reason, detail)
        self._front.closed(self)
        if self._channel is not None:
            self._channel.end()

    def stop(self) -> None:
        """Cut the connection, because the endpoint stops."""
        if self._task is not None:
            self._task.cancel()
        self.tls.abort()

    def _end_handshake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handshake_ended is not None:
            self._handshake_ended()
            self._handshake_ended = None

    def _route(self, alpn: str | None) -> None:
        context = self._front.context
        tls, cipher = self.tls.ssl_object.version(), self.tls.ssl_object.cipher()
        self._event_log.facts = {"sni": self._handshake.name, "alpn": alpn, "tls": tls, "cipher": cipher and cipher[0]}
        channel = self._channel = Channel(self.tls, self._front.turn, context.settings.max_write_buffer_bytes)
        name = self._handshake.name or self._endpoint.name
        peer = Peer(self._endpoint, self._source_ip, name, self._event_log.connection_id)
        if self._endpoint.is_domain and alpn == "mqtt" and context.settings.domain_alpn == "refuse":
            self._refuse("ALPN", "ALPN mqtt offered to a domain configuration that needs none")
            channel.close()
        elif self._endpoint.is_domain or alpn == "mqtt":
            channel.consume(MqttDriver(channel, peer, self._event_log, context))
        elif alpn in CERTIFICATE_ALPN:
            self._refuse("NO_CLIENT_CERTIFICATE", f"ALPN {alpn} needs one; for a password offer ALPN mqtt")
            channel.close()
        else:
            self._task = asyncio.get_running_loop().create_task(self._serve_http(channel, peer))

    async def _serve_http(self, channel: Channel, peer: Peer) -> None:
        """Serve HTTP, unless the first byte shows that the client forgot ALPN."""
        try:
            async with asyncio.timeout(self._front.context.settings.http_timeout_s):
                first = await channel.read()
            if not first:
                self._refuse("NO_REQUEST", "closed after the handshake, without a request")
            elif first[:1].isalpha():
                if await HttpConnection(channel, peer, self._event_log, self._front.context).run(first):
                    return  # MQTT over WebSocket continues without this task
            else:
                what = "raw MQTT without ALPN" if first[0] == 0x10 else "bytes that are not HTTP"
                self._refuse("NO_ALPN", f"{what}: offer ALPN mqtt, or use WebSocket on /mqtt")
        except TimeoutError:
            self._refuse("NO_REQUEST", "no ALPN mqtt was offered, and no HTTP request came")
        except Exception as error:  # an internal error ends only this connection
            self._fail(error)
        channel.close()

    def _refuse(self, reason: str, detail: str) -> None:
        self._event_log.write("refused", reason, detail)

    def _tell_fault(self, what: str) -> None:
        """Log how a handshake with the certificate of an unknown CA ended."""
        self._refuse(FAULT_INJECTED, explained(Fault.WRONG_CERTIFICATE, what))

    def _fail(self, error: Exception) -> None:
        self._front.context.log("".join(traceback.format_exception(error)))
        self._event_log.write("closed", "SERVER_ERROR", f"internal error: {type(error).__name__}")
        self.tls.abort()
