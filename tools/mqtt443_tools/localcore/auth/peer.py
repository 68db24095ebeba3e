"""Who is on the other side of a connection, as far as it is known before MQTT begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mqtt443_tools.localcore.auth.registry import ACCOUNT_DEFAULT, AuthorizerRegistry, Grant, Request
from mqtt443_tools.localcore.localcore_errors import Refused
from mqtt443_tools.localcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which listener a client reached: the default endpoint, or a domain configuration.

    Args:
        name: its host name.
        is_domain: whether it is a domain configuration.
        also: more names and addresses that it answers to.
    """

    name: str
    is_domain: bool
    also: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it answers to, its own name first."""
        return (self.name, *self.also)

    async def authorize(self, request: Request, registry: AuthorizerRegistry, settings: Settings) -> Grant:
        """Ask the authorizer that this endpoint leads to. Raises Refused."""
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
        endpoint: where it came in.
        source_ip: its address.
        server_name: the host name it asked for (SNI).
        connection_id: a uuid, given to the authorizer and shown in decisions.
        http_headers, http_query: of the WebSocket upgrade; None without one. The query has its `?`.
    """

    endpoint: Endpoint
    source_ip: str
    server_name: str
    connection_id: str
    http_headers: Mapping[str, str] | None = None
    http_query: str | None = None

    @property
    def over_websocket(self) -> bool:
        """Tell whether MQTT comes in WebSocket frames."""
        return self.http_headers is not None
