"""What one connection may do: its grant, asked in the words of AWS IoT policies."""

from __future__ import annotations

from mqtt443_tools.localcore.auth.registry import Grant
from mqtt443_tools.localcore.policy.engine import Verdict


class Access:
    """The policy of one connection.

    Arguments:
        grant: what the authorizer gave; replaced at a refresh.
        arn_prefix: `arn:aws:iot:REGION:ACCOUNT`.
        client_id: None for an HTTP publish, which has none.
        source_ip: address of the peer.
        server_name: the host name that the client asked for (SNI).
    """

    def __init__(self, grant: Grant, arn_prefix: str, client_id: str | None, source_ip: str, server_name: str) -> None:
        self.grant = grant
        self._arn_prefix = arn_prefix
        self._variables = {"aws:SourceIp": source_ip, "iot:DomainName": server_name}
        if client_id is not None:
            self._variables["iot:ClientId"] = client_id

    def connect(self, client_id: str) -> Verdict:
        """Judge iot:Connect."""
        return self._judge("iot:Connect", f"client/{client_id}")

    def publish(self, topic: str, *, retain: bool) -> Verdict:
        """Judge iot:Publish, and iot:RetainPublish for a retained message."""
        verdict = self._judge("iot:Publish", f"topic/{topic}")
        if verdict.allowed and retain:
            return self._judge("iot:RetainPublish", f"topic/{topic}")
        return verdict

    def subscribe(self, topic_filter: str) -> Verdict:
        """Judge iot:Subscribe on a literal filter."""
        return self._judge("iot:Subscribe", f"topicfilter/{topic_filter}")

    def receive(self, topic: str) -> Verdict:
        """Judge iot:Receive."""
        return self._judge("iot:Receive", f"topic/{topic}")

    def _judge(self, action: str, name: str) -> Verdict:
        return self.grant.policies.evaluate(action, f"{self._arn_prefix}:{name}", self._variables)
