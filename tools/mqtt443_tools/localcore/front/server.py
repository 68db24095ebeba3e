"""The local AWS IoT Core endpoint: listens, does the handshake, and routes each connection by its ALPN.

The default endpoint (Developer Guide, "Device communication protocols"): `mqtt` is MQTT with custom authentication,
none or `http/1.1` is HTTP, the `x-amzn-` names are for client certificates, which nobody has here. A domain
configuration CUSTOM_AUTH + SECURE_MQTT listens beside it, if the settings name one, and needs no ALPN.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trustme

from mqtt443_tools.localcore.auth.peer import Endpoint, Peer
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.control.control_server import ControlServer
from mqtt443_tools.localcore.endpoint_file import KnownEndpoint, remember
from mqtt443_tools.localcore.event_log import BrokerLog, EventLog
from mqtt443_tools.localcore.events import Decision, DecisionSink
from mqtt443_tools.localcore.faults import FAULT_INJECTED, Fault, Faults, explained
from mqtt443_tools.localcore.front.certificates import CA_FILE, GOOD_LEAF, LeafSpec, issue_leaf, load_ca
from mqtt443_tools.localcore.front.channel import Channel
from mqtt443_tools.localcore.front.handshake import explain_failure
from mqtt443_tools.localcore.front.handshake_gate import HandshakeGate
from mqtt443_tools.localcore.front.http import HttpConnection
from mqtt443_tools.localcore.front.mqtt_driver import MqttDriver
from mqtt443_tools.localcore.front.tls import accept_tls, server_context, watched_handshake
from mqtt443_tools.localcore.jobs.iot_services import IotServices
from mqtt443_tools.localcore.mqtt.broker import Broker
from mqtt443_tools.localcore.mqtt.connect import Admission
from mqtt443_tools.localcore.seen_clients import SeenClients
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.localcore.state_folder import owned_folder, using

CERTIFICATE_ALPN = ("x-amzn-mqtt-ca", "x-amzn-http-ca")
DEFAULT_ALPN = ("mqtt", *CERTIFICATE_ALPN, "http/1.1")
ACCEPT_PAUSE_S = 0.1
RECENT_DECISIONS = 100


class LocalCore:
    """One local endpoint.

    Args:
        settings: all choices.
        registry: the authorizers; its owner closes it.
        clock: for everything but handshakes and HTTP requests.
        decide: takes every decision.
        log: takes lines that are no decision.
        leaf: what the server certificates are like.
        logins: what the authorizer logged last, for the control channel.
    """

    def __init__(
        self,
        settings: Settings,
        registry: AuthorizerRegistry,
        *,
        clock: Clock,
        decide: DecisionSink,
        log: Callable[[str], None],
        leaf: LeafSpec = GOOD_LEAF,
        logins: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.port = 0
        self.domain_port: int | None = None
        self._broker_log = BrokerLog(self._remember, clock)
        broker = Broker(settings, clock, self._broker_log.dropped)
        self._recent: deque[Decision] = deque(maxlen=RECENT_DECISIONS)
        admission = Admission(settings, clock)
        self.broker = broker
        self._settings = settings
        self._services = IotServices(settings, clock, broker.announce)
        self.faults = Faults(clock)
        self._context = Context(
            settings, clock, registry, admission, broker, self._remember, log, self.faults, self._services
        )
        self._leaf = leaf
        self._decide = decide
        self._seen = SeenClients(settings.state, clock, log)
        broker.watch(lambda message: self._seen.note_message(message.client_id, message.payload, message.received_at))
        self._control = ControlServer(
            settings.state,
            broker,
            settings.max_watcher_messages,
            self._recent,
            now=clock.time,
            seen=self._seen,
            services=self._services,
            faults=self.faults,
            logins=logins,
        )
        self._cleanup = contextlib.AsyncExitStack()
        self._connections: set[asyncio.Task[None]] = set()
        self._handshakes = HandshakeGate(settings.max_handshakes_per_address, settings.max_handshakes)

    @property
    def ca_path(self) -> Path:
        """The CA certificate (PEM) that clients must trust."""
        return self._settings.state.resolve() / CA_FILE

    async def start(self) -> None:
        """Listen. Raises StateFolderError, CertificateError, or OSError for a port that cannot be had."""
        settings = self._settings
        async with contextlib.AsyncExitStack() as cleanup:
            cleanup.enter_context(owned_folder(settings.state))
            with using(settings.state):
                ca = load_ca(settings.state)
            endpoints: list[tuple[Endpoint, int, tuple[str, ...]]] = [
                (Endpoint(settings.name, is_domain=False, also=settings.names[1:]), settings.port, DEFAULT_ALPN)
            ]
            if settings.domain_name is not None:
                endpoints.append((Endpoint(settings.domain_name, is_domain=True), settings.domain_port, ("mqtt",)))
            self._seen.load()
            cleanup.callback(self._seen.keep)
            with using(settings.state):
                self._services.start()
            cleanup.callback(self._services.close)
            cleanup.push_async_callback(self._end_connections)
            for endpoint, port, alpn in endpoints:
                leaf = issue_leaf(ca, endpoint.names, self._leaf, self._context.clock.time())
                listener = cleanup.enter_context(socket.create_server((settings.bind, port), backlog=128))
                listener.setblocking(False)
                context = server_context(endpoint.names, leaf, alpn)
                accepting = asyncio.create_task(self._accept(listener, endpoint, context))
                cleanup.push_async_callback(_cancel, accepting)
                if endpoint.is_domain:
                    self.domain_port = listener.getsockname()[1]
                else:
                    self.port = listener.getsockname()[1]
            cleanup.push_async_callback(self._control.stop)
            with using(settings.state):
                remember(settings.state, KnownEndpoint(settings.name, self.port, settings.bind))
                await self._control.start()
            self._cleanup = cleanup.pop_all()

    async def stop(self) -> None:
        """Stop listening and end all connections; harmless when it is not running."""
        await self._cleanup.aclose()

    async def _end_connections(self) -> None:
        self.broker.close("SERVER_INITIATED_DISCONNECT", "the endpoint stops")
        for task in list(self._connections):
            await _cancel(task)
        self._broker_log.close()

    async def _accept(self, listener: socket.socket, endpoint: Endpoint, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as error:  # no file descriptors left, say: the connections that there are go on
                self._context.log(f"cannot accept a connection: {error}")
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            # asyncio does it for sockets that name their protocol alone. Without it a PUBACK waits for the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection_id = str(uuid.uuid4())
            event_log = EventLog(self._context.decide, self._context.clock, address[0], connection_id)
            if len(self._connections) >= self._settings.max_connections:
                sock.close()
                event_log.write("refused", "THROTTLED", f"over {self._settings.max_connections} connections")
                continue
            task = loop.create_task(self._serve(sock, endpoint, context, event_log, address[0]))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _serve(
        self, sock: socket.socket, endpoint: Endpoint, context: ssl.SSLContext, event_log: EventLog, source_ip: str
    ) -> None:
        """Serve one connection from its first byte to its last."""
        channel = None
        try:
            if self.faults.active and (victim := self.faults.wrong_certificate_for(source_ip)) is not None:
                await self._show_wrong_certificate(sock, endpoint, event_log, source_ip, victim)
                return
            with watched_handshake(sock) as handshake:
                try:
                    reader, writer = await self._handshake(sock, context, source_ip)
                except OSError as error:  # ssl.SSLError is one
                    event_log.write("refused", *explain_failure(error, handshake, endpoint.name))
                    return
            channel = Channel(reader, writer, self._settings.max_write_buffer_bytes)
            peer = Peer(endpoint, source_ip, handshake.name or endpoint.name, event_log.connection_id)
            await self._route(channel, writer.get_extra_info("ssl_object").selected_alpn_protocol(), peer, event_log)
            await channel.finish()
        except Exception as error:  # an error of ours ends this connection and no other
            self._context.log("".join(traceback.format_exception(error)))
            event_log.write("closed", "SERVER_ERROR", f"internal error: {type(error).__name__}")
        finally:
            if channel is not None:
                channel.abort()

    async def _show_wrong_certificate(
        self, sock: socket.socket, endpoint: Endpoint, event_log: EventLog, source_ip: str, client_id: str
    ) -> None:
        """Do a handshake that a client must end, because the certificate is that of an unknown CA; then close."""
        event_log.client_id = client_id
        leaf = issue_leaf(trustme.CA(), endpoint.names, GOOD_LEAF, self._context.clock.time())
        with watched_handshake(sock) as handshake:
            try:
                _, writer = await self._handshake(sock, server_context(endpoint.names, leaf, DEFAULT_ALPN), source_ip)
            except OSError as error:
                what = explain_failure(error, handshake, endpoint.name)[1]
            else:
                writer.transport.abort()
                what = "THE CLIENT ACCEPTED IT: it does not check the server's certificate"
        event_log.write("refused", FAULT_INJECTED, explained(Fault.WRONG_CERTIFICATE, what))

    async def _handshake(
        self, sock: socket.socket, context: ssl.SSLContext, source_ip: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Do the TLS handshake. Raises OSError, also where it had to make room for a newer one."""
        crowded = asyncio.Event()
        work = asyncio.create_task(accept_tls(sock, context, self._settings.handshake_timeout_s))

        def end() -> None:
            crowded.set()
            work.cancel()

        with self._handshakes.handshake(source_ip, end):
            try:
                return await work
            except asyncio.CancelledError:
                if not crowded.is_set():
                    work.cancel()
                    raise
                raise ConnectionRefusedError("too many handshakes at once") from None
            finally:
                if not work.done() or work.cancelled():
                    sock.close()

    async def _route(self, channel: Channel, alpn: str | None, peer: Peer, event_log: EventLog) -> None:
        if peer.endpoint.is_domain and alpn == "mqtt" and self._settings.domain_alpn == "refuse":
            event_log.write("refused", "ALPN", "ALPN mqtt offered to a domain configuration that needs none")
        elif peer.endpoint.is_domain or alpn == "mqtt":
            await MqttDriver(channel, peer, event_log, self._context).run()
        elif alpn in CERTIFICATE_ALPN:
            event_log.write(
                "refused", "NO_CLIENT_CERTIFICATE", f"ALPN {alpn} needs one; for a password offer ALPN mqtt"
            )
        else:
            await self._route_http(channel, peer, event_log)

    async def _route_http(self, channel: Channel, peer: Peer, event_log: EventLog) -> None:
        """HTTP, unless the first byte shows that the client forgot its ALPN."""
        try:
            async with asyncio.timeout(self._settings.http_timeout_s):
                first = await channel.read()
        except TimeoutError:
            event_log.write("refused", "NO_REQUEST", "no ALPN mqtt was offered, and no HTTP request came")
            return
        if not first:
            event_log.write("refused", "NO_REQUEST", "closed after the handshake, without a request")
        elif first[:1].isalpha():
            await HttpConnection(channel, peer, event_log, self._context).run(first)
        else:
            what = "raw MQTT without ALPN" if first[0] == 0x10 else "bytes that are no HTTP"
            event_log.write("refused", "NO_ALPN", f"{what}: offer ALPN mqtt, or use WebSocket on /mqtt")

    def _remember(self, decision: Decision) -> None:
        self._recent.append(decision)
        self._seen.note_decision(decision)
        self._decide(decision)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
