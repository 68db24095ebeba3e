"""The policy of one connection: verdicts are remembered, within a bound, until the grant is replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from mqtt443_tools.localcore.auth.access import MAX_VERDICTS, Access
from mqtt443_tools.localcore.auth.authorizer import Authorizer, Grant
from mqtt443_tools.localcore.policy.engine import PolicySet, Verdict

from tests.support.aws.authorizers import REQUEST

Judge = Callable[[Access, str], Verdict]

JUDGES: list[Judge] = [Access.subscribe, Access.receive]
"""Their results are cached apart."""


class Counted:
    """Counts the evaluations of every policy while a test runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.evaluations = 0
        evaluate = PolicySet.evaluate

        def count(policies: PolicySet, action: str, resource: str, variables: Mapping[str, str]) -> Verdict:
            self.evaluations += 1
            return evaluate(policies, action, resource, variables)

        monkeypatch.setattr(PolicySet, "evaluate", count)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def grant(effect: str) -> Grant:
    statement = {"Effect": effect, "Action": "iot:*", "Resource": "*"}
    policies = PolicySet.from_documents([{"Version": "2012-10-17", "Statement": statement}])
    authorizer = Authorizer("mqtt443", None)  # type: ignore[arg-type]  # no test here asks it
    return Grant("p", policies, 300, 300, authorizer, REQUEST, 0.0, 0.0)


def access_with(given: Grant) -> Access:
    return Access(given, "arn:aws:iot:eu-west-1:123456789012", "dev-1", "127.0.0.1", "localhost")


@pytest.mark.parametrize("judge", JUDGES)
def test_policy_is_evaluated_once_for_a_topic_that_is_used_again(counted: Counted, judge: Judge) -> None:
    access = access_with(grant("Allow"))
    assert all(judge(access, "telemetry/dev-1").allowed for _ in range(1000))
    assert counted.evaluations == 1


def test_actions_on_one_topic_are_judged_apart(counted: Counted) -> None:
    access = access_with(grant("Allow"))
    access.publish("t", retain=True)
    access.receive("t")
    access.subscribe("t")
    assert counted.evaluations == 4


@pytest.mark.parametrize("judge", JUDGES)
def test_remembered_verdicts_are_bounded(counted: Counted, judge: Judge) -> None:
    access = access_with(grant("Allow"))
    for number in range(MAX_VERDICTS + 1):
        judge(access, f"topic/{number}")
    judge(access, "topic/0")
    judge(access, f"topic/{MAX_VERDICTS}")
    assert counted.evaluations == MAX_VERDICTS + 2


@pytest.mark.parametrize("judge", JUDGES)
def test_refreshed_policy_takes_effect_at_once(judge: Judge) -> None:
    access = access_with(grant("Allow"))
    assert judge(access, "t").allowed
    access.grant = grant("Deny")
    assert not judge(access, "t").allowed
