"""What is known about the peer of a connection before MQTT begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.auth.registry import ACCOUNT_DEFAULT, AuthorizerRegistry
from mqtt443_tools.localcore.auth.request import Request
from mqtt443_tools.localcore.localcore_errors import Refused
from mqtt443_tools.localcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The listener that a client reached: the default endpoint, or a domain configuration.

    Args:
        name: its host name.
        is_domain: whether it is a domain configuration.
        also: further names and addresses of the listener.
    """

    name: str
    is_domain: bool
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All its names and addresses, its own name first."""
        return (self.name, *self.also)

    async def authorize(self, request: Request, registry: AuthorizerRegistry, settings: Settings) -> Grant:
        """Ask the authorizer of this endpoint. Raises Refused."""
        if not self.is_domain:
            return await registry.authorize(request, endpoint_default=ACCOUNT_DEFAULT)
        if not settings.domain_enabled:
            raise Refused("DOMAIN_CONFIGURATION_DISABLED", f"the domain configuration of {self.name} is disabled")
        return await registry.authorize(
            request, endpoint_default=settings.domain_authorizer, allow_override=settings.domain_allow_override
        )


@dataclass(frozen=True, slots=True)
class Peer:
    """One client before its first MQTT packet.

    Args:
        endpoint: the listener.
        source_ip: the address of the client.
        server_name: the host name it asked for (SNI).
        connection_id: a UUID, passed to the authorizer and shown in events.
        http_headers, http_query: of the WebSocket upgrade; None without one. The query includes the `?`.
    """

    endpoint: Endpoint
    source_ip: str
    server_name: str
    connection_id: str
    http_headers: Mapping[str, str] | None = None
    http_query: str | None = None

    @property
    def over_websocket(self) -> bool:
        """Whether MQTT arrives in WebSocket frames."""
        return self.http_headers is not None

    @property
    def transport(self) -> str:
        """The way that MQTT arrives, as the config of a board calls it: alpn, wss or tls."""
        if self.over_websocket:
            return "wss"
        return "tls" if self.endpoint.is_domain else "alpn"
