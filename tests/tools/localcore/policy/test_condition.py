"""Conditions in policies: the few that are evaluated, and how all others fail closed."""

from __future__ import annotations

from typing import Any

import pytest
from mqtt443_tools.localcore.localcore_errors import PolicyError
from mqtt443_tools.localcore.policy.engine import PolicySet

ARN = "arn:aws:iot:eu-west-1:123456789012:client/dev"
VARIABLES = {"iot:ClientId": "dev", "aws:SourceIp": "10.1.2.3", "iot:DomainName": "iot.example.com"}


def policy(condition: Any, effect: str = "Allow") -> PolicySet:
    first = {"Effect": effect, "Action": "iot:Connect", "Resource": ARN, "Condition": condition}
    always = {"Effect": "Allow", "Action": "iot:Connect", "Resource": ARN}
    return PolicySet.from_documents(
        [{"Version": "2012-10-17", "Statement": [first] if effect == "Allow" else [first, always]}]
    )


def applies(condition: Any, variables: dict[str, str] = VARIABLES) -> bool:
    """Whether a statement with the condition applies: the same for Allow and for Deny."""
    allowed = policy(condition).evaluate("iot:Connect", ARN, variables).allowed
    denied = not policy(condition, "Deny").evaluate("iot:Connect", ARN, variables).allowed
    assert allowed is denied
    return allowed


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringEquals": {"iot:DomainName": "iot.example.com"}},
        {"StringEquals": {"iot:DomainName": ["other", "iot.example.com"]}},
        {"stringequals": {"IOT:domainname": "iot.example.com"}},
        {"StringLike": {"iot:DomainName": "*.example.com"}},
        {"StringEquals": {"iot:ClientId": "${iot:ClientId}"}},
        {"StringNotEquals": {"iot:ClientId": "*"}},
        {"StringNotLike": {"iot:ClientId": ["x*", "y*"]}},
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"IpAddress": {"aws:SourceIp": ["192.168.0.1", "10.1.2.3"]}},
        {"NotIpAddress": {"aws:SourceIp": ["192.168.0.0/16", "2001:db8::/32"]}},
        {"StringLike": {"iot:ClientId": "d*", "iot:DomainName": "iot.*"}, "IpAddress": {"aws:SourceIp": "10.1.2.3"}},
    ],
)
def test_condition_is_met(condition: Any) -> None:
    assert applies(condition)


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"iot:DomainName": "IOT.example.com"}},
        {"StringEquals": {"iot:DomainName": "*"}},
        {"StringEquals": {"iot:ClientId": []}},
        {"StringNotEquals": {"iot:ClientId": ["x", "dev"]}},
        {"StringNotLike": {"iot:ClientId": "d*"}},
        {"IpAddress": {"aws:SourceIp": "10.1.2.4/32"}},
        {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        {"StringEquals": {"iot:ClientId": "dev", "iot:DomainName": "other"}},
        {"StringEquals": {"iot:ClientId": "dev"}, "IpAddress": {"aws:SourceIp": "10.9.9.9"}},
    ],
)
def test_condition_is_not_met(condition: Any) -> None:
    assert not applies(condition)


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ({"StringEquals": {"iot:ClientId": "dev"}}, False),
        ({"StringNotEquals": {"iot:ClientId": "dev"}}, True),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
    ],
)
def test_absent_key_meets_only_negated_conditions(condition: Any, met: bool) -> None:
    assert applies(condition, {}) is met


def test_unmet_condition_is_reported() -> None:
    verdict = policy({"StringEquals": {"iot:ClientId": "x"}}).evaluate("iot:Connect", ARN, VARIABLES)
    assert verdict.explanation.endswith("; statement 1 does not apply: its condition is not met")


@pytest.mark.parametrize(
    "name",
    [
        "ForAnyValue:StringEquals on iot:ConnectAttributes",
        "ArnEquals on iot:LastWillTopic",
        "Bool on iot:Connection.Thing.IsAttached",
        "StringEqualsIfExists on iot:ClientId",
        "IpAddress on iot:ClientId",
    ],
)
def test_unsupported_condition_fails_closed_and_is_reported(name: str) -> None:
    operator, key = name.split(" on ")
    allow = policy({operator: {key: "true"}})
    verdict = allow.evaluate("iot:Connect", ARN, VARIABLES)
    assert not verdict.allowed
    assert f"statement 1 does not apply: condition {name} is not evaluated here" in verdict.explanation
    assert allow.warnings == (f"statement 1: condition {name} is not evaluated here, so its Allow does not apply",)
    deny = policy({operator: {key: "true"}}, "Deny")
    assert not deny.evaluate("iot:Connect", ARN, VARIABLES).allowed
    assert deny.warnings == (f"statement 1: condition {name} is not evaluated here, so its Deny applies without it",)


def test_unsupported_beside_an_unmet_condition_does_not_deny() -> None:
    deny = policy({"Bool": {"x": "true"}, "StringEquals": {"iot:ClientId": "other"}}, "Deny")
    assert deny.evaluate("iot:Connect", ARN, VARIABLES).allowed


@pytest.mark.parametrize(
    "condition",
    [
        [],
        {"StringEquals": "x"},
        {"StringEquals": {"iot:ClientId": 1}},
        {"StringEquals": {"iot:ClientId": ["a", None]}},
        {"StringEquals": {"iot:ClientId": "${"}},
        {"IpAddress": {"aws:SourceIp": "somewhere"}},
        {"Bo\nol": {"x": "true"}},
    ],
)
def test_broken_condition_is_refused(condition: Any) -> None:
    with pytest.raises(PolicyError, match=r"^statement 1: "):
        policy(condition)
