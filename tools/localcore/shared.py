"""What all connections of one local endpoint share, so that it can be passed in as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tools.localcore.admission import Admission
from tools.localcore.authorizers import AuthorizerRegistry
from tools.localcore.broker import Broker
from tools.localcore.clock import Clock
from tools.localcore.decisions import DecisionSink
from tools.localcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Shared:
    """The account behind every listener. `log` takes lines that are no decision, such as a traceback."""

    settings: Settings
    clock: Clock
    registry: AuthorizerRegistry
    admission: Admission
    broker: Broker
    decide: DecisionSink
    log: Callable[[str], None]
