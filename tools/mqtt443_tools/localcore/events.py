"""Events: what happened to a client at the endpoint, and why, as data and as one line of text.

AWS gives a 3.1.1 client no reason: it only closes. So every event goes to a sink, a callable that is passed in and
decides how to print it. Text from the network is escaped and truncated here, and an event never holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mqtt443_tools.support.printable import printable

Outcome = Literal["accepted", "refused", "closed", "dropped"]
"""accepted: a connection or request was let in; refused: it was not; closed: an established connection ended; dropped:
a message was not delivered, the connection continues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event.

    Args:
        time: unix seconds.
        outcome: what happened.
        reason: AWS's own word if it has one (Developer Guide, "Connection.AuthNError" and "Lifecycle events").
        detail: one line for people; never a secret.
        client_id: MQTT client id, if one is known.
        source: address of the peer.
        connection_id: identifier of the connection, as the authorizer sees it.
        transport: alpn, wss or tls, once MQTT is accepted.
        facts: how the connection came about, up to and including its acceptance; JSON values, bounded.
    """

    time: float
    outcome: Outcome
    reason: str
    detail: str
    client_id: str | None
    source: str
    connection_id: str
    transport: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the event as a JSON object; `dataclasses.asdict` would copy every value in `facts`."""
        return {
            "time": self.time,
            "outcome": self.outcome,
            "reason": self.reason,
            "detail": self.detail,
            "client_id": self.client_id,
            "source": self.source,
            "connection_id": self.connection_id,
            "transport": self.transport,
            "facts": dict(self.facts),
        }

    def line(self) -> str:
        """Return the event as one printable line."""
        who = printable(self.client_id) if self.client_id else "a client"
        return f"{self.outcome} {who} from {self.source}: {self.reason}: {printable(self.detail)}"


EventSink = Callable[[Event], None]
