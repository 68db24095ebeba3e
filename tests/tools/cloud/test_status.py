"""`mqtt443 cloud status`: what is there, what drifted, alarms and decisions."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.support import lambda_zip
from mqtt443_tools.support.errors import CommandError

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.change_sets import set_status
from tests.support.aws.stubs import Refuse

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")


@pytest.fixture
def quiet(cloud: Cloud) -> Cloud:
    """A deployed account without decisions and alarms."""
    cloud.answers.on("logs", "filter_log_events", {"events": []})
    cloud.deploy()
    return cloud


def log_lines(cloud: Cloud, *lines: tuple[int, object]) -> None:
    """Let the authorizer's log hold lines: how many seconds ago, and what."""

    def answer(logGroupName: str, startTime: int, filterPattern: str) -> dict[str, Any]:
        now_ms = int(cloud.iot.now.timestamp() * 1000)
        stamped = [(now_ms - ago_s * 1000, line) for ago_s, line in lines]
        return {
            "events": [
                {"timestamp": at, "message": line if isinstance(line, str) else json.dumps(line)}
                for at, line in stamped
                if at >= startTime
            ]
        }

    cloud.answers.on("logs", "filter_log_events", answer)


def test_all_is_well(quiet: Cloud) -> None:
    found = quiet.status()
    assert found.problems == []
    assert found.stacks == {"mqtt443": "CREATE_COMPLETE", "mqtt443-store": "CREATE_COMPLETE"}
    assert found.deployed is not None
    assert found.deployed.mode == "default"
    json.dumps(found.to_json())


def test_status_changes_nothing(quiet: Cloud) -> None:
    quiet.answers.calls.clear()
    quiet.status()
    verbs = {call.operation.partition("_")[0] for call in quiet.answers.calls}
    assert verbs <= {"describe", "list", "get", "filter"}


def test_status_without_a_stack_fails(cloud: Cloud) -> None:
    with pytest.raises(CommandError, match="there is no stack mqtt443 in eu-west-1: run `mqtt443 cloud deploy"):
        cloud.status()


def test_every_difference_from_the_deploy_is_a_problem(quiet: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet.iot.authorizers[STACK]["status"] = "INACTIVE"
    quiet.iot.default = None
    set_status(STACK, "UPDATE_ROLLBACK_FAILED")
    build = lambda_zip.build
    monkeypatch.setattr(lambda_zip, "build", lambda **options: build(**options) + b"newer")
    assert quiet.status().problems == [
        "stack mqtt443 is UPDATE_ROLLBACK_FAILED: deploy again",
        "the authorizer mqtt443 is not active: deploy again",
        "the account's default authorizer is not set: deploy again",
        "the deployed authorizer is not this version: deploy again to update it",
    ]


def test_missing_authorizer_is_a_problem(quiet: Cloud) -> None:
    quiet.iot.authorizers.clear()
    quiet.iot.default = None
    assert "AWS IoT has no authorizer mqtt443: deploy again" in quiet.status().problems


def test_half_deployed_account_is_a_problem(quiet: Cloud) -> None:
    quiet.destroy()
    assert quiet.status().problems == ["stack mqtt443 does not exist: deploy again"]


def test_changed_domain_is_a_problem(cloud: Cloud) -> None:
    cloud.answers.on("logs", "filter_log_events", {"events": []})
    cloud.deploy(mode="domain")
    assert cloud.status().problems == []
    cloud.iot.domains[STACK]["domainConfigurationStatus"] = "DISABLED"
    assert cloud.status().problems == ["the domain configuration has a different status: deploy again"]
    cloud.iot.domains.clear()
    assert cloud.status().problems == ["there is no domain configuration mqtt443: deploy again"]


def test_drift_comes_from_cloudformation(quiet: Cloud) -> None:
    quiet.answers.on("cloudformation", "detect_stack_drift", {"StackDriftDetectionId": "1"})
    progress = {"StackId": "s", "StackDriftDetectionId": "1", "Timestamp": "2026-11-01T12:00:00Z"}
    quiet.answers.on(
        "cloudformation",
        "describe_stack_drift_detection_status",
        [
            {**progress, "DetectionStatus": "DETECTION_IN_PROGRESS"},
            {**progress, "DetectionStatus": "DETECTION_COMPLETE"},
            {**progress, "DetectionStatus": "DETECTION_FAILED", "DetectionStatusReason": "no rights"},
        ],
    )
    drift = {
        "StackId": "s",
        "LogicalResourceId": "Function",
        "ResourceType": "AWS::Lambda::Function",
        "StackResourceDriftStatus": "MODIFIED",
        "Timestamp": "2026-11-01T12:00:00Z",
        "PropertyDifferences": [
            {"PropertyPath": "/Timeout", "ExpectedValue": "5", "ActualValue": "3", "DifferenceType": "NOT_EQUAL"}
        ],
    }
    quiet.answers.on("cloudformation", "describe_stack_resource_drifts", {"StackResourceDrifts": [drift]})
    assert quiet.status(with_drift=True).problems == [
        "mqtt443 has drifted: Function is modified, /Timeout",
        "mqtt443-store has drifted: unknown, no rights",
    ]
    assert quiet.patience.now_s > 0


def test_alarms_are_shown_by_their_names_in_the_template(quiet: Cloud) -> None:
    summary = {
        "LogicalResourceId": "ErrorsAlarm",
        "PhysicalResourceId": "mqtt443-ErrorsAlarm-1",
        "ResourceType": "AWS::CloudWatch::Alarm",
        "ResourceStatus": "CREATE_COMPLETE",
        "LastUpdatedTimestamp": "2026-11-01T12:00:00Z",
    }
    quiet.answers.on("cloudformation", "list_stack_resources", {"StackResourceSummaries": [summary]})
    alarm = {"AlarmName": "mqtt443-ErrorsAlarm-1", "StateValue": "ALARM"}
    quiet.answers.on("cloudwatch", "describe_alarms", {"MetricAlarms": [alarm]})
    found = quiet.status()
    assert found.alarms == {"ErrorsAlarm": "ALARM"}
    assert found.problems == ["the alarm ErrorsAlarm is raised"]
    assert quiet.answers.of("describe_alarms")[0].parameters["AlarmNames"] == ["mqtt443-ErrorsAlarm-1"]


def test_newest_decisions_are_shown(quiet: Cloud) -> None:
    log_lines(
        quiet,
        (7200, {"decision": "refuse", "client_id": "old", "reason": "wrong password"}),
        (30, "START RequestId: 1"),
        *((20, {"decision": "allow", "client_id": f"d{number}", "reason": "ok"}) for number in range(12)),
    )
    shown = quiet.status().decisions
    assert [each["client_id"] for each in shown] == [f"d{number}" for number in range(2, 12)]
    assert shown[0]["at"] == "2026-11-01T11:59:40+00:00"


def test_quiet_account_shows_the_decisions_of_the_day(quiet: Cloud) -> None:
    log_lines(quiet, (7200, {"decision": "refuse", "client_id": "old", "reason": "wrong password"}), (90_000, {}))
    assert [each["client_id"] for each in quiet.status().decisions] == ["old"]


@pytest.mark.parametrize("line", ["[]", "{", "nonsense", '"x"', "[" * 3000])
def test_other_log_lines_are_skipped(quiet: Cloud, line: str) -> None:
    log_lines(quiet, (10, line))
    assert quiet.status().decisions == []


def test_forbidden_log_is_only_a_problem(quiet: Cloud) -> None:
    quiet.answers.on("logs", "filter_log_events", Refuse("AccessDeniedException", "", 400))
    (problem,) = quiet.status().problems
    assert problem.startswith("the authorizer's log cannot be read: the permission logs:FilterLogEvents is missing")


def test_last_password_uses_come_from_the_log(quiet: Cloud) -> None:
    from mqtt443_tools.device.registration import add_device, rotate

    backend = AwsBackend(quiet.aws, STACK, quiet.state)
    made_at = (quiet.iot.now - timedelta(hours=3)).timestamp()
    add_device(backend.store, "sensor-1", now=made_at - 1000)
    assert backend.password_uses("sensor-1") is None
    rotate(backend.store, "sensor-1", now=made_at)
    log_lines(
        quiet,
        (4 * 3600, {"decision": "allow", "secret": 0}),  # before the rotation: another password
        (7200, {"decision": "allow", "secret": 1}),
        (3600, {"decision": "allow", "secret": 1}),
        (1800, {"decision": "allow", "secret": True}),
    )
    assert backend.password_uses("sensor-1") == (
        "sensor-1: since 2026-11-01 09:00 UTC the new password was not used, the old one last used at "
        "2026-11-01 11:00 UTC"
    )
    (asked,) = quiet.answers.of("filter_log_events")
    assert asked.parameters["filterPattern"] == '{ $.decision = "allow" && $.client_id = "sensor-1" }'
