"""Delayed wills: an MQTT 5 client may ask for a delay, so that short breaks go unannounced (clause 3.1.3.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.mqtt.session import Message


class DelayedWills:
    """The pending wills of disconnected clients, at most one for each client id.

    Args:
        publish: called with each will that is due.
    """

    def __init__(self, clock: Clock, publish: Callable[[Message], None]) -> None:
        self._clock = clock
        self._publish = publish
        self._waiting: dict[str, tuple[Message, Handle]] = {}

    def delay(self, client_id: str, will: Message, delay_s: int) -> None:
        """Publish a will after a delay."""
        self.cancel(client_id)
        self._waiting[client_id] = will, self._clock.call_later(delay_s, lambda: self.publish(client_id))

    def cancel(self, client_id: str) -> Message | None:
        """Cancel a client's will and return it."""
        will, timer = self._waiting.pop(client_id, (None, None))
        if timer is not None:
            timer.cancel()
        return will

    def publish(self, client_id: str) -> None:
        """Publish a client's pending will now, if it has one."""
        will = self.cancel(client_id)
        if will is not None:
            now = self._clock.time()
            life_s = None if will.expires_at is None else will.expires_at - will.received_at
            self._publish(replace(will, received_at=now, expires_at=None if life_s is None else now + life_s))

    def close(self) -> None:
        """Cancel all wills."""
        for client_id in list(self._waiting):
            self.cancel(client_id)
