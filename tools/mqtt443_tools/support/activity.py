"""What the places where devices are registered tell of a device's connection."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Activity:
    """What is known of a device; None is unknown.

    Attributes:
        online: whether it is connected.
        last_seen: unix seconds.
        transport: alpn, wss or tls.
        version: of mqtt443 on the board.
        failures: connections that failed, as the board counts them.
    """

    online: bool | None = None
    last_seen: float | None = None
    transport: str | None = None
    version: str | None = None
    failures: int | None = None
