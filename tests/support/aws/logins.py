"""Devices, recorded events and an authorizer with its seams in hand, for tests of whatever logs in."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mqtt443_authorizer.device import Device
from mqtt443_authorizer.handler import Authorizer
from mqtt443_authorizer.memorystore import MemoryStore
from mqtt443_authorizer.policy import Template
from mqtt443_authorizer.secret import SCRYPT, SHA256, make_secret

EVENTS = Path(__file__).parents[2] / "authorizer" / "events"
CONTEXT = SimpleNamespace(invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:mqtt443")
IOT_ARN = "arn:aws:iot:eu-west-1:123456789012"

GENERATED = make_secret(SHA256, b"p@ss", bytes(range(16)), 1_700_000_000)
CHOSEN = make_secret(SCRYPT, b"p@ss", bytes(range(16)), 1_700_000_000)
OTHER_GENERATED = make_secret(SHA256, b"another", bytes(range(16, 32)), 1_600_000_000)
OTHER_CHOSEN = make_secret(SCRYPT, b"another", bytes(range(16, 32)), 1_600_000_000)


def device(client_id: str = "sensor-1", username: str = "dev1", **fields: Any) -> Device:
    """A device whose generated secret is `p@ss`, which the recorded events use."""
    return Device(client_id, username, **{"secrets": (GENERATED,), "created_at": 1_700_000_000, **fields})


def event(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


class Desk:
    """An Authorizer over the given devices, with the lines it logged."""

    def __init__(
        self, *devices: Device, store: Any = None, template: Template | None = None, now: float = 1_700_000_100
    ) -> None:
        self.lines: list[dict[str, Any]] = []
        self._times = iter(range(1_000_000))
        self._authorizer = Authorizer(
            store or MemoryStore(devices),
            template or Template.load(),
            refresh_s=600,
            disconnect_s=7200,
            clock=lambda: next(self._times) / 1000,
            log=self.lines.append,
            now=lambda: now,
        )

    def decide(self, event: object, context: object = CONTEXT) -> dict[str, Any]:
        return self._authorizer.decide(event, context)

    @property
    def reason(self) -> str:
        return str(self.lines[-1]["reason"])
