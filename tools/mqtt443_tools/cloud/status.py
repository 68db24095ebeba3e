"""The state of the cloud half: what is deployed, drift, alarms, and the authorizer's last decisions."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from mqtt443_tools.cloud import authorizer_log, domain, iot_authorizer
from mqtt443_tools.cloud.aws import Aws, AwsError
from mqtt443_tools.cloud.deployed_policy import deployed_policy
from mqtt443_tools.cloud.stack_outputs import Deployed, locate
from mqtt443_tools.cloud.stacks import Pace, Stack, Stacks, check_name, one_line, store_name
from mqtt443_tools.support import lambda_zip
from mqtt443_tools.support.errors import CommandError

DECISIONS = 10
MAX_DRIFTS = 100


@dataclass
class Status:
    """The findings; `problems` has a line for everything that needs attention."""

    stacks: dict[str, str]
    deployed: Deployed | None = None
    default_authorizer: str | None = None
    problems: list[str] = field(default_factory=list)
    is_drift_checked: bool = False
    alarms: dict[str, str] = field(default_factory=dict)
    decisions: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


def status(aws: Aws, name: str, *, with_drift: bool, pace: Pace, now: datetime) -> Status:
    """Inspect a deployed stack; changes nothing.

    Args:
        aws: account and region.
        name: of the stack.
        with_drift: have CloudFormation compare each resource, which takes a few seconds.
        pace: the seams of waiting.
        now: with a time zone.

    Raises:
        CommandError: there is no such stack.
    """
    check_name(name)
    stacks = Stacks(aws, lambda _: None, pace)
    stack, store = stacks.find(name), stacks.find(store_name(name))
    if stack is None and store is None:
        raise CommandError(f"there is no stack {name} in {aws.region}: run `mqtt443 cloud deploy --stack {name}`")
    found = Status({each.name: each.status for each in (stack, store) if each})
    found.default_authorizer = iot_authorizer.default_name(aws)
    for missing in [each for each, there in ((name, stack), (store_name(name), store)) if there is None]:
        found.problems.append(f"stack {missing} does not exist: deploy again")
    for each in (stack, store):
        if each is not None and not (each.status.endswith("_COMPLETE") and not each.is_dead):
            found.problems.append(f"stack {each.name} is {each.status}: deploy again")
    if stack is not None and stack.outputs:
        _inspect(aws, stacks, stack, found, now)
    if with_drift:
        found.is_drift_checked = True
        for each in (stack, store):
            if each is not None and each.outputs:
                found.problems += [f"{each.name} has drifted: {line}" for line in _drift(stacks, each.name)]
    return found


def _inspect(aws: Aws, stacks: Stacks, stack: Stack, found: Status, now: datetime) -> None:
    mode = stack.parameters["Mode"]
    described = iot_authorizer.describe(aws, stack.name)
    if described is None:
        found.problems.append(f"AWS IoT has no authorizer {stack.name}: deploy again")
    elif described["status"] != "ACTIVE":
        found.problems.append(f"the authorizer {stack.name} is not active: deploy again")
    if mode == "default" and found.default_authorizer != stack.name:
        found.problems.append(
            f"the account's default authorizer is {found.default_authorizer or 'not set'}: deploy again"
        )
    configuration = domain.describe(aws, stack.name)
    if mode == "domain" and configuration is None:
        found.problems.append(f"there is no domain configuration {stack.name}: deploy again")
    elif mode == "domain" and configuration is not None:
        changed = domain.differences(configuration, stack.name)
        found.problems += [f"the domain configuration has a different {what}: deploy again" for what in changed]
    if lambda_zip.key(lambda_zip.build(policy=deployed_policy(aws, stack))) != stack.parameters["CodeKey"]:
        found.problems.append("the deployed authorizer is not this version: deploy again to update it")
    if mode != "domain" or configuration is not None:
        found.deployed = locate(aws, stack.name, stack)
    found.alarms = _alarms(aws, stacks, stack)
    found.problems += [f"the alarm {alarm} is raised" for alarm, state in found.alarms.items() if state == "ALARM"]
    try:
        found.decisions = authorizer_log.last(aws, stack.outputs["LogGroup"], now=now, count=DECISIONS)
    except AwsError as error:
        found.problems.append(f"the authorizer's log cannot be read: {error}")


def _alarms(aws: Aws, stacks: Stacks, stack: Stack) -> dict[str, str]:
    names = {
        each["PhysicalResourceId"]: each["LogicalResourceId"]
        for each in stacks.resources(stack.name)
        if each["ResourceType"] == "AWS::CloudWatch::Alarm"
    }
    alarms = aws.items("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNames=list(names)) if names else ()
    return {names[alarm["AlarmName"]]: alarm["StateValue"] for alarm in alarms}


def _drift(stacks: Stacks, name: str) -> list[str]:
    """Have CloudFormation compare a stack with its resources; return a line for each one that differs."""
    aws = stacks.aws
    started = aws.call("cloudformation", "detect_stack_drift", StackName=name)["StackDriftDetectionId"]

    def ended() -> dict[str, Any] | None:
        status = aws.call("cloudformation", "describe_stack_drift_detection_status", StackDriftDetectionId=started)
        return None if status["DetectionStatus"] == "DETECTION_IN_PROGRESS" else status

    detection = stacks.until(ended, f"the drift of {name}")
    if detection["DetectionStatus"] == "DETECTION_FAILED":
        return [f"unknown, {one_line(detection.get('DetectionStatusReason', 'AWS gives no reason'))}"]
    drifts = aws.call(
        "cloudformation",
        "describe_stack_resource_drifts",
        StackName=name,
        StackResourceDriftStatusFilters=["MODIFIED", "DELETED"],
        MaxResults=MAX_DRIFTS,
    )
    return [_drift_line(drift) for drift in drifts["StackResourceDrifts"]]


def _drift_line(drift: dict[str, Any]) -> str:
    paths = ", ".join(each["PropertyPath"] for each in drift.get("PropertyDifferences", ()))
    return f"{drift['LogicalResourceId']} is {drift['StackResourceDriftStatus'].lower()}{f', {paths}' if paths else ''}"
