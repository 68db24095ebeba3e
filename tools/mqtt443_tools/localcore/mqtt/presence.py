"""Lifecycle events: clients that connected, failed to connect, or disconnected (Developer Guide, "Lifecycle events").

They go to clients that may subscribe to `$aws/events/presence/...`; the default policy of a device does not allow that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from mqtt443_tools.localcore.auth.peer import Peer
from mqtt443_tools.localcore.clock import Clock

FORGET_S = 3600
"""After this time without a connection, a client's version number starts at 0 again."""

REASONS = frozenset(
    {
        *("AUTH_ERROR", "CLIENT_INITIATED_DISCONNECT", "CLIENT_ERROR", "CONNECTION_LOST", "DUPLICATE_CLIENTID"),
        *("FORBIDDEN_ACCESS", "MQTT_KEEP_ALIVE_TIMEOUT", "SERVER_ERROR", "SERVER_INITIATED_DISCONNECT"),
        *("API_INITIATED_DISCONNECT", "THROTTLED", "WEBSOCKET_TTL_EXPIRATION", "CUSTOMAUTH_TTL_EXPIRATION"),
    }
)
"""AWS's disconnect reasons; all others become SERVER_ERROR."""


@dataclass(frozen=True, slots=True)
class Present:
    """A connection whose `connected` event was published."""

    client_id: str
    session_id: str
    principal_id: str
    version: int


class Presence:
    """Publishes the events.

    Args:
        clock: for timestamps and version numbers.
        publish: publishes a payload on a topic.
    """

    def __init__(self, clock: Clock, publish: Callable[[str, bytes], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._gone: dict[str, tuple[int, float]] = {}  # last version and when, by client id, the oldest first

    def connected(self, client_id: str, peer: Peer, principal_id: str) -> Present:
        """Publish that a client has connected."""
        version, ended_at = self._gone.pop(client_id, (-1, self._clock.now()))
        if self._clock.now() - ended_at >= FORGET_S:
            version = -1
        present = Present(client_id, peer.connection_id, principal_id, version + 1)
        self._announce(present, "connected", ipAddress=peer.source_ip, versionNumber=present.version)
        return present

    def disconnected(self, present: Present, reason: str) -> None:
        """Publish that a connection has ended, and why."""
        now = self._clock.now()
        while self._gone and now - next(iter(self._gone.values()))[1] >= FORGET_S:
            del self._gone[next(iter(self._gone))]
        self._gone[present.client_id] = (present.version, now)
        self._announce(
            present,
            "disconnected",
            clientInitiatedDisconnect=reason == "CLIENT_INITIATED_DISCONNECT",
            disconnectReason=reason if reason in REASONS else "SERVER_ERROR",
            versionNumber=present.version,
        )

    def connect_failed(self, client_id: str, peer: Peer, principal_id: str) -> None:
        """Publish that a client was not authorized to connect; `principal_id` is empty if no authorizer named one."""
        failed = Present(client_id, peer.connection_id, principal_id, 0)
        self._announce(failed, "connect_failed", connectFailureReason="AUTHORIZATION_FAILED", ipAddress=peer.source_ip)

    def _announce(self, present: Present, event: str, **more: object) -> None:
        client_id = present.client_id
        if not client_id or "#" in client_id or "+" in client_id or "/" in client_id:
            return  # AWS names # and +; a slash in the client id would add a level to the topic
        payload = {
            "clientId": client_id,
            "timestamp": int(self._clock.time() * 1000),
            "eventType": event,
            "sessionIdentifier": present.session_id,
            "principalIdentifier": present.principal_id,
            **more,
        }
        self._publish(f"$aws/events/presence/{event}/{client_id}", json.dumps(payload, ensure_ascii=False).encode())
