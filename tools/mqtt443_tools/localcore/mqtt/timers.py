"""The time limits of a connection: keep alive, refresh of the policy, TTL of the grant, lifetime of a WebSocket."""

from __future__ import annotations

from collections.abc import Callable

from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.settings import Settings


def effective_keep_alive_s(asked_s: int, settings: Settings) -> int:
    """Return the keep alive that AWS applies: 0 and too long become the maximum, too short the minimum."""
    if asked_s == 0:
        return settings.keep_alive_max_s
    return min(max(asked_s, settings.keep_alive_min_s), settings.keep_alive_max_s)


class Timers:
    """The timers of one connection.

    Args:
        on_end: called with (reason, detail) when the connection must end.
        on_refresh: called when the authorizer must be asked again.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        on_end: Callable[[str, str], None],
        on_refresh: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_end = on_end
        self._on_refresh = on_refresh
        self._timers: dict[str, Handle] = {}
        self._heard_at = clock.now()
        self._keep_alive_s = 0

    def await_connect(self) -> None:
        """Begin the wait for a complete CONNECT: "a reasonable amount of time" in section 3.1, here a setting."""
        limit_s = self._settings.connect_timeout_s
        self._at("connect", limit_s, lambda: self._on_end("CONNECT_TIMEOUT", f"no CONNECT within {limit_s} s"))

    def connect_came(self) -> None:
        """End the wait for CONNECT."""
        self._cancel("connect")

    def start(self, keep_alive_s: int, grant: Grant, *, over_websocket: bool) -> None:
        """Start all timers of an established connection. `keep_alive_s` is the value that the client sent."""
        self._keep_alive_s = effective_keep_alive_s(keep_alive_s, self._settings)
        self.heard()
        self._arm_keep_alive()
        ttl_s, websocket_s = grant.disconnect_after_s, self._settings.websocket_lifetime_s
        self._at("ttl", ttl_s, lambda: self._on_end("CUSTOMAUTH_TTL_EXPIRATION", f"disconnectAfterInSeconds {ttl_s}"))
        if over_websocket:
            self._at("websocket", websocket_s, lambda: self._on_end("WEBSOCKET_TTL_EXPIRATION", f"{websocket_s} s"))
        started_at = self._clock.now()
        self._at("refresh", grant.refresh_after_s, lambda: self._first_refresh(started_at))

    def heard(self) -> None:
        """Note the arrival of a packet."""
        self._heard_at = self._clock.now()

    def refreshed(self, grant: Grant) -> None:
        """Begin the wait for the next refresh."""
        self._at("refresh", grant.refresh_after_s, self._on_refresh)

    def close(self) -> None:
        """Stop all timers."""
        for name in list(self._timers):
            self._cancel(name)

    def _first_refresh(self, started_at: float) -> None:
        """The first refresh may be late on an idle connection (Developer Guide, "How custom authentication works")."""
        late_s = self._settings.refresh_idle_lateness_s
        if late_s and self._heard_at <= started_at:
            self._at("refresh", late_s, self._on_refresh)
        else:
            self._on_refresh()

    def _arm_keep_alive(self) -> None:
        """Check again when one and a half keep alives could be over [MQTT-3.1.2-24]."""
        limit_s = 1.5 * self._keep_alive_s
        silent_s = self._clock.now() - self._heard_at
        if silent_s >= limit_s:
            self._on_end("MQTT_KEEP_ALIVE_TIMEOUT", f"no packet for {limit_s:g} s, keep alive {self._keep_alive_s} s")
        else:
            self._at("keep_alive", limit_s - silent_s, self._arm_keep_alive)

    def _at(self, name: str, delay_s: float, callback: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._clock.call_later(delay_s, callback)

    def _cancel(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()
