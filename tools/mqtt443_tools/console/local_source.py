"""The local endpoint as a source of the console, through its control channel."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mqtt443_authorizer.device import Device

from mqtt443_tools.console.device_updates import DeviceUpdates
from mqtt443_tools.console.source import Message, Status
from mqtt443_tools.device.backends import LocalBackend
from mqtt443_tools.localcore.control.control_client import ControlClient
from mqtt443_tools.localcore.control.local_jobs import LocalJobs
from mqtt443_tools.localcore.faults import MEANING, Fault
from mqtt443_tools.localcore.seen_clients import Seen, last_seen
from mqtt443_tools.send.answers import find_answer
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.paths import STATE

ANSWER_S = 2.0


class LocalSource:
    """The endpoint that runs on a state folder; see Source.

    Args:
        state: the folder.
    """

    def __init__(self, state: Path) -> None:
        self.title = "localcore"
        self.options = "" if state == STATE else shlex.join(["--state", str(state)])
        self.backend = LocalBackend(state)
        self._state = state
        self._updates = DeviceUpdates(LocalJobs(state))

    retry_s = 1.0

    def devices(self) -> Sequence[Device]:
        """See Source."""
        return list(self.backend.store.all())

    def forget_devices(self) -> None:
        """See Source: they are read every time."""

    def watch(self) -> Iterator[Message]:
        """See Source."""
        with ControlClient(self._state) as control:
            yield from control.watch("#", None)

    def status(self) -> Status:
        """See Source."""
        with ControlClient(self._state) as control:
            online = control.clients()
        with ControlClient(self._state) as control:
            events, logins = control.events_and_logins()
        with ControlClient(self._state) as control:
            faults = control.faults()
        return Status(online, events, logins, faults, self._updates.look())

    def updates_of(self, client_id: str) -> list[dict[str, Any]]:
        """See Source."""
        return self._updates.of_device(client_id)

    @property
    def fault_meanings(self) -> dict[str, str]:
        """See Source."""
        return {fault.value: meaning for fault, meaning in MEANING.items()}

    def switch_fault(self, client_id: str | None, fault: str | None, *, on: bool) -> None:
        """See Source."""
        if fault is not None and fault not in set(Fault):
            raise UsageError(f"no fault {fault}; faults are {', '.join(Fault)}")
        with ControlClient(self._state) as control:
            control.switch_fault(client_id, None if fault is None else Fault(fault), on=on)

    def seen(self) -> dict[str, Seen]:
        """See Source."""
        return last_seen(self._state)

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        """See Source."""
        with ControlClient(self._state) as control:
            control.publish(topic, payload, topic, time.monotonic() + ANSWER_S, qos=qos, retain=retain)

    def command(self, client_id: str, payload: bytes, request_id: str, timeout_s: float) -> dict[str, Any] | None:
        """See Source."""
        with ControlClient(self._state) as control:
            messages = control.publish(f"commands/{client_id}", payload, "#", time.monotonic() + timeout_s)
            answer = find_answer(messages, client_id, request_id)
        if answer is None:
            return None
        return {"report": dict(answer.report)} if answer.refused is None else {"refused": answer.refused}
