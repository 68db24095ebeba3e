"""All subscriptions in a tree of topic levels, so that the cost of a publish depends on its matches.

For a topic of L levels, `match` visits at most 2^L nodes of the tree and in practice a few, however many sessions and
filters exist. The cost of `add` and `remove` depends on the levels of the filter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from mqtt443_tools.localcore.mqtt.packets import NO_LOCAL, QOS_BITS, RETAIN_AS_PUBLISHED
from mqtt443_tools.localcore.mqtt.topics import is_reserved


class Subscriber(Protocol):
    """A subscriber: a session, or a group of them."""

    client_id: str
    subscriptions: dict[str, int]


S = TypeVar("S", bound=Subscriber)


class _Node(Generic[S]):
    """One level of filters: its children by level name, and the subscribers of the filter that ends here."""

    __slots__ = ("children", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node[S]] = {}
        self.subscribers: dict[str, tuple[S, int]] = {}  # by client id, with the granted options


class Subscriptions(Generic[S]):
    """The subscriptions of all sessions, or of all groups.

    Attributes:
        visited: how many nodes `match` has looked at since the start, for tests of its cost.
    """

    def __init__(self) -> None:
        self.visited = 0
        self._root: _Node[S] = _Node()

    def add(self, session: S, topic_filter: str, options: int) -> None:
        """Subscribe a session to a valid filter; replaces an earlier one [MQTT-3.8.4-3].

        Args:
            session: of the subscriber.
            topic_filter: checked by the caller.
            options: subscription options with the granted QoS, as in SUBSCRIBE.
        """
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        node.subscribers[session.client_id] = (session, options)
        session.subscriptions[topic_filter] = options

    def remove(self, session: S, topic_filter: str) -> None:
        """Unsubscribe a session from a filter; does nothing if it is not subscribed [MQTT-3.10.4-5]."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return
        path = [self._root]
        levels = topic_filter.split("/")
        for level in levels:
            path.append(path[-1].children[level])
        del path[-1].subscribers[session.client_id]
        for level, parent, node in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.children or node.subscribers:
                break
            del parent.children[level]

    def remove_all(self, session: S) -> None:
        """Unsubscribe an ending session from everything."""
        for topic_filter in list(session.subscriptions):
            self.remove(session, topic_filter)

    def match(self, topic: str) -> list[tuple[S, int]]:
        """Return the sessions whose filters match a topic, each once, at its highest QoS [MQTT-3.3.5-1].

        If several filters match, No Local holds only if all have it, Retain As Published if any has it.

        `#` takes one level or more, as at AWS (Developer Guide, "MQTT"). A filter that begins with a wildcard matches
        no topic that begins with `$` [MQTT-4.7.2-1].
        """
        nodes = [node for node in self._nodes(topic) if node.subscribers]
        if len(nodes) == 1:
            return list(nodes[0].subscribers.values())
        found: dict[str, tuple[S, int]] = {}
        for node in nodes:
            for client_id, subscriber in node.subscribers.items():
                known = found.get(client_id)
                found[client_id] = subscriber if known is None else (known[0], _merged(known[1], subscriber[1]))
        return list(found.values())

    def _nodes(self, topic: str) -> Iterator[_Node[S]]:
        levels = topic.split("/")
        nodes = [self._root]
        for depth, level in enumerate(levels):
            wildcards = depth > 0 or not is_reserved(topic)
            below: list[_Node[S]] = []
            for node in nodes:
                self.visited += 1
                if wildcards and (rest := node.children.get("#")) is not None:
                    yield rest
                if (child := node.children.get(level)) is not None and level not in {"+", "#"}:
                    below.append(child)
                if wildcards and (child := node.children.get("+")) is not None:
                    below.append(child)
            nodes = below
        yield from nodes


def _merged(options: int, others: int) -> int:
    if options == others:
        return options
    qos = max(options & QOS_BITS, others & QOS_BITS)
    return qos | options & others & NO_LOCAL | (options | others) & RETAIN_AS_PUBLISHED
