"""The activity of a device, as reported by the place where it is registered."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Activity:
    """The activity of a device; None is unknown.

    Attributes:
        online: whether it is connected.
        last_seen: unix seconds.
        transport: alpn, wss or tls.
        version: of mqtt443 on the board.
        failures: failed connections, as counted by the board.
    """

    online: bool | None = None
    last_seen: float | None = None
    transport: str | None = None
    version: str | None = None
    failures: int | None = None
