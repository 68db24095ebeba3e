"""What AWS says, step by step, on answers that fit AWS's own service model; the endpoint is the local one."""

import json
from typing import Any

import pytest
from mqtt443 import config_schema
from mqtt443_tools.cloud.aws import Aws
from mqtt443_tools.support.errors import CommandError, UsageError

from tests.support.aws.stubs import ACCOUNT, ENVIRONMENT, REGION, Answers, Refuse
from tests.support.mqtt.endpoint import RunningCore
from tests.tools.check.conftest import PASSWORD, Walk, Way

ARN = f"arn:aws:iot:{REGION}:{ACCOUNT}"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:mine"
AUTHORIZER = {
    "authorizerName": "mine",
    "authorizerArn": f"{ARN}:authorizer/mine",
    "authorizerFunctionArn": FUNCTION,
    "status": "ACTIVE",
}
MISSING = Refuse("ResourceNotFoundException", "not found", 404)
INACTIVE = {"authorizerDescription": {**AUTHORIZER, "status": "INACTIVE"}}
S3, OTHER = {"Service": "s3.amazonaws.com"}, {"ArnLike": {"AWS:SourceArn": "x"}}
STEPS = ["AWS endpoint", "AWS authorizer", "AWS permission", "AWS test call", "AWS policy"]


def policy_of_lambda(**changes: Any) -> dict[str, str]:
    condition = {"ArnLike": {"AWS:SourceArn": f"{ARN}:authorizer/mine"}}
    statement = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Condition": condition}
    return {"Policy": json.dumps({"Statement": [{**statement, "Action": "lambda:InvokeFunction", **changes}]})}


def invocation(*allowed: tuple[str, str]) -> dict[str, Any]:
    statements = [{"Effect": "Allow", "Action": action, "Resource": f"{ARN}:{name}"} for action, name in allowed]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return {"isAuthenticated": True, "principalId": "b1", "policyDocuments": [document]}


CONNECT, PUBLISH = ("iot:Connect", "client/b1"), ("iot:Publish", "topic/telemetry/b1")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    answers = Answers(is_alone=True)
    answers.on("sts", "get_caller_identity", {"Account": ACCOUNT})
    answers.on("iot", "describe_endpoint", {"endpointAddress": "localhost"})
    answers.on("iot", "describe_default_authorizer", {"authorizerDescription": AUTHORIZER})
    answers.on("iot", "describe_authorizer", {"authorizerDescription": AUTHORIZER})
    answers.on("lambda", "get_policy", policy_of_lambda())
    answers.on("iot", "test_invoke_authorizer", invocation(CONNECT, PUBLISH))
    return answers


@pytest.fixture
def walk(way: Way, core: RunningCore, answers: Answers) -> Walk:
    def walk(**keys: Any) -> str | None:
        return way.to(core, **keys).walk(aws=lambda _: Aws(answers.session))

    return walk


def test_all_is_well(walk: Walk, way: Way, answers: Answers) -> None:
    assert walk() is None
    assert [step.name for step in way.steps][-7:] == [*STEPS, "CONNECT", "publish"]
    [call] = answers.of("test_invoke_authorizer")
    assert call.parameters["mqttContext"] == {"clientId": "b1", "username": "user", "password": PASSWORD.encode()}


@pytest.mark.parametrize(
    ("service", "operation", "answer", "step", "code"),
    [
        ("iot", "describe_default_authorizer", MISSING, 1, "no_default_authorizer"),
        ("iot", "describe_authorizer", MISSING, 1, "no_such_authorizer"),
        ("iot", "describe_authorizer", INACTIVE, 1, "authorizer_inactive"),
        ("lambda", "get_policy", MISSING, 2, "authorizer_not_invokable"),
        ("lambda", "get_policy", policy_of_lambda(Principal=S3), 2, "authorizer_not_invokable"),
        ("lambda", "get_policy", policy_of_lambda(Effect="Deny"), 2, "authorizer_not_invokable"),
        ("lambda", "get_policy", policy_of_lambda(Condition=OTHER), 2, "authorizer_not_invokable"),
        ("iot", "test_invoke_authorizer", Refuse("InvalidResponseException", "no"), 3, "authorizer_crashes"),
        ("iot", "test_invoke_authorizer", {"isAuthenticated": False}, 3, "not_authenticated"),
        ("iot", "test_invoke_authorizer", invocation(PUBLISH), 4, "connect_not_allowed"),
        ("iot", "test_invoke_authorizer", invocation(CONNECT), 4, "topic_not_allowed"),
    ],
)  # fmt: skip
def test_broken_part_of_aws_is_named(
    walk: Walk,
    way: Way,
    answers: Answers,
    service: str,
    operation: str,
    answer: dict[str, Any] | Refuse,
    step: int,
    code: str,
) -> None:
    answers.on(service, operation, answer)
    assert walk() == code
    assert way.first_failed() == STEPS[step]
    assert [each.name for each in way.steps if each.name in STEPS] == STEPS[: step + 1]
    assert way.step("CONNECT").status == "ok"  # whatever AWS says, the board's own steps are tried


def test_endpoint_of_another_account(walk: Walk, way: Way, answers: Answers) -> None:
    answers.on("iot", "describe_endpoint", {"endpointAddress": "x-ats.iot.eu-west-1.amazonaws.com"})
    answers.on("iot", "list_domain_configurations", {"domainConfigurations": []})
    assert walk() == "wrong_endpoint"
    assert "--profile" in way.step("AWS endpoint").detail


def test_domain_configuration_has_its_own_default(walk: Walk, way: Way, answers: Answers) -> None:
    answers.on("iot", "describe_endpoint", {"endpointAddress": "x-ats.iot.eu-west-1.amazonaws.com"})
    answers.on("iot", "list_domain_configurations", {"domainConfigurations": [{"domainConfigurationName": "plain"}]})
    answers.on(
        "iot",
        "describe_domain_configuration",
        {"domainName": "localhost", "authorizerConfig": {"defaultAuthorizerName": "mine"}},
    )
    assert walk() is None
    assert "the domain configuration's" in way.step("AWS authorizer").detail


def test_authorizer_named_in_the_config_is_checked(walk: Walk, answers: Answers) -> None:
    answers.on("iot", "describe_default_authorizer", MISSING)
    walk(authorizer="mine")
    [call] = answers.of("describe_authorizer")
    assert call.parameters == {"authorizerName": "mine"}


def test_missing_permission_skips_the_step_and_is_named(walk: Walk, way: Way, answers: Answers) -> None:
    answers.on("iot", "describe_default_authorizer", Refuse("AccessDeniedException", "no", 403))
    assert walk() is None
    assert "iot:DescribeDefaultAuthorizer" in way.step("AWS authorizer").detail
    assert way.step("AWS authorizer").status == "skipped"


def test_missing_boto3_skips_aws(way: Way, core: RunningCore) -> None:
    def no_boto3(_endpoint: str) -> None:
        raise CommandError("needs boto3")

    assert way.to(core).walk(aws=no_boto3) is None
    assert (way.step("AWS").status, way.step("AWS").detail) == ("skipped", "needs boto3")


def test_wrong_profile_is_wrong_use(way: Way, core: RunningCore) -> None:
    def no_profile(_endpoint: str) -> None:
        raise UsageError("there is no AWS profile x")

    with pytest.raises(UsageError):
        way.to(core).walk(aws=no_profile)


def test_password_reaches_only_aws(way: Way, core: RunningCore, answers: Answers) -> None:
    way.to(core).walk(aws=lambda _: Aws(answers.session))
    assert config_schema.load(str(way.path)).password == PASSWORD
    assert PASSWORD not in json.dumps([step.to_json(str) for step in way.steps])
