"""Deploying: what it creates, what a second run changes, what it asks, and that false success is detected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mqtt443_tools.cloud.aws import AwsError
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.lambda_zip import build, key

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.stubs import ACCOUNT, Refuse

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")  # what moto has not got


def parameters(cloud: Cloud) -> dict[str, str]:
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    return {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}


def test_first_deploy_creates_two_stacks_and_their_endpoint(cloud: Cloud) -> None:
    deployed = cloud.deploy()
    assert cloud.stacks() == {"mqtt443-store": "CREATE_COMPLETE", "mqtt443": "CREATE_COMPLETE"}
    assert deployed.config() == {"endpoint": "a1b2c3-ats.iot.eu-west-1.amazonaws.com", "port": 443}
    assert (deployed.mode, deployed.account, deployed.region) == ("default", ACCOUNT, "eu-west-1")
    assert deployed.table in cloud.client("dynamodb").list_tables()["TableNames"]
    assert cloud.iot.default == STACK
    assert cloud.protected == {"mqtt443-store": True}


def test_changes_are_shown_before_they_are_asked_for(cloud: Cloud) -> None:
    seen: list[list[str]] = []

    def agree(_: str) -> bool:
        seen.append(list(cloud.said))
        return True

    cloud.agrees = agree
    cloud.deploy()
    assert cloud.asked == ["Create stack mqtt443-store?", "Create stack mqtt443?"]
    assert "  add    Devices (AWS::DynamoDB::Table)" in seen[0]
    assert "  add    Authorizer (AWS::IoT::Authorizer)" in seen[1]
    assert "  add    Authorizer (AWS::IoT::Authorizer)" not in seen[0]


def test_function_gets_the_content_addressed_zip(cloud: Cloud) -> None:
    cloud.deploy()
    name = key(build())
    assert parameters(cloud)["CodeKey"] == name
    body = cloud.client("s3").get_object(Bucket=parameters(cloud)["CodeBucket"], Key=name)["Body"].read()
    assert body == build()
    (upload,) = cloud.answers.of("put_object")
    assert upload.parameters["ExpectedBucketOwner"] == ACCOUNT


def test_second_deploy_asks_and_changes_nothing(cloud: Cloud) -> None:
    first = cloud.deploy(mode="named", refresh_s=600)
    cloud.answers.calls.clear()
    assert cloud.deploy() == first
    assert cloud.asked == []
    assert "stack mqtt443-store: nothing to change" in cloud.said
    assert "stack mqtt443: nothing to change" in cloud.said
    assert cloud.answers.of("execute_change_set", "create_stack", "update_stack") == []


def test_options_that_are_left_out_are_kept(cloud: Cloud) -> None:
    cloud.deploy(mode="named", refresh_s=600, memory_mb=512, concurrency=7)
    cloud.deploy(log_days=7)
    assert cloud.asked == ["Change stack mqtt443?"]
    found = parameters(cloud)
    assert [found[name] for name in ("Mode", "RefreshSeconds", "MemoryMb", "ReservedConcurrency")] == [
        "named",
        "600",
        "512",
        "7",
    ]
    assert found["LogRetentionDays"] == "7"


@pytest.mark.parametrize("refused", ["Create stack mqtt443-store?", "Create stack mqtt443?"])
def test_refused_change_leaves_nothing_behind(cloud: Cloud, refused: str) -> None:
    cloud.agrees = lambda question: question != refused
    with pytest.raises(CommandError, match="was not changed"):
        cloud.deploy()
    assert cloud.change_sets.sets == {}
    assert cloud.change_sets.reviewed == {}
    assert STACK not in cloud.stacks()


def test_authorizer_missing_despite_cloudformation_is_detected(cloud: Cloud) -> None:
    cloud.iot.carries = False  # moto reports CREATE_COMPLETE for an authorizer that it ignored
    with pytest.raises(CommandError, match="CloudFormation reports the authorizer mqtt443, but AWS IoT has none"):
        cloud.deploy()
    assert cloud.stacks()[STACK] == "CREATE_COMPLETE"
    assert cloud.iot.default is None


def test_authorizer_with_another_function_is_detected(cloud: Cloud) -> None:
    cloud.deploy()
    cloud.iot.add_authorizer(STACK, "other")
    with pytest.raises(CommandError, match="does not call the stack's function"):
        cloud.deploy()


def test_inactive_authorizer_is_activated(cloud: Cloud) -> None:
    cloud.deploy(mode="named")
    cloud.iot.authorizers[STACK]["status"] = "INACTIVE"
    cloud.deploy()
    assert cloud.iot.authorizers[STACK]["status"] == "ACTIVE"


def test_smoke_test_asks_about_an_unknown_device(cloud: Cloud) -> None:
    cloud.deploy()
    (tried,) = cloud.answers.of("test_invoke_authorizer")
    assert tried.parameters["authorizerName"] == STACK
    assert isinstance(tried.parameters["mqttContext"]["password"], bytes)
    assert cloud.said[-1] == "smoke test passed: the authorizer answers, and refuses an unknown device"


def test_authorizer_that_accepts_an_unknown_device_fails_the_deploy(cloud: Cloud) -> None:
    cloud.iot.says = {"isAuthenticated": True}
    with pytest.raises(CommandError, match="let an unknown device in"):
        cloud.deploy()


def test_smoke_test_that_cannot_run_is_reported(cloud: Cloud) -> None:
    cloud.iot.says = Refuse("InvalidResponseException", "the Lambda's answer")
    cloud.deploy()
    assert cloud.said[-1].startswith("smoke test skipped: iot TestInvokeAuthorizer: InvalidResponseException")


def test_name_of_a_foreign_authorizer_is_refused_first(cloud: Cloud) -> None:
    cloud.iot.add_authorizer(STACK)
    with pytest.raises(UsageError, match="choose another --stack"):
        cloud.deploy()
    assert cloud.stacks() == {}


def test_foreign_stack_is_left_alone(cloud: Cloud) -> None:
    template = '{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}'
    cloud.client("cloudformation").create_stack(StackName=STACK, TemplateBody=template)
    with pytest.raises(AwsError, match="the stack mqtt443 is not mqtt443's: choose another name with --stack"):
        cloud.deploy()


@pytest.mark.parametrize("name", ["", "1st", "my_stack", "a/b", "x" * 101, "a:b"])
def test_invalid_stack_name_is_wrong_use(cloud: Cloud, name: str) -> None:
    with pytest.raises(UsageError, match="--stack"):
        cloud.deploy(stack=name)
    assert cloud.answers.calls == []


def test_concurrency_is_reserved_if_the_account_has_enough(cloud: Cloud) -> None:
    cloud.deploy()
    assert parameters(cloud)["ReservedConcurrency"] == "10"


def test_new_account_reserves_no_concurrency_and_says_so(cloud: Cloud) -> None:
    cloud.concurrency = 10
    cloud.deploy()
    assert parameters(cloud)["ReservedConcurrency"] == "0"
    assert any(line.startswith("no concurrency is reserved: this account runs at most 10") for line in cloud.said)


def test_unavailable_concurrency_is_refused_first(cloud: Cloud) -> None:
    with pytest.raises(UsageError, match=r"--concurrency 901: .*100 must stay unreserved"):
        cloud.deploy(concurrency=901)
    assert cloud.stacks() == {}
    cloud.deploy(concurrency=900)


def test_own_policy_is_deployed_and_kept(cloud: Cloud, tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "<arn>:client/<client_id>"}
    own = tmp_path / "policy.json"
    own.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    cloud.deploy(policy=own)
    deployed = parameters(cloud)
    assert (deployed["OwnPolicy"], deployed["CodeKey"]) == ("true", key(build(policy=own.read_bytes())))
    cloud.deploy()
    assert cloud.asked == []
    assert parameters(cloud) == deployed


def test_two_deployments_live_side_by_side(cloud: Cloud) -> None:
    cloud.deploy()
    second = cloud.deploy(stack="garden", mode="named")
    assert second.config()["authorizer"] == "garden"
    assert cloud.iot.default == STACK
    assert set(cloud.stacks()) == {"mqtt443", "mqtt443-store", "garden", "garden-store"}
