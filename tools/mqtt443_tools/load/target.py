"""The endpoint that a fleet connects to, and its logins."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """An endpoint.

    Attributes:
        host: the name that clients ask for (SNI), and that its certificate must hold.
        address: the IP address to connect to.
        port: TCP port.
        ca: the CA certificates, as PEM.
        alpn: the protocol that clients offer; None for none.
    """

    host: str
    address: str
    port: int
    ca: str
    alpn: str | None = "mqtt"

    def tls_context(self) -> ssl.SSLContext:
        """Return the context of a client."""
        context = ssl.create_default_context(cadata=self.ca)
        if self.alpn is not None:
            context.set_alpn_protocols([self.alpn])
        return context


@dataclass(frozen=True)
class Login:
    """The credentials of a client.

    Attributes:
        client_id: the device's.
        username: followed by the authorizer's parameters, if any; None for an anonymous client.
        password: None for none.
    """

    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
