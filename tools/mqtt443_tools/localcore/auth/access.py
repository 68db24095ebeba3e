"""What one connection may do: evaluates its grant for AWS IoT policy actions."""

from __future__ import annotations

from typing import TypeVar

from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.policy.engine import Verdict

MAX_VERDICTS = 16
"""Results cached for a connection, and as many of iot:Receive: a board uses the same few topics again and again."""

K = TypeVar("K")


class Access:
    """The policy of one connection.

    A result depends only on the grant, the action and the resource, so the latest ones are cached: evaluating a policy
    costs more than the rest of a publish.

    Args:
        grant: what the authorizer granted; a refresh replaces it.
        arn_prefix: `arn:aws:iot:REGION:ACCOUNT`.
        client_id: None for an HTTP publish, which has none.
        source_ip: the address of the peer.
        server_name: the host name that the client asked for (SNI).
    """

    __slots__ = ("_arn_prefix", "_grant", "_received", "_variables", "_verdicts")

    def __init__(self, grant: Grant, arn_prefix: str, client_id: str | None, source_ip: str, server_name: str) -> None:
        self._grant = grant
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._received: dict[str, Verdict] = {}  # by topic alone: each subscriber of a message is asked
        self._arn_prefix = arn_prefix
        self._variables = {"aws:SourceIp": source_ip, "iot:DomainName": server_name}
        if client_id is not None:
            self._variables["iot:ClientId"] = client_id

    @property
    def grant(self) -> Grant:
        """The current grant of the authorizer."""
        return self._grant

    @grant.setter
    def grant(self, grant: Grant) -> None:
        self._grant = grant
        self._verdicts.clear()
        self._received.clear()

    def connect(self, client_id: str) -> Verdict:
        """Judge iot:Connect."""
        return self._judge("iot:Connect", "client/", client_id)

    def publish(self, topic: str, *, retain: bool) -> Verdict:
        """Evaluate iot:Publish, and iot:RetainPublish for a retained message."""
        verdict = self._judge("iot:Publish", "topic/", topic)
        if verdict.allowed and retain:
            return self._judge("iot:RetainPublish", "topic/", topic)
        return verdict

    def subscribe(self, topic_filter: str) -> Verdict:
        """Evaluate iot:Subscribe for a literal filter."""
        return self._judge("iot:Subscribe", "topicfilter/", topic_filter)

    def receive(self, topic: str) -> Verdict:
        """Judge iot:Receive."""
        verdict = self._received.get(topic)
        if verdict is None:
            verdict = self._evaluate("iot:Receive", "topic/", topic)
            _keep(self._received, topic, verdict)
        return verdict

    def _judge(self, action: str, kind: str, name: str) -> Verdict:
        key = (action, name)  # each action has one kind of resource
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._evaluate(action, kind, name)
            _keep(self._verdicts, key, verdict)
        return verdict

    def _evaluate(self, action: str, kind: str, name: str) -> Verdict:
        return self._grant.policies.evaluate(action, f"{self._arn_prefix}:{kind}{name}", self._variables)


def _keep(verdicts: dict[K, Verdict], key: K, verdict: Verdict) -> None:
    """Cache a verdict; the oldest makes room for it."""
    if len(verdicts) >= MAX_VERDICTS:
        del verdicts[next(iter(verdicts))]
    verdicts[key] = verdict
