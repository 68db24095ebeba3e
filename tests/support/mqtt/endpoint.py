"""A local endpoint that runs in its own thread, for tests whose clients block.

It is the real thing: the real authorizer package in its worker processes, real TLS on a free port of 127.0.0.1. The
limit of one CONNECT per second is off, because tests reconnect at once; a test of that limit turns it on.
"""

from __future__ import annotations

import asyncio
import queue
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from mqtt443_authorizer.sqlitestore import SqliteStore
from mqtt443_tools.device.registration import add_device
from mqtt443_tools.localcore.auth.account import AUTHORIZER_NAME, DEVICES_FILE, product_authorizer
from mqtt443_tools.localcore.auth.authorizer import Authorizer
from mqtt443_tools.localcore.auth.login_log import parse_login
from mqtt443_tools.localcore.auth.registry import AuthorizerRegistry
from mqtt443_tools.localcore.clock import SystemClock
from mqtt443_tools.localcore.events import Event
from mqtt443_tools.localcore.front.certificates import GOOD_LEAF, LeafSpec
from mqtt443_tools.localcore.front.server import LocalCore
from mqtt443_tools.localcore.mqtt.reserved import is_presence_filter
from mqtt443_tools.localcore.mqtt.session import Message
from mqtt443_tools.localcore.settings import Settings

from tests.support.mqtt.manual_clock import ManualClock

T = TypeVar("T")
CODE = Path(__file__).resolve().parents[3] / "authorizer"
WAIT_S = 20.0


class RunningCore:
    """A LocalCore that has started.

    Args:
        state: its state folder.
        clock: a ManualClock for tests that let time pass with `advance`.
        authorizers: instead of the product's; the first is the account's default. May be empty.
        leaf: properties of its server certificates.
        settings: fields of Settings.
    """

    def __init__(
        self,
        state: Path,
        *,
        clock: ManualClock | None = None,
        authorizers: Iterable[Authorizer] | None = None,
        leaf: LeafSpec = GOOD_LEAF,
        **settings: Any,
    ) -> None:
        self.settings = Settings(**{"state": state, "port": 0, "connect_rate_per_s": 0, **settings})
        self.host = self.settings.name
        self.state = state
        self.messages: list[Message] = []
        self.events: list[Event] = []
        self.log: list[str] = []
        self._clock = clock
        self._authorizers = authorizers
        self._leaf = leaf
        self._new_messages: queue.Queue[Message] = queue.Queue()
        self._new_events: queue.Queue[Event] = queue.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="localcore")
        self._thread.start()
        self._stopped = False
        try:
            self._core, self._registry = self._await(self._start())
        except BaseException:
            self._end_thread()
            raise
        self.port = self._core.port
        self.domain_port = self._core.domain_port
        self.ca = self._core.ca_path

    def __enter__(self) -> RunningCore:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_device(
        self,
        client_id: str,
        *,
        username: str | None = None,
        password: str | None = None,
        publish: Iterable[str] = (),
        subscribe: Iterable[str] = (),
    ) -> str:
        """Register a device; returns its password."""
        store = SqliteStore(self.state / DEVICES_FILE)
        added = add_device(
            store,
            client_id,
            username=username,
            password=password,
            publish=publish,
            subscribe=subscribe,
            now=time.time(),
        )
        return added.password

    def tls_context(self, alpn: Iterable[str] = ()) -> ssl.SSLContext:
        """A client's context that trusts this endpoint and offers `alpn`."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if names := list(alpn):
            context.set_alpn_protocols(names)
        return context

    def next_message(self, timeout_s: float = WAIT_S) -> Message:
        """The next message that was published here; raises AssertionError if none comes."""
        try:
            return self._new_messages.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"no message came; events: {self._story()}") from None

    def next_event(self, outcome: str | None = None, reason: str | None = None, *, timeout_s: float = WAIT_S) -> Event:
        """The next event with this outcome and reason; earlier ones are skipped."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                event = self._new_events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {outcome} {reason}; events: {self._story()}") from None
            if outcome in {None, event.outcome} and reason in {None, event.reason}:
                return event

    def advance(self, seconds: float) -> None:
        """Let time pass on a ManualClock."""
        clock = self._clock
        assert clock is not None
        self.run(lambda: clock.advance(seconds))

    def run(self, call: Callable[[], T]) -> T:
        """Run a function in the endpoint's thread; returns its result."""

        async def soon() -> T:
            return call()

        return self._await(soon())

    @property
    def core(self) -> LocalCore:
        """The endpoint itself; touch it in its own thread only, with `run`."""
        return self._core

    def stop(self) -> None:
        """End it, its connections and its worker processes; may be called twice."""
        if self._stopped:
            return
        self._stopped = True
        try:
            self._await(self._stop())
        finally:
            self._end_thread()

    async def _start(self) -> tuple[LocalCore, AuthorizerRegistry]:
        clock = self._clock or SystemClock(asyncio.get_running_loop())
        if self._authorizers is None:
            authorizers = [product_authorizer(self.settings, self._take_log, CODE)]
            assert authorizers[0].name == AUTHORIZER_NAME
        else:
            authorizers = list(self._authorizers)
        registry = AuthorizerRegistry(authorizers, authorizers[0].name if authorizers else None, clock)
        core = LocalCore(
            self.settings, registry, clock=clock, on_event=self._on_event, log=self.log.append, leaf=self._leaf
        )
        await core.start()
        core.broker.watch(self._take)
        return core, registry

    async def _stop(self) -> None:
        await self._core.stop()
        await self._registry.close()

    def _take_log(self, line: str) -> None:
        self.log.append(line)
        if (login := parse_login(line)) is not None:
            self._core.note_login(login)

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self._new_events.put(event)

    def _take(self, message: Message) -> None:
        if is_presence_filter(message.topic):  # every client causes such events
            return
        self.messages.append(message)
        self._new_messages.put(message)

    def _story(self) -> str:
        return "; ".join(event.line() for event in self.events) or "none"

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=WAIT_S)

    def _end_thread(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=WAIT_S)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
