"""TLS of the local endpoint: versions and ciphers of AWS's default policy, SNI that must be right, ALPN.

Python's ssl does the work. Two things are added: the name that a client asked for is kept with its connection, and a
client whose name is refused gets the alert, which asyncio would drop with the failed handshake.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import contextlib
import socket
import ssl
from asyncio import sslproto
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import trustme

ECDHE = (
    f"ECDHE-{key}-{cipher}"
    for cipher in (
        *("AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA"),
        *("AES256-GCM-SHA384", "AES256-SHA384", "AES256-SHA"),
    )
    for key in ("ECDSA", "RSA")
)
STATIC_RSA = (
    *("AES128-GCM-SHA256", "AES128-SHA256", "AES128-SHA"),
    *("AES256-GCM-SHA384", "AES256-SHA256", "AES256-SHA"),
)
TLS12_CIPHERS = ":".join((*ECDHE, *STATIC_RSA))
"""IoTSecurityPolicy_TLS13_1_2_2022_10 (Developer Guide, "Transport security"); TLS 1.3 has AWS's three by default."""


@dataclass(slots=True)
class Handshake:
    """What is known of a handshake, also if it fails. `name` is the SNI, None if there was none (yet)."""

    socket: socket.socket
    name: str | None = None
    name_refused: bool = False


_handshake: ContextVar[Handshake] = ContextVar("handshake")
"""The handshake of the task that runs: one SSLContext serves all connections, and its callback is not told which."""


class _AlertingSSLObject(ssl.SSLObject):
    """Sends the alert of a failed handshake, which stays in the outgoing buffer otherwise."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError:
            with contextlib.suppress(OSError):  # the client may be gone: then there is nobody to tell
                _handshake.get().socket.send(self.outgoing.read())
            raise


class _Context(ssl.SSLContext):
    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        wrapped = super().wrap_bio(incoming, outgoing, *args, **kwargs)
        assert isinstance(wrapped, _AlertingSSLObject)  # noqa: S101 - sslobject_class says so
        wrapped.outgoing = outgoing
        return wrapped


def server_context(names: Iterable[str], leaf: trustme.LeafCert, alpn: Iterable[str]) -> ssl.SSLContext:
    """Return a context that serves `leaf` to clients that ask for one of `names`, and picks their first of `alpn`.

    A client that connected to an address among `names` may send no SNI: addresses have no place in it (RFC 6066
    section 3), though mbedTLS sends them all the same.
    """
    known = {name.lower() for name in names}
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _AlertingSSLObject
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET  # AWS supports no session tickets (RFC 5077)
    context.num_tickets = 0
    context.set_ciphers(TLS12_CIPHERS)
    context.set_alpn_protocols(list(alpn))
    leaf.configure_cert(context)

    def check_name(_: ssl.SSLObject, asked: str | None, __: ssl.SSLContext) -> int | None:
        handshake = _handshake.get()
        handshake.name = asked
        meant = handshake.socket.getsockname()[0] if asked is None else asked.lower()
        handshake.name_refused = meant not in known
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if handshake.name_refused else None

    context.sni_callback = check_name
    return context


@contextlib.contextmanager
def watched_handshake(sock: socket.socket) -> Iterator[Handshake]:
    """Keep what becomes known of the handshake that this task awaits in the block."""
    token = _handshake.set(handshake := Handshake(sock))
    try:
        yield handshake
    finally:
        _handshake.reset(token)


class _SmallSSLProtocol(sslproto.SSLProtocol):
    """asyncio's TLS, whose receive buffer of 256 KiB for each connection would be most of what a connection costs."""

    max_size = 16 * 1024  # a TLS record holds no more (RFC 8446 section 5.1)


class _StreamProtocol(asyncio.StreamReaderProtocol):
    """Keeps the transport that the handshake ends with."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TLS over TCP is a byte stream
        self.transport = transport
        super().connection_made(transport)


async def accept_tls(
    sock: socket.socket, context: ssl.SSLContext, timeout_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Do the server's side of a handshake on a connected socket.

    Raises:
        ssl.SSLError, OSError: the handshake failed; ConnectionAbortedError where it took longer than `timeout_s`.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = _StreamProtocol(reader)
    handshake: asyncio.Future[None] = loop.create_future()
    tls = _SmallSSLProtocol(
        loop,
        protocol,
        context,
        handshake,
        server_side=True,
        ssl_handshake_timeout=timeout_s,  # type: ignore[arg-type]  # asyncio takes fractions too
        ssl_shutdown_timeout=1.0,
    )
    transport, _ = await loop.connect_accepted_socket(lambda: tls, sock)
    try:
        await handshake
    except BaseException:
        transport.abort()
        raise
    return reader, asyncio.StreamWriter(protocol.transport, protocol, reader, loop)
