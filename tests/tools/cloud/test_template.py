"""The CloudFormation templates: what cfn-lint says, and what they promise beyond it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cfnlint.api import lint_file
from cfnlint.decode.cfn_yaml import loads
from mqtt443_authorizer.settings import MAX_S, MIN_S
from mqtt443_authorizer.settings import from_environment as authorizer_settings
from mqtt443_tools.cloud.aws_jobs import PREFIX
from mqtt443_tools.cloud.deploy import STORE_TEMPLATE, TEMPLATE
from mqtt443_tools.cloud.deploy_options import PARAMETERS, Options
from mqtt443_tools.cloud.token_signing import TOKEN_KEY

MAX_BODY_BYTES = 51_200  # CreateChangeSet, TemplateBody


def read(path: Any) -> dict[str, Any]:
    return json.loads(json.dumps(loads(path.read_text())))  # type: ignore[no-any-return]


@pytest.fixture
def template() -> dict[str, Any]:
    return read(TEMPLATE)


@pytest.fixture
def properties(template: dict[str, Any]) -> Any:
    return lambda name: template["Resources"][name]["Properties"]


@pytest.mark.parametrize("path", [TEMPLATE, STORE_TEMPLATE], ids=lambda path: path.name)
def test_cfn_lint_finds_nothing(path: Any) -> None:
    assert lint_file(path) == []
    assert len(path.read_bytes()) <= MAX_BODY_BYTES


def test_cfn_lint_finds_a_planted_mistake(tmp_path: Any) -> None:
    broken = tmp_path / "template.yaml"
    broken.write_text(TEMPLATE.read_text().replace("Runtime: python3.14", "Runtime: python2.7"))
    assert lint_file(broken) != []


def test_role_reads_one_table_and_writes_one_log(properties: Any) -> None:
    (policy,) = properties("Role")["Policies"]
    read_table, write_log = policy["PolicyDocument"]["Statement"]
    assert read_table["Action"] == "dynamodb:GetItem"
    assert read_table["Resource"]["Fn::Sub"].endswith(":table/${TableName}")
    assert write_log["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert write_log["Resource"]["Fn::Sub"].endswith(":log-group:${Log}:*")
    assert "ManagedPolicyArns" not in properties("Role")


def test_role_of_streams_reads_the_files_of_updates_and_nothing_else(template: dict[str, Any], properties: Any) -> None:
    role = properties("StreamsRole")
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "iot.amazonaws.com"}
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"]["Fn::Sub"].endswith(f":s3:::${{CodeBucket}}/{PREFIX}*")
    assert "ManagedPolicyArns" not in role
    for each in (template["Resources"]["StreamsRole"], template["Outputs"]["StreamsRoleArn"]):
        assert each["Condition"] == "HasUpdates"


def test_aws_iot_may_call_the_function_only_for_this_authorizer(template: dict[str, Any], properties: Any) -> None:
    permission = properties("Permission")
    assert permission["Principal"] == "iot.amazonaws.com"
    assert permission["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert permission["SourceArn"]["Fn::Sub"].endswith(":authorizer/${AWS::StackName}")
    assert properties("Authorizer")["AuthorizerName"] == {"Ref": "AWS::StackName"}
    assert template["Resources"]["Authorizer"]["DependsOn"] == "Permission"


def test_function_runs_on_arm64_within_the_limit_of_aws_iot(properties: Any) -> None:
    function = properties("Function")
    assert (function["Architectures"], function["Timeout"]) == (["arm64"], 5)
    assert function["Handler"] == "mqtt443_authorizer.handler.handler"
    assert function["LoggingConfig"] == {"LogGroup": {"Ref": "Log"}}


def test_environment_of_the_function_matches_what_the_authorizer_reads(
    template: dict[str, Any], properties: Any
) -> None:
    variables = properties("Function")["Environment"]["Variables"]
    defaults = {name: str(each.get("Default", "table")) for name, each in template["Parameters"].items()}
    filled = {
        name: value["Fn::Sub"].replace("${TableName}", "devices") if "Fn::Sub" in value else defaults[value["Ref"]]
        for name, value in variables.items()
    }
    settings = authorizer_settings(filled)
    assert (settings.store, settings.refresh_s, settings.disconnect_s) == ("dynamodb:devices", 3600, 86_400)
    for name in ("RefreshSeconds", "DisconnectSeconds"):
        parameter = template["Parameters"][name]
        assert (parameter["MinValue"], parameter["MaxValue"]) == (MIN_S, MAX_S)


def test_devices_outlive_a_deleted_stack_but_not_a_failed_first_deploy() -> None:
    devices = read(STORE_TEMPLATE)["Resources"]["Devices"]
    assert (devices["DeletionPolicy"], devices["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    properties = devices["Properties"]
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert "TableName" not in properties


def test_bucket_is_private_and_requires_tls() -> None:
    resources = read(STORE_TEMPLATE)["Resources"]
    assert set(resources["Code"]["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
    (statement,) = resources["CodeOverTls"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}


def test_every_choice_is_a_parameter_and_every_parameter_is_known(template: dict[str, Any]) -> None:
    assert set(template["Parameters"]) == PARAMETERS
    options = Options(
        mode="named",
        refresh_s=300,
        disconnect_s=600,
        memory_mb=512,
        concurrency=5,
        log_days=7,
        auth_errors_per_minute=3,
        alarm_topic="arn:aws:sns:eu-west-1:123456789012:ops",
        updates=False,
    )
    assert set(options.parameters()) < PARAMETERS
    assert Options().parameters() == {}


def test_token_key_matches_config_json(properties: Any) -> None:
    assert properties("Authorizer")["TokenKeyName"]["Fn::If"][1] == TOKEN_KEY


def test_failure_filter_names_the_reasons_that_the_handler_logs(properties: Any) -> None:
    pattern = properties("Failures")["FilterPattern"]
    for reason in ("DynamoDB*", "internal error*", "not configured*", "policy document*", "the context*"):
        assert f'$.reason = "{reason}"' in pattern


def test_alarms_watch_failures_errors_throttles_and_refused_connections(template: dict[str, Any]) -> None:
    alarms = {name: each for name, each in template["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(alarms) == {"FailuresAlarm", "ErrorsAlarm", "ThrottlesAlarm", "RefusedAlarm"}
    for alarm in alarms.values():
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching"
        assert "AlarmActions" in alarm["Properties"]
    metrics = [each["MetricStat"]["Metric"] for each in alarms["RefusedAlarm"]["Properties"]["Metrics"][1:]]
    assert {metric["MetricName"] for metric in metrics} == {"Connection.AuthNError"}
    assert {metric["Dimensions"][0]["Value"] for metric in metrics} == {"MQTT", "HTTP"}
