"""The state that all connections of one local endpoint share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.clock import Clock
from mqtt443_tools.localcore.events import EventSink
from mqtt443_tools.localcore.faults import Faults
from mqtt443_tools.localcore.mqtt.broker import Broker
from mqtt443_tools.localcore.mqtt.connect import Admission
from mqtt443_tools.localcore.mqtt.reserved import NoServices, ReservedServices
from mqtt443_tools.localcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Context:
    """The account behind all listeners. `log` receives lines that are not events, such as a traceback."""

    settings: Settings
    clock: Clock
    registry: AuthorizerRegistry
    admission: Admission
    broker: Broker
    on_event: EventSink
    log: Callable[[str], None]
    faults: Faults
    services: ReservedServices = field(default_factory=NoServices)
