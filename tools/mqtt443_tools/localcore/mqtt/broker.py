"""The message broker: keeps the sessions, knows which client ids are connected, and routes messages.

No I/O and no policy: each connection decides what it may receive. As in an AWS account, all listeners share one broker.
"""

from __future__ import annotations

import dataclasses
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from mqtt443_tools.localcore.clock import Clock, Handle
from mqtt443_tools.localcore.mqtt.packets import NO_LOCAL, QOS_BITS, RETAIN_AS_PUBLISHED, Version
from mqtt443_tools.localcore.mqtt.presence import Presence
from mqtt443_tools.localcore.mqtt.reserved import is_for_devices
from mqtt443_tools.localcore.mqtt.retained import RetainedMessages
from mqtt443_tools.localcore.mqtt.session import TOO_MANY_WAIT, Message, Session
from mqtt443_tools.localcore.mqtt.shared import SharedGroup, SharedSubscriptions
from mqtt443_tools.localcore.mqtt.subscriptions import Subscriptions
from mqtt443_tools.localcore.mqtt.topics import is_shared, matches
from mqtt443_tools.localcore.mqtt.wills import DelayedWills
from mqtt443_tools.localcore.settings import Settings


class Connected(Protocol):
    """A connection, as the broker sees it."""

    def deliver(self, message: Message, qos: int) -> None:
        """Send a message at QoS 0 or 1."""

    def end(self, reason: str, detail: str) -> None:
        """Close, with one of AWS's disconnect reasons; must call Broker.detach before it returns."""


class Broker:
    """Sessions, connections, retained messages and routing.

    Args:
        choose: picks the member of a group that gets a message.
        on_drop: called with (client id, reason, detail, topic) for each message that a client does not get.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        on_drop: Callable[[str | None, str, str, str], None],
        choose: Callable[[Sequence[tuple[Session, int]]], tuple[Session, int]] = random.choice,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._on_drop = on_drop
        self._choose = choose
        self._sessions: dict[str, Session] = {}
        self._connections: dict[str, Connected] = {}
        self._expiries: dict[str, Handle] = {}
        self._watchers: list[Callable[[Message], None]] = []
        self._waiting: deque[Message] = deque()
        self._routing = False
        self._wills = DelayedWills(clock, self.publish)
        self.subscriptions: Subscriptions[Session] = Subscriptions()
        self.shared = SharedSubscriptions()
        self.retained = RetainedMessages(settings, clock)
        self.presence = Presence(clock, self.announce)

    def attach(
        self, connection: Connected, client_id: str, *, clean: bool, expiry_s: int, version: Version = 4
    ) -> tuple[Session, bool]:
        """Connect a client; another connection with the same client id is closed [MQTT-3.1.4-2].

        Args:
            connection: the new connection.
            client_id: of the client.
            clean: whether an earlier session ends now; a session of the other version always does.
            expiry_s: how long the session outlives this connection.
            version: of the client.

        Returns:
            The session, and whether it existed before: session present [MQTT-3.2.2-1] [MQTT-3.2.2-2].
        """
        self.disconnect(client_id, "DUPLICATE_CLIENTID", "another connection came with the same client id")
        if (expiry := self._expiries.pop(client_id, None)) is not None:
            expiry.cancel()
        session = self._sessions.get(client_id)
        present = session is not None and not clean and session.version == version
        if session is not None and present:
            session.expiry_s = expiry_s
            self._wills.cancel(client_id)  # [MQTT5-3.1.3-9]
        else:  # [MQTT-3.1.2-6]: nothing of an earlier session survives
            if session is not None:
                self._end_session(client_id)
            session = self._sessions[client_id] = Session(client_id, expiry_s, version)
        self._connections[client_id] = connection
        return session, present

    def detach(self, client_id: str, will: Message | None, *, will_delay_s: int = 0) -> None:
        """Disconnect a client; its session ends now or after its expiry. Its will is published now or after its delay.

        A will is published when the session ends, at the latest (MQTT 5, clause 3.1.3.2.2).
        """
        session = self._sessions[client_id]
        del self._connections[client_id]
        if will is not None:
            self._wills.delay(client_id, will, will_delay_s)
        if session.expiry_s == 0:
            self._end_session(client_id)
        else:
            self._expiries[client_id] = self._clock.call_later(session.expiry_s, lambda: self._expire(client_id))
            if not will_delay_s:
                self._wills.publish(client_id)

    def connected(self) -> list[str]:
        """Return the connected client ids."""
        return list(self._connections)

    def disconnect(self, client_id: str, reason: str, detail: str) -> bool:
        """Close the connection of a client id; return whether it had one."""
        connection = self._connections.get(client_id)
        if connection is None:
            return False
        connection.end(reason, detail)
        return True

    def close(self, reason: str, detail: str) -> None:
        """Close all connections, and cancel delayed wills and expiries."""
        for client_id in list(self._connections):
            self.disconnect(client_id, reason, detail)
        for expiry in self._expiries.values():
            expiry.cancel()
        self._expiries.clear()
        self._wills.close()

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

    def announce(self, topic: str, payload: bytes) -> None:
        """Publish a message from a service behind a reserved topic."""
        self.publish(Message(topic, payload, 1, False, None, self._clock.time()))

    def answer(self, client_id: str, topic: str, payload: bytes) -> None:
        """Send the answer of such a service only to the client that asked, subscribed or not."""
        session, connection = self._sessions.get(client_id), self._connections.get(client_id)
        if session is None or connection is None:
            return
        own = (options for topic_filter, options in session.subscriptions.items() if matches(topic_filter, topic))
        qos = max((options & QOS_BITS for options in own), default=0)
        connection.deliver(Message(topic, payload, 1, False, None, self._clock.time()), min(qos, 1))

    def subscribe(self, session: Session, topic_filter: str, options: int) -> None:
        """Subscribe a session to a valid filter, shared or not."""
        if is_shared(topic_filter):
            self.shared.add(session, topic_filter, options)
        else:
            self.subscriptions.add(session, topic_filter, options)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """Unsubscribe a session from a filter; does nothing if it is not subscribed [MQTT-3.10.4-5]."""
        (self.shared if is_shared(topic_filter) else self.subscriptions).remove(session, topic_filter)

    def send_shared(self, session: Session, filters: Iterable[str]) -> None:
        """Send the messages waiting in the groups that a newly connected session is a member of."""
        for topic_filter in filters:
            group = self.shared.groups.get(topic_filter)
            if group is not None and group.queue and session.client_id in group.members:
                for message in group.take_queue():
                    self.publish(message)

    def send_retained(self, client_id: str, topic_filter: str, qos: int) -> None:
        """Send a connected client the retained message, if any, of the topic that a filter names exactly."""
        message = self.retained.for_filter(topic_filter)
        if message is not None and (connection := self._connections.get(client_id)) is not None:
            connection.deliver(message, min(qos, message.qos))

    def watch(self, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Pass messages to `callback`, except job documents and blocks of files; return the function that ends this."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)

    def _route(self, message: Message) -> None:
        if message.shared is not None:  # routed before, to a member that left without it
            if (group := self.shared.groups.get(message.shared)) is not None:
                self._hand_to_one(group, message)
            return
        if message.retain and (problem := self.retained.store(message)) is not None:
            self._on_drop(message.client_id, "THROTTLED", f"not retained: {problem}", message.topic)
        if not is_for_devices(message.topic):
            for watcher in list(self._watchers):
                watcher(message)
        # An existing subscription gets the message with RETAIN 0 [MQTT-3.3.1-9], unless it asked otherwise.
        live = dataclasses.replace(message, retain=False) if message.retain else message
        for session, options in self.subscriptions.match(message.topic):
            if options & NO_LOCAL and session.client_id == message.client_id:
                continue  # [MQTT5-3.8.3-3]
            shown = message if options & RETAIN_AS_PUBLISHED else live
            self._hand_over(session, shown, min(options & QOS_BITS, message.qos))
        for group in self.shared.match(message.topic):
            self._hand_to_one(group, dataclasses.replace(live, shared=group.client_id))

    def _hand_over(self, session: Session, message: Message, qos: int) -> None:
        connection = self._connections.get(session.client_id)
        if connection is not None:
            connection.deliver(message, qos)
        elif qos and not session.enqueue(message, stored=True, settings=self._settings):  # QoS 0 is not stored
            self._on_drop(session.client_id, "QUEUE_FULL", f"{TOO_MANY_WAIT}, topic {message.topic}", message.topic)

    def _hand_to_one(self, group: SharedGroup, message: Message) -> None:
        """Deliver to a connected member; if there is none, a QoS 1 message waits if it may."""
        online = [member for member in group.members.values() if member[0].client_id in self._connections]
        if online:
            session, options = self._choose(online)
            self._hand_over(session, message, min(options & QOS_BITS, message.qos))
        elif message.qos and group.stores and not group.enqueue(message, self._settings):
            detail = f"too many QoS 1 messages are waiting for the members of {group.client_id}"
            self._on_drop(None, "QUEUE_FULL", detail, message.topic)

    def _expire(self, client_id: str) -> None:
        del self._expiries[client_id]
        self._end_session(client_id)

    def _end_session(self, client_id: str) -> None:
        session = self._sessions.pop(client_id)
        for topic_filter in list(session.subscriptions):
            self.unsubscribe(session, topic_filter)
        unacknowledged = [entry.message for entry in session.in_flight.values()]
        for message in (*unacknowledged, *(queued.message for queued in session.queue)):
            if message.shared is not None:
                self.publish(message)
        self._wills.publish(client_id)
