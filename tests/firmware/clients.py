"""A client of `mqtt443` on scripted wires: what the tests of its behaviours share."""

from collections.abc import Callable
from typing import Any

from tests.support.board import package as board  # noqa: F401 (umqtt, before mqtt443.client)

from mqtt443 import config_schema  # isort: skip
from mqtt443._host import ticks_ms  # isort: skip
from mqtt443.client import Client  # isort: skip
from mqtt443.transport import Transport  # isort: skip

from tests.firmware.fakes import Wire  # isort: skip

CONNACK = b"\x20\x02\x00\x00"
LOGIN = {"endpoint": "h", "client_id": "dev1", "username": "u", "password": "pw"}


class Opener(Transport):
    """A transport over wires, one a connection."""

    def __init__(self, *wires: Wire | Exception, check: Exception | None = None) -> None:
        self.wires = list(wires)
        self.checked: list[Any] = []
        self.refusal = check

    def open(self) -> Any:
        wire = self.wires.pop(0)
        if isinstance(wire, Exception):
            raise wire
        return wire

    def check(self, stream: Any) -> None:
        assert stream.writes, "checked before the first write, so before the handshake"
        self.checked.append(stream)
        if self.refusal:
            raise self.refusal


def settings(**changes: Any) -> Any:
    return config_schema.validate({**LOGIN, "mqtt": "3.1.1", **changes})


def connected(
    *incoming: bytes | Exception | None, ticks: Callable[[], int] = ticks_ms, **changes: Any
) -> tuple[Client, Wire]:
    wire = Wire([CONNACK, *incoming])
    client = Client(settings(**changes), Opener(wire), ticks)
    assert client.connect() is False
    wire.writes.clear()
    wire.deadlines.clear()
    return client, wire


def sent(**changes: Any) -> bytes:
    wire = Wire([CONNACK])
    Client(settings(**changes), Opener(wire)).connect()
    assert len(wire.writes) == 1
    return wire.writes[0]
