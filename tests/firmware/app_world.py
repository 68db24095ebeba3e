"""A board in which time passes only where it waits, for tests of `mqtt443.app`."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.board import package as board  # noqa: F401 (umqtt, before mqtt443.client)

from mqtt443 import config_schema, errors, network, power  # isort: skip
from mqtt443.app import App, Uptime  # isort: skip
from mqtt443.outbox import Outbox  # isort: skip

from tests.firmware.fakes import Ticks  # isort: skip


class World:
    """A board in which time passes only where it waits: a client by script, and a record of everything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: int, **changes: Any) -> None:
        self.ticks = Ticks()
        self.end_ms = seconds * 1000
        self.events: list[tuple[int, str]] = []
        self.lines: list[str] = []
        self.connects: list[Exception | None] = []
        self.publishes: list[BaseException | int | None] = []
        self.waits: list[BaseException | None] = []
        self.reserves: list[BaseException | None] = []
        self.clock_ok: list[bool | str | None] = []
        self.failures: list[int] = []
        self.prepares: list[Exception | None] = []
        self.subscribes: list[Exception | None] = []
        self.incoming: list[tuple[int, bytes]] = []
        self.session = False
        self.deaf = False
        self.seq = 0
        self.discarded = 0
        self.pid = 0
        self.pids: list[int] = []
        self.published: list[str] = []
        self.links: list[dict[str, Any]] = []
        self.fed: list[int] = []
        self.pinged = False
        self.retained = False
        self.restored: dict[str, int] = {}
        self.cause: str | None = None
        self.root = ""
        self.max_bytes = 4096
        self.handlers: dict[str, Callable[[dict[str, Any]], object]] = {}
        self.notice = ""
        self.max_qos = 1
        self.receive_maximum = 65535
        self.too_large: set[bytes] = set()
        self.expiries: list[int] = []
        self.refusals: dict[int, errors.PublishRefused] = {}
        self.transport = SimpleNamespace(name="alpn")
        self.endings: list[tuple[Any, ...]] = []
        monkeypatch.setattr(power, "reset", lambda *args: self.endings.append(("reset", *args)))
        monkeypatch.setattr(power, "deep_sleep", lambda *args: self.endings.append(("sleep", *args)))
        self.boots_marked = 0
        monkeypatch.setattr(power, "mark_boot_ok", self.note_health)
        monkeypatch.setattr(network, "up", self.prepare)
        changes = {"commands": False, **changes}
        self.config = config_schema.validate({"endpoint": "h", "client_id": "d", "password": "hunter2", **changes})

    def note_health(self) -> None:
        self.boots_marked += 1

    def note(self, what: str) -> None:
        self.events.append((self.ticks.now_ms, what))

    def when(self, what: str) -> list[int]:
        return [at for at, name in self.events if name == what]

    # a Client

    on_puback: Callable[[int, errors.PublishRefused | None], object]
    link: Callable[[], dict[str, Any]]

    def set_callback(self, callback: Callable[[bytes, bytes], None]) -> None:
        self.callback = callback

    def connect(self) -> bool:
        self.note("connect")
        self.ticks.now_ms += 100
        if self.connects and (error := self.connects.pop(0)):
            raise error
        self.pids.clear()
        return self.session

    def subscribe(self, topic: str, qos: int) -> None:
        assert (topic, qos) == ("commands/d", 1)
        self.note("subscribe")
        if self.subscribes and (error := self.subscribes.pop(0)):
            raise error

    def next_pid(self) -> int:
        self.pid += 1
        return self.pid

    def fits(self, _: bytes, payload: bytes) -> bool:
        return payload not in self.too_large

    def queue_publish(self, topic: bytes, payload: bytes, pid: int, flags: int, expiry_s: int) -> None:
        self.expiries.append(expiry_s)
        assert topic.decode() == self.config.topic
        assert flags in (0, 8 if self.session else 0)
        json.loads(payload)
        self.published.append(payload.decode())
        self.pids.append(pid)
        self.note("publish")
        outcome = self.publishes.pop(0) if self.publishes else None
        if isinstance(outcome, BaseException):
            raise outcome
        self.ticks.now_ms += outcome or 0

    def reserve(self, size: int) -> None:
        assert size > len(self.config.topic)
        if self.reserves and (error := self.reserves.pop(0)):
            raise error

    def flush(self) -> None:
        pass

    def keep_alive(self) -> int:
        return 60000

    def wait(self, ms: int) -> bool:
        assert 0 <= ms <= 1000
        if self.waits and (error := self.waits.pop(0)):
            raise error
        if self.incoming and self.incoming[0][0] <= self.ticks.now_ms:
            self.callback(b"commands/d", self.incoming.pop(0)[1])
            return True
        if self.pids and not self.deaf:
            pid = self.pids.pop(0)
            self.on_puback(pid, self.refusals.pop(pid, None))
            return True
        self.ticks.now_ms += ms
        return False

    def close(self) -> None:
        self.note("close")

    @property
    def packets(self) -> "World":
        return self

    def discard_output(self) -> None:
        self.note("discard")

    def disconnect(self) -> None:
        self.note("disconnect")

    # the rest

    def prepare(self, app: App, sync: bool) -> None:
        self.note("prepare")
        self.failures.append(app.failures)
        self.clock_ok.append(app.clock_ok if sync else "not set")
        if self.prepares and (error := self.prepares.pop(0)):
            raise error

    def payload(self, failure: str | None = None) -> bytes:
        self.seq += 1
        self.note("reading")
        self.links.append(self.link())
        return json.dumps({"seq": self.seq, **({"errors": failure} if failure else {})}).encode()

    def sleep_ms(self, ms: int) -> None:
        assert 0 < ms <= 1000
        self.ticks.now_ms += ms

    def stop(self) -> bool:
        return self.ticks.now_ms >= self.end_ms

    def run(self) -> "World":
        parts: Any = self  # its own client and readings
        self.app = App(
            self.config,
            parts,
            Outbox("", 0, self.lines.append),
            parts,
            Uptime(lambda line: self.lines.append(line[12:]), self.ticks),
            handlers=self.handlers,
            root=self.root,
            cause=self.cause,
            restored=self.restored,
            stop=self.stop,
            feed=lambda: self.fed.append(self.ticks.now_ms),
            ticks=self.ticks,
            sleep=self.sleep_ms,
            random=lambda limit: limit - 1,
        )
        self.app.run()
        return self


LOST = errors.ConnectionLost("connection lost (ECONNRESET)")
CLOSED = errors.ConnectionLost("the server closed the connection", closed=True)
