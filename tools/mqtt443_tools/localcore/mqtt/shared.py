"""Shared subscriptions, `$share/NAME/FILTER`: each message goes to one member of the group, picked at random.

As at AWS (Developer Guide, "Shared subscriptions"), for both versions: only connected members are picked; if there is
none, QoS 1 messages wait as long as a member has a persistent session, and go to the next member that connects.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mqtt443_tools.localcore.mqtt.session import Message, Session
from mqtt443_tools.localcore.mqtt.subscriptions import Subscriptions
from mqtt443_tools.localcore.mqtt.topics import split_share
from mqtt443_tools.localcore.settings import Settings


@dataclass(slots=True, eq=False)
class SharedGroup:
    """The subscribers of one shared filter.

    Args:
        client_id: the whole filter, `$share/NAME/FILTER`, used as the client id in the tree of subscriptions.
    """

    client_id: str
    subscriptions: dict[str, int] = field(default_factory=dict)
    members: dict[str, tuple[Session, int]] = field(default_factory=dict)  # by client id, with the granted options
    queue: deque[Message] = field(default_factory=deque)
    queued_bytes: int = 0

    @property
    def stores(self) -> bool:
        """Return whether messages may wait, that is, whether a member has a persistent session."""
        return any(session.expiry_s for session, _ in self.members.values())

    def enqueue(self, message: Message, settings: Settings) -> bool:
        """Queue a QoS 1 message; return False if the queue is full."""
        size = self.queued_bytes + len(message.payload)
        if len(self.queue) >= settings.max_queued_messages or size > settings.max_queued_bytes:
            return False
        self.queue.append(message)
        self.queued_bytes = size
        return True

    def take_queue(self) -> deque[Message]:
        """Return the waiting messages and clear the queue."""
        taken, self.queue, self.queued_bytes = self.queue, deque(), 0
        return taken


class SharedSubscriptions:
    """All groups of the account."""

    def __init__(self) -> None:
        self.groups: dict[str, SharedGroup] = {}
        self._tree: Subscriptions[SharedGroup] = Subscriptions()

    def add(self, session: Session, topic_filter: str, options: int) -> SharedGroup:
        """Make a session a member of the group of a valid shared filter."""
        group = self.groups.get(topic_filter)
        if group is None:
            group = self.groups[topic_filter] = SharedGroup(topic_filter)
            self._tree.add(group, split_share(topic_filter)[1], 0)
        group.members[session.client_id] = session, options
        session.subscriptions[topic_filter] = options
        return group

    def remove(self, session: Session, topic_filter: str) -> None:
        """Remove a session from a group; without members, the group and its waiting messages are deleted."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return
        group = self.groups[topic_filter]
        del group.members[session.client_id]
        if not group.members:
            self._tree.remove_all(group)
            del self.groups[topic_filter]

    def match(self, topic: str) -> list[SharedGroup]:
        """Return the groups whose filters match a topic."""
        return [group for group, _ in self._tree.match(topic)] if self.groups else []
