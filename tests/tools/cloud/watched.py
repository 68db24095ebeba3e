"""A deployed stack and its devices: moto plays the account, the local endpoint the data plane.

The official SDK reaches the endpoint with the caller's credentials, and the endpoint publishes the lifecycle events.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.console.aws_source import AwsSource
from mqtt443_tools.console.lifecycle_events import FILTERS
from mqtt443_tools.watch.aws_messages import AwsWatcher
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.aws.account import STACK, Cloud
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.cloud.test_watch import watcher

WAIT_S = 20.0


class Watched:
    """A source whose messages a thread takes, as the console's feed does."""

    def __init__(self, cloud: Cloud, core: RunningCore) -> None:
        self.messages: list[dict[str, Any]] = []
        self.cloud, self.core = cloud, core
        self.backend = AwsBackend(cloud.aws, STACK, cloud.state)
        self.source = AwsSource(cloud.aws, self.backend, STACK, "#", options=["--stack", STACK], connect=self.connect)
        self._watcher: AwsWatcher | None = None
        self._thread = threading.Thread(target=self._take)

    def start(self) -> None:
        """Take messages, from the moment on when all is subscribed to."""
        self.take()
        self.until_subscribed()

    def until_subscribed(self) -> None:
        """Wait until messages and lifecycle events are subscribed to."""
        self.until(lambda: self.core.run(lambda: len(self.subscriptions())) == len(FILTERS) + 1, "the subscriptions")

    def take(self) -> None:
        """Begin to take messages."""
        self._thread.start()

    def subscriptions(self) -> set[str]:
        """Return the filters; in the endpoint's thread only."""
        sessions = self.core.core.broker._sessions.values()
        return {each for session in sessions for each in session.subscriptions}

    def until(self, condition: Callable[[], object], wanted: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"{wanted}; status {self.source.status()}, messages {self.messages}"
            time.sleep(0.05)

    def end(self) -> None:
        """End the messages, whoever takes them."""
        if self._watcher is not None:
            self._watcher._closed = True
        if self._thread.is_alive():
            self._thread.join(WAIT_S)

    def connect(self) -> AwsWatcher:
        self._watcher = watcher(self.core)
        return self._watcher

    def _take(self) -> None:
        self.messages.extend(self.source.watch())


def log_lines(cloud: Cloud, *lines: dict[str, Any]) -> None:
    at_ms = int(time.time() * 1000)
    events = [{"timestamp": at_ms, "message": json.dumps(line)} for line in lines]
    cloud.answers.on("logs", "filter_log_events", {"events": events})


@contextmanager
def connected(core: RunningCore, client_id: str) -> Iterator[None]:
    """A client that is connected while the block runs."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
    client.tls_set_context(core.tls_context(["mqtt"]))
    client.username_pw_set(client_id, "any")
    client.connect(core.host, core.port)
    client.loop_start()
    try:
        core.next_event("accepted", "CONNECTED")
        yield
    finally:
        client.disconnect()
        client.loop_stop()
