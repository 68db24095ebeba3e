"""TLS of the local endpoint: versions and ciphers of AWS's default policy, mandatory SNI, ALPN."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass

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
    """The facts about a handshake, even a failed one.

    Attributes:
        address: the address that the client connected to.
        name: the SNI, None if there was none (yet).
        name_refused: whether it ended because of its name.
    """

    address: str
    name: str | None = None
    name_refused: bool = False


class ServerTls(ssl.SSLObject):
    """One SSLContext serves all connections; its callback finds the current handshake here."""

    handshake: Handshake


def server_context(names: Iterable[str], leaf: trustme.LeafCert, alpn: Iterable[str]) -> ssl.SSLContext:
    """Return a context that serves `leaf` to clients that ask for one of `names`, and picks their first of `alpn`.

    A client that connected to an address among `names` may omit SNI, which must not hold addresses (RFC 6066 section
    3), although mbedTLS sends them anyway.
    """
    known = {name.lower() for name in names}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = ServerTls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION  # AWS does not support session tickets (RFC 5077)
    context.num_tickets = 0
    context.set_ciphers(TLS12_CIPHERS)
    context.set_alpn_protocols(list(alpn))
    leaf.configure_cert(context)

    def check_name(tls: ssl.SSLObject, asked: str | None, _: ssl.SSLContext) -> int | None:
        assert isinstance(tls, ServerTls)  # noqa: S101 - sslobject_class says so
        handshake = tls.handshake
        handshake.name = asked
        meant = handshake.address if asked is None else asked.lower()
        handshake.name_refused = meant not in known
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if handshake.name_refused else None

    context.sni_callback = check_name
    return context
