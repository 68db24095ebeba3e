"""What one connection may do: evaluates its grant for AWS IoT policy actions."""

from __future__ import annotations

from mqtt443_tools.localcore.auth.authorizer import Grant
from mqtt443_tools.localcore.policy.engine import Verdict

MAX_VERDICTS = 16
"""Results cached for a connection: a board uses the same few topics again and again."""


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

    def __init__(self, grant: Grant, arn_prefix: str, client_id: str | None, source_ip: str, server_name: str) -> None:
        self._grant = grant
        self._verdicts: dict[tuple[str, str], Verdict] = {}
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
        return self._judge("iot:Receive", "topic/", topic)

    def _judge(self, action: str, kind: str, name: str) -> Verdict:
        key = (action, name)  # each action has one kind of resource
        verdict = self._verdicts.get(key)
        if verdict is None:
            resource = f"{self._arn_prefix}:{kind}{name}"
            verdict = self._grant.policies.evaluate(action, resource, self._variables)
            if len(self._verdicts) >= MAX_VERDICTS:
                del self._verdicts[next(iter(self._verdicts))]
            self._verdicts[key] = verdict
        return verdict
