"""Faults that the endpoint injects on purpose, to test a device against a bad network and a bad cloud.

A fault is switched on for one client id and stays on until it is switched off, except `wrong-certificate`, which serves
one handshake. Code that can inject a fault asks `Faults.hits`; while no fault is on, `active` is False, and asking
costs next to nothing. Each time a fault acts, an event with the reason FAULT_INJECTED reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.localcore_errors import FaultError

FAULT_INJECTED = "FAULT_INJECTED"
MAX_CLIENTS = 1000
THROTTLE_S = 5.0


class Fault(StrEnum):
    """The faults that a client can suffer."""

    DROP = "drop"
    STALL = "stall"
    REFUSE = "refuse"
    CLOSE_AFTER_CONNACK = "close-after-connack"
    LOSE_PUBACKS = "lose-pubacks"
    EXPIRE_SESSION = "expire-session"
    THROTTLE = "throttle"
    WRONG_CERTIFICATE = "wrong-certificate"


MEANING = {
    Fault.DROP: "cut the connection at every PUBLISH of the device",
    Fault.STALL: "hold back all bytes in both directions; they continue when the fault is switched off",
    Fault.REFUSE: "refuse every CONNECT",
    Fault.CLOSE_AFTER_CONNACK: "close the connection right after CONNACK",
    Fault.LOSE_PUBACKS: "accept publishes, but send no PUBACK",
    Fault.EXPIRE_SESSION: "start every connection with a new session, as if the old one had expired",
    Fault.THROTTLE: f"let one PUBLISH through in {THROTTLE_S:g} s and discard the others, as AWS does over its quota",
    Fault.WRONG_CERTIFICATE: "show a certificate of an unknown CA in the next handshake from the device's address",
}
RECONNECTS = {Fault.REFUSE, Fault.CLOSE_AFTER_CONNACK, Fault.EXPIRE_SESSION, Fault.WRONG_CERTIFICATE}
"""Faults that act on a new connection, so an established one must end first."""


@dataclass(slots=True)
class _On:
    address: str | None
    hits: int = 0
    passed_at: float = float("-inf")


class Faults:
    """The faults that are on.

    Args:
        clock: the source of time.

    Attributes:
        active: whether any fault is on.
    """

    def __init__(self, clock: Clock) -> None:
        self.active = False
        self._clock = clock
        self._on: dict[str, dict[Fault, _On]] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def switch_on(self, client_id: str, fault: Fault, address: str | None = None) -> None:
        """Switch a fault on; does nothing if it is already on.

        Args:
            client_id: the client that suffers it.
            fault: the fault to inject.
            address: where the client connects from, for `wrong-certificate`; None: any address.

        Raises:
            FaultError: too many clients have faults.
        """
        if client_id not in self._on and len(self._on) >= MAX_CLIENTS:
            raise FaultError(f"{MAX_CLIENTS} clients have faults; switch some off with: mqtt443 local fault --off")
        self._on.setdefault(client_id, {}).setdefault(fault, _On(address))
        self.active = True

    def switch_off(self, client_id: str | None = None, fault: Fault | None = None) -> None:
        """Switch faults off: one of a client, all of a client, or (without a client id) all."""
        for each in [client_id] if client_id is not None else list(self._on):
            on = self._on.get(each, {})
            for kind in [fault] if fault is not None else list(on):
                on.pop(kind, None)
            if not on:
                self._on.pop(each, None)
            if Fault.STALL not in on:
                for resume in self._waiting.pop(each, []):
                    resume()
        self.active = bool(self._on)

    def hits(self, client_id: str | None, fault: Fault) -> bool:
        """Return whether a client suffers a fault now, and count it."""
        found = self._on.get(client_id or "", {}).get(fault) if self.active else None
        if found is None:
            return False
        if fault is Fault.THROTTLE:
            now = self._clock.now()
            if now - found.passed_at >= THROTTLE_S:
                found.passed_at = now
                return False
        found.hits += 1
        return True

    def wrong_certificate_for(self, address: str) -> str | None:
        """Return the client id whose `wrong-certificate` applies to an address's handshake; switch it off."""
        for client_id, on in self._on.items():
            found = on.get(Fault.WRONG_CERTIFICATE)
            if found is not None and found.address in {None, address}:
                self.switch_off(client_id, Fault.WRONG_CERTIFICATE)
                return client_id
        return None

    def when_resumed(self, client_id: str, resume: Callable[[], None]) -> None:
        """Call `resume` once the client's `stall` is switched off."""
        self._waiting.setdefault(client_id, []).append(resume)

    def forget(self, client_id: str, resume: Callable[[], None]) -> None:
        """Undo a `when_resumed`; harmless if it was called."""
        waiting = self._waiting.get(client_id, [])
        if resume in waiting:
            waiting.remove(resume)
            if not waiting:
                del self._waiting[client_id]

    def listed(self) -> list[dict[str, Any]]:
        """Return the faults that are on: `client_id`, `fault`, and `hits`, how often it has acted."""
        return [
            {"client_id": client_id, "fault": fault.value, "hits": each.hits}
            for client_id, on in self._on.items()
            for fault, each in on.items()
        ]


def explained(fault: Fault, detail: str) -> str:
    """Return the line that explains a fault in an event."""
    return f"{fault.value}: {detail}; a fault that was switched on"
