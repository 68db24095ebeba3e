"""The local AWS IoT Core endpoint: listens, does the handshake, and routes each connection by its ALPN.

The default endpoint (Developer Guide, "Device communication protocols"): `mqtt` is MQTT with custom authentication,
none or `http/1.1` is HTTP, the `x-amzn-` names are for client certificates, which are not supported here. If the
settings name a domain configuration CUSTOM_AUTH + SECURE_MQTT, it listens beside it and needs no ALPN.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mqtt443_tools.localcore.auth.peer import Endpoint
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.context import Context
from mqtt443_tools.localcore.control.control_server import ControlServer
from mqtt443_tools.localcore.endpoint_file import KnownEndpoint, remember
from mqtt443_tools.localcore.event_log import BrokerLog, FloodLog
from mqtt443_tools.localcore.events import Event, EventSink
from mqtt443_tools.localcore.faults import Faults
from mqtt443_tools.localcore.front.certificates import CA_FILE, GOOD_LEAF, LeafSpec, issue_leaf, load_ca
from mqtt443_tools.localcore.front.channel import Turn
from mqtt443_tools.localcore.front.handshake_gate import HandshakeGate
from mqtt443_tools.localcore.front.inbound import DEFAULT_ALPN, Inbound
from mqtt443_tools.localcore.front.tls import server_context
from mqtt443_tools.localcore.jobs.iot_services import IotServices
from mqtt443_tools.localcore.mqtt.broker import Broker
from mqtt443_tools.localcore.mqtt.connect import Admission
from mqtt443_tools.localcore.seen_clients import SeenClients
from mqtt443_tools.localcore.settings import Settings
from mqtt443_tools.localcore.state_folder import owned_folder, using
from mqtt443_tools.support.file_limit import raise_file_limit

BACKLOG = 128
OTHER_FILES = 100
"""Open files other than connections of clients: pipes of the authorizer, databases, watchers."""

RECENT_EVENTS = 100


class LocalCore:
    """One local endpoint.

    Args:
        settings: all choices.
        registry: the authorizers; its owner closes it.
        clock: for everything but handshakes and HTTP requests.
        on_event: receives every event.
        log: receives lines that are not events.
        leaf: properties of the server certificates.
        logins: the authorizer's last log entries, for the control channel.
    """

    def __init__(
        self,
        settings: Settings,
        registry: AuthorizerRegistry,
        *,
        clock: Clock,
        on_event: EventSink,
        log: Callable[[str], None],
        leaf: LeafSpec = GOOD_LEAF,
        logins: Iterable[dict[str, Any]] = (),
    ) -> None:
        self.port = 0
        self.domain_port: int | None = None
        self._broker_log = BrokerLog(self._remember, clock)
        broker = Broker(settings, clock, self._broker_log.dropped)
        self._recent: deque[Event] = deque(maxlen=RECENT_EVENTS)
        admission = Admission(settings, clock)
        self.broker = broker
        self._settings = settings
        self._services = IotServices(settings, clock, broker.announce, log)
        self.faults = Faults(clock)
        self.context = Context(
            settings, clock, registry, admission, broker, self._remember, log, self.faults, self._services
        )
        self._leaf = leaf
        self._on_event = on_event
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
            log=log,
            logins=logins,
        )
        self._cleanup = contextlib.AsyncExitStack()
        self._connections: set[Inbound] = set()
        self._max_connections = settings.max_connections
        self.flood_log = FloodLog(self._remember, clock)
        self.turn = Turn()
        self.handshakes = HandshakeGate(settings.max_handshakes_per_address, settings.max_handshakes)

    @property
    def ca_path(self) -> Path:
        """The CA certificate (PEM) that clients must trust."""
        return self._settings.state.resolve() / CA_FILE

    def note_login(self, login: Mapping[str, Any]) -> None:
        """Take notice of a decision that an authorizer logged, see `parse_login`."""
        self._seen.note_login(login, self.context.clock.time())

    async def start(self) -> None:
        """Listen. Raises StateFolderError, CertificateError, or OSError if the port is not available."""
        settings = self._settings
        self._max_connections = min(settings.max_connections, raise_file_limit() - OTHER_FILES)
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
            cleanup.callback(self._services.close)
            with using(settings.state):
                self._services.start()
            cleanup.push_async_callback(self._end_connections)
            for endpoint, port, alpn in endpoints:
                leaf = issue_leaf(ca, endpoint.names, self._leaf, self.context.clock.time())
                listener = cleanup.enter_context(socket.create_server((settings.bind, port), backlog=BACKLOG))
                tls = server_context(endpoint.names, leaf, alpn)
                server = await asyncio.get_running_loop().create_server(
                    functools.partial(self._accept, endpoint, tls), sock=listener, backlog=BACKLOG
                )
                cleanup.callback(server.close)
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
        """Stop listening and end all connections; harmless if it is not running."""
        await self._cleanup.aclose()

    def opened(self, connection: Inbound) -> bool:
        """See inbound.Front."""
        if len(self._connections) >= self._max_connections:
            return False
        self._connections.add(connection)
        return True

    def closed(self, connection: Inbound) -> None:
        """See inbound.Front."""
        self._connections.discard(connection)

    async def _end_connections(self) -> None:
        self.broker.close("SERVER_INITIATED_DISCONNECT", "the endpoint stops")
        await asyncio.sleep(0)  # data sent within this turn of the loop leaves at its end
        for connection in list(self._connections):
            connection.stop()
        await asyncio.sleep(0)
        self._broker_log.close()
        self.flood_log.close()

    def _accept(self, endpoint: Endpoint, tls: ssl.SSLContext) -> asyncio.BaseProtocol:
        return Inbound(self, endpoint, tls).tls

    def _remember(self, event: Event) -> None:
        self._recent.append(event)
        self._seen.note_event(event)
        self._on_event(event)
