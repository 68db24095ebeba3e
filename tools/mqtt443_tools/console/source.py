"""The endpoint behind the console, as one interface. `feed.py` calls it from threads, because every method blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mqtt443_authorizer.device import Device

from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.localcore.seen_clients import Seen

Message = dict[str, Any]
"""As the control channel has it: `topic`, `payload` (Base64), `qos`, `retain`, `client_id` or None, `received_at`."""


@dataclass(frozen=True)
class Status:
    """The state that an endpoint reports.

    Attributes:
        online: the connected client ids.
        events: the last events, oldest first, with the fields of localcore's `Event`.
        logins: the last log lines of the authorizer as objects, oldest first.
        faults: those that are on, in the form of localcore's `Faults.listed`; None if the endpoint cannot inject any.
        updates: the last update of each device that had one lately, as `DeviceUpdates.look` returns them.
        problem: what cannot be shown at the moment and why; None if nothing is missing.
    """

    online: Sequence[str]
    events: Sequence[dict[str, Any]]
    logins: Sequence[dict[str, Any]]
    faults: Sequence[dict[str, Any]] | None = None
    updates: Sequence[dict[str, Any]] = ()
    problem: str | None = None


class Source(Protocol):
    """An endpoint; every method blocks, and may raise CommandError or AuthorizerError."""

    title: str
    """Names the endpoint on the page."""

    options: str
    """Options that make `mqtt443 device` use it, such as "--state DIR"."""

    retry_s: float
    """Seconds between the end of a `watch` and the next one."""

    @property
    def backend(self) -> DeviceBackend:
        """Its registered devices."""

    def devices(self) -> Sequence[Device]:
        """Return the registered devices."""

    def forget_devices(self) -> None:
        """Read the registered devices anew next time, as one has changed."""

    def watch(self) -> Iterator[Message]:
        """Yield every message and `{"dropped": N}`, until the endpoint stops."""

    def status(self) -> Status:
        """Return the endpoint's state."""

    @property
    def fault_meanings(self) -> Mapping[str, str]:
        """The faults that can be switched on, with descriptions; empty if the endpoint cannot inject any."""

    def switch_fault(self, client_id: str | None, fault: str | None, *, on: bool) -> None:
        """Switch a fault; see ControlClient.switch_fault."""

    def updates_of(self, client_id: str) -> list[dict[str, Any]]:
        """Return the last updates of a device, the newest first; see DeviceUpdates.of_device."""

    def seen(self) -> Mapping[str, Seen]:
        """Return when devices were seen before, by client id."""

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """Publish a message."""

    def command(self, client_id: str, payload: bytes, request_id: str, timeout_s: float) -> dict[str, Any] | None:
        """Send a command; return `{"report": ...}` or `{"refused": ...}`, None if no answer came in time."""
