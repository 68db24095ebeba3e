"""A sender with its outbox, on a client that records what it is given."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.firmware.fakes import Ticks

from mqtt443 import errors  # isort: skip
from mqtt443.config import Config  # isort: skip
from mqtt443.outbox import Outbox  # isort: skip
from mqtt443.sender import Sender  # isort: skip


class FakeClient:
    """A client that records what it is given; `flushes` counts writes that were not empty."""

    def __init__(self) -> None:
        self.pid = 0
        self.sent: list[tuple[str, int, int]] = []
        self.taken: list[tuple[str, int, int]] = []
        self.flushes = 0
        self.on_puback: Callable[..., object] = lambda *_: None
        self.max_qos = 1
        self.receive_maximum = 65535
        self.most = 1000
        self.expiries: list[int] = []
        self.broken = False

    def next_pid(self) -> int:
        self.pid = self.pid % 65535 + 1
        return self.pid

    def fits(self, topic: bytes, payload: bytes) -> bool:
        return len(topic) + len(payload) <= self.most

    def queue_publish(self, topic: bytes, payload: bytes, pid: int, flags: int, expiry_s: int) -> None:
        assert topic == b"t"
        self.expiries.append(expiry_s)
        if self.broken:
            raise errors.ConnectionLost("lost")
        self.taken.append((payload.decode(), pid, flags))

    def flush(self) -> None:
        self.flushes += bool(self.taken)
        self.sent += self.taken
        self.taken.clear()


class Rig:
    def __init__(self, qos: int = 1, window: int = 3) -> None:
        self.ticks = Ticks()
        self.ticks.now_ms = 50_000
        self.client = FakeClient()
        self.outbox = Outbox("", 0, pytest.fail)
        self.done: list[str] = []
        self.refused: list[tuple[str, int | None]] = []
        client: Any = self.client
        self.sender = Sender(
            client,
            self.outbox,
            Config({"topic": "t", "qos": qos, "window": window, "timeout_s": 15}),
            self.on_sent,
            self.ticks,
        )

    def on_sent(self, payload: bytes, refusal: errors.PublishRefused | None) -> None:
        if refusal is None:
            self.done.append(payload.decode())
        else:
            self.refused.append((payload.decode(), refusal.code))

    def put(self, *payloads: str) -> None:
        for payload in payloads:
            self.outbox.put(payload.encode())

    def sent(self) -> list[tuple[str, int, int]]:
        sent, self.client.sent = self.client.sent, []
        return sent
