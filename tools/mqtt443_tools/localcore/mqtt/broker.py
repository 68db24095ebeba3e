"""The message broker: which sessions exist, who is connected under which client id, who gets a message.

No I/O and no policy: connections come with their own judgement of what they may receive. One account, as at AWS: all
listeners share one broker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.mqtt.retained import RetainedMessages
from mqtt443_tools.localcore.mqtt.session import Message, Session
from mqtt443_tools.localcore.mqtt.subscriptions import Subscriptions
from mqtt443_tools.localcore.settings import Settings


class Connected(Protocol):
    """What the broker needs of a connection."""

    def deliver(self, message: Message, qos: int) -> None:
        """Send a message at QoS 0 or 1."""

    def end(self, reason: str, detail: str) -> None:
        """Close, with one of AWS's disconnect reasons; must call Broker.detach before it returns."""


class Broker:
    """Sessions, connections, retained messages and routing.

    Args:
        on_drop: told (client id, reason, detail) about a message that somebody does not get.
    """

    def __init__(self, settings: Settings, clock: Clock, on_drop: Callable[[str | None, str, str], None]) -> None:
        self._settings = settings
        self._clock = clock
        self._on_drop = on_drop
        self._sessions: dict[str, Session] = {}
        self._connections: dict[str, Connected] = {}
        self._expiries: dict[str, Handle] = {}
        self._watchers: list[Callable[[Message], None]] = []
        self._waiting: deque[Message] = deque()
        self._routing = False
        self.subscriptions = Subscriptions()
        self.retained = RetainedMessages(settings, clock)

    def attach(self, connection: Connected, client_id: str, *, clean: bool) -> tuple[Session, bool]:
        """Connect a client; a connection that has the client id already is cut [MQTT-3.1.4-2].

        Returns the session and whether it was there before: session present [MQTT-3.2.2-1] [MQTT-3.2.2-2].
        """
        self.disconnect(client_id, "DUPLICATE_CLIENTID", "another connection came with the same client id")
        if (expiry := self._expiries.pop(client_id, None)) is not None:
            expiry.cancel()
        session = self._sessions.get(client_id)
        present = session is not None and not clean
        if session is None or clean:  # [MQTT-3.1.2-6]: nothing of an earlier session survives
            if session is not None:
                self.subscriptions.remove_all(session)
            session = self._sessions[client_id] = Session(client_id, clean)
        self._connections[client_id] = connection
        return session, present

    def detach(self, client_id: str, will: Message | None) -> None:
        """Take a client off; a clean session ends now, another after its expiry. Then its will is published."""
        session = self._sessions[client_id]
        del self._connections[client_id]
        if session.clean:
            self._forget(client_id)
        else:
            self._expiries[client_id] = self._clock.call_later(
                self._settings.session_expiry_s, lambda: self._expire(client_id)
            )
        if will is not None:
            self.publish(will)

    def connected(self) -> list[str]:
        """Return the client ids that are connected."""
        return list(self._connections)

    def disconnect(self, client_id: str, reason: str, detail: str) -> bool:
        """End the connection of a client id; return whether there was one."""
        connection = self._connections.get(client_id)
        if connection is None:
            return False
        connection.end(reason, detail)
        return True

    def close(self, reason: str, detail: str) -> None:
        """End all connections; what waits for its time is called off."""
        for client_id in list(self._connections):
            self.disconnect(client_id, reason, detail)
        for expiry in self._expiries.values():
            expiry.cancel()
        self._expiries.clear()

    def publish(self, message: Message) -> None:
        """Route a message to retained store, watchers and subscribers.

        A delivery can end a connection, whose will is published in turn: a queue keeps that from nesting.
        """
        self._waiting.append(message)
        if self._routing:
            return
        self._routing = True
        try:
            while self._waiting:
                self._route(self._waiting.popleft())
        finally:
            self._routing = False

    def watch(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Have every published message given to `callback`; return the call that ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def _route(self, message: Message) -> None:
        if message.retain and (problem := self.retained.store(message)) is not None:
            self._on_drop(message.client_id, "THROTTLED", f"not retained: {problem}")
        for watcher in list(self._watchers):
            watcher(message)
        # A subscription that is there already gets the message with RETAIN 0 [MQTT-3.3.1-9].
        live = Message(message.topic, message.payload, message.qos, False, message.client_id, message.received_at)
        for session, granted in self.subscriptions.match(message.topic):
            self._hand_over(session, live, min(granted, message.qos))

    def _hand_over(self, session: Session, message: Message, qos: int) -> None:
        connection = self._connections.get(session.client_id)
        if connection is not None:
            connection.deliver(message, qos)
        elif qos and not session.enqueue(message, stored=True, settings=self._settings):  # QoS 0 is not stored
            self._on_drop(session.client_id, "QUEUE_FULL", "too many QoS 1 messages wait for the client")

    def _expire(self, client_id: str) -> None:
        del self._expiries[client_id]
        self._forget(client_id)

    def _forget(self, client_id: str) -> None:
        self.subscriptions.remove_all(self._sessions.pop(client_id))
