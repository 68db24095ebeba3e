"""The policy evaluator: Deny first, denied by default, strict about what it reads."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.localcore_errors import PolicyError
from mqtt443_tools.localcore.policy.engine import PolicySet

ARN = "arn:aws:iot:eu-west-1:123456789012:"
VARIABLES = {"iot:ClientId": "dev", "aws:SourceIp": "127.0.0.1", "iot:DomainName": "localhost"}


def statement(effect: Any, action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def document(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def policies(*statements: Any) -> PolicySet:
    return PolicySet.from_documents([document(*statements)])


def allows(policy: PolicySet, action: str, resource: str, **variables: str) -> bool:
    return policy.evaluate(action, ARN + resource, VARIABLES | variables).allowed


def test_nothing_is_allowed_by_default() -> None:
    verdict = PolicySet.from_documents([document()]).evaluate("iot:Connect", ARN + "client/dev", VARIABLES)
    assert not verdict.allowed
    assert verdict.explanation == f"no statement allows iot:Connect on {ARN}client/dev"


def test_deny_beats_allow_wherever_it_stands() -> None:
    allow, deny = statement("Allow", "iot:*", "*"), statement("Deny", "iot:Publish", ARN + "topic/secret/*")
    for policy in (policies(allow, deny), policies(deny, allow)):
        assert allows(policy, "iot:Publish", "topic/open")
        assert not allows(policy, "iot:Publish", "topic/secret/x")
    across = PolicySet.from_documents([document(allow), document(deny)])
    verdict = across.evaluate("iot:Publish", ARN + "topic/secret/x", VARIABLES)
    assert verdict.explanation == f"document 2, statement 1 denies iot:Publish on {ARN}topic/secret/x"


def test_allowed_verdict_names_the_statement() -> None:
    policy = policies(statement("Deny", "iot:Publish", "*"), statement("Allow", "iot:Connect", ARN + "client/dev"))
    verdict = policy.evaluate("iot:Connect", ARN + "client/dev", VARIABLES)
    assert verdict.allowed
    assert verdict.explanation == f"statement 2 allows iot:Connect on {ARN}client/dev"


def test_single_statement_needs_no_list() -> None:
    policy = PolicySet.from_documents(
        [{"Version": "2012-10-17", "Id": "x", "Statement": statement("Allow", ["iot:Connect"], ["*"], Sid="a")}]
    )
    assert allows(policy, "iot:Connect", "client/dev")


@pytest.mark.parametrize(
    "action", ["*", "iot:*", "iot:Pub*", "IOT:publish", "iot:Publis?", ["iot:Connect", "iot:Publish"]]
)
def test_action_patterns_ignore_case(action: Any) -> None:
    assert allows(policies(statement("Allow", action, "*")), "iot:Publish", "topic/x")


@pytest.mark.parametrize("action", ["iot:Sub*", "iot:Publishe", "iot:RetainPublish", "s3:*"])
def test_other_actions_do_not_match(action: str) -> None:
    assert not allows(policies(statement("Allow", action, "*")), "iot:Publish", "topic/x")


def test_resources_mind_case() -> None:
    assert not allows(policies(statement("Allow", "*", ARN + "client/Dev")), "iot:Connect", "client/dev")


def test_mqtt_wildcards_are_literal() -> None:
    by_plus = policies(statement("Allow", "iot:Subscribe", ARN + "topicfilter/a/+/b"))
    by_star = policies(statement("Allow", "iot:Subscribe", ARN + "topicfilter/a/*/b"))
    for policy in (by_plus, by_star):
        assert allows(policy, "iot:Subscribe", "topicfilter/a/+/b")
    assert not allows(by_plus, "iot:Subscribe", "topicfilter/a/x/b")


def test_deny_on_a_topicfilter_does_not_stop_a_wider_filter() -> None:
    policy = policies(
        statement("Allow", "iot:Subscribe", "*"), statement("Deny", "iot:Subscribe", ARN + "topicfilter/a/secret/*")
    )
    assert allows(policy, "iot:Subscribe", "topicfilter/a/#")
    assert not allows(policy, "iot:Subscribe", "topicfilter/a/secret/x")


def test_variables_take_the_request_values() -> None:
    policy = policies(
        statement("Allow", "iot:Publish", ARN + "topic/${iot:ClientId}/${aws:SourceIp}/${iot:domainname}")
    )
    assert allows(policy, "iot:Publish", "topic/dev/127.0.0.1/localhost")
    assert not allows(policy, "iot:Publish", "topic/dev/127.0.0.1/localhost", **{"iot:ClientId": "*"})


def test_client_id_that_is_a_plus_opens_a_filter_as_aws_warns() -> None:
    policy = policies(statement("Allow", "iot:Subscribe", ARN + "topicfilter/my/${iot:ClientId}/topic"))
    assert allows(policy, "iot:Subscribe", "topicfilter/my/+/topic", **{"iot:ClientId": "+"})


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_statement_with_a_variable_without_value_does_not_apply(effect: str) -> None:
    policy = policies(
        statement("Allow", "iot:Publish", ARN + "topic/x"),
        statement(
            effect, ["iot:Connect", "iot:Publish"], [ARN + "topic/x", ARN + "client/${iot:Connection.Thing.ThingName}"]
        ),
    )
    assert allows(policy, "iot:Publish", "topic/x")
    verdict = policy.evaluate("iot:Connect", ARN + "client/dev", VARIABLES)
    assert not verdict.allowed
    assert ("${iot:connection.thing.thingname} has no value" in verdict.explanation) is (effect == "Allow")
    assert policy.warnings == (
        "statement 2: variable ${iot:connection.thing.thingname} has no value here, so the statement does not apply",
    )


def test_http_publish_has_no_client_id() -> None:
    policy = policies(statement("Allow", "iot:Publish", ARN + "topic/${iot:ClientId}"))
    verdict = policy.evaluate("iot:Publish", ARN + "topic/", {"aws:SourceIp": "127.0.0.1"})
    assert not verdict.allowed
    assert "${iot:clientid} has no value" in verdict.explanation
    assert policy.warnings == ()


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("text", "policy document must be an object"),
        ({"Statement": []}, "Version must be"),
        ({"Version": "2008-10-17", "Statement": []}, "Version must be"),
        ({"Version": "2012-10-17"}, "Statement is missing"),
        ({"Version": "2012-10-17", "Statement": [], "Extra": 1}, "only Version, Id, Statement"),
        (document("text"), "statement 1 must be an object"),
        (document(statement("Allow", "iot:*", "*"), statement("allow", "iot:*", "*")), "statement 2: Effect"),
        (document(statement([], "iot:*", "*")), "Effect must be"),
        (document(statement("Allow", [], "*")), "Action must be a string"),
        (document(statement("Allow", "", "*")), "Action must be a string"),
        (document(statement("Allow", ["iot:*", 1], "*")), "Action must be a string"),
        (document(statement("Allow", "Publish", "*")), "every Action must be"),
        (document(statement("Allow", "iot:${x}", "*")), "every Action must be"),
        (document(statement("Allow", "iot:*", "topic/x")), "every Resource must be"),
        (document(statement("Allow", "iot:*", ARN + "topic/${x")), "statement 1: a policy variable"),
        (document(statement("Allow", "iot:*", "*", Sid=1)), "Sid must be"),
        (document(statement("Allow", "iot:*", "*", Principal="*")), "only Sid, Effect"),
        (document({"Effect": "Allow", "NotAction": "iot:*", "Resource": "*"}), "only Sid, Effect"),
        (document({"Effect": "Allow", "Action": "iot:*", "NotResource": "*"}), "only Sid, Effect"),
        (document({"Effect": "Allow", "Action": "iot:*"}), "Resource must be a string"),
    ],
)
def test_broken_document_is_refused_with_its_rule(broken: object, rule: str) -> None:
    with pytest.raises(PolicyError, match=rule.replace("(", r"\(")):
        PolicySet.from_documents([broken])


def test_message_about_one_of_several_documents_names_it() -> None:
    with pytest.raises(PolicyError, match=r"^document 2, statement 1: Effect must be"):
        PolicySet.from_documents([document(), document(statement("No", "iot:*", "*"))])


ACTIONS = ["iot:Connect", "iot:Publish", "iot:Subscribe"]
RESOURCES = ["client/dev", "topic/a", "topic/a/b", "topicfilter/a/+"]
RULES = st.tuples(
    st.sampled_from(["Allow", "Deny"]),
    st.lists(st.sampled_from([*ACTIONS, "iot:*", "*", "iot:*ub*"]), min_size=1, max_size=2),
    st.lists(
        st.sampled_from(["*", *(ARN + end for end in [*RESOURCES, "topic/*", "topic/?", "*/a*"])]),
        min_size=1,
        max_size=2,
    ),
)


@settings(deadline=None)
@given(documents=st.lists(st.lists(RULES, max_size=4), max_size=3))
def test_agrees_with_a_plain_reference(documents: list[list[tuple[str, list[str], list[str]]]]) -> None:
    policy = PolicySet.from_documents([document(*(statement(*rule) for rule in rules)) for rules in documents])
    for action in ACTIONS:
        for resource in (ARN + end for end in RESOURCES):
            effects = {
                effect
                for rules in documents
                for effect, actions, resources in rules
                if any(fnmatchcase(action, pattern) for pattern in actions)
                and any(fnmatchcase(resource, pattern) for pattern in resources)
            }
            assert policy.evaluate(action, resource, VARIABLES).allowed is (effects == {"Allow"})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["Allow", "iot:Publish", "*", ARN + "${"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition", "x"]), inner
        )
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(JSON, JSON)
def test_any_json_is_a_policy_or_refused(whole: object, part: object) -> None:
    for candidate in (whole, {"Version": "2012-10-17", "Statement": part}, document(statement("Allow", part, whole))):
        try:
            policy = PolicySet.from_documents([candidate])
        except PolicyError as error:
            assert "\n" not in str(error)
        else:
            assert isinstance(policy.evaluate("iot:Publish", ARN + "topic/x", {}).allowed, bool)
