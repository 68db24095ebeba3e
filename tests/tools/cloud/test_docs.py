"""docs/aws.md: its commands exist, its permissions suffice for every call that is made, its figures are the code's."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest
import typer.main
from mqtt443_tools.cli import app
from mqtt443_tools.cloud.aws_backend import AwsBackend
from mqtt443_tools.cloud.cost import monthly
from mqtt443_tools.device.registration import add_device, remove, rotate
from mqtt443_tools.support.paths import ROOT

from tests.support.aws.account import STACK, Cloud

PAGE = (ROOT / "docs" / "aws.md").read_text()
COMMANDS = re.findall(r"^\.venv/bin/mqtt443 (.*)$", PAGE, re.MULTILINE)

# Where IAM's name of an action is not the operation's (Service Authorization Reference).
ACTIONS = {
    "s3:HeadBucket": ["s3:ListBucket"],
    "s3:ListObjectsV2": ["s3:ListBucket"],
    "s3:DeleteObjects": ["s3:DeleteObject"],
    "dynamodb:TransactWriteItems": ["dynamodb:PutItem", "dynamodb:DeleteItem"],
    "sts:GetCallerIdentity": [],  # needs none
}


def options(line: str) -> tuple[Any, list[str]]:
    """The click command that a line runs, and the options that it gives."""
    found: Any = typer.main.get_command(app)
    for word in line.split():
        if not hasattr(found, "commands"):
            break
        found = found.commands[word]
    return found, re.findall(r"--[a-z-]+", line)


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_and_option_exists(line: str) -> None:
    command, given = options(line)
    known = {name for parameter in command.params for name in parameter.opts}
    assert set(given) <= known


def test_every_option_of_deploy_that_matters_is_in_the_table() -> None:
    command, _ = options("cloud deploy")
    known = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}
    asked_elsewhere = {"--region", "--profile", "--state", "--yes", "--json", "--help"}
    assert [name for name in sorted(known - asked_elsewhere) if name not in PAGE] == []


@pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
@pytest.mark.parametrize("mode", ["default", "named", "domain"])
def test_documented_permissions_suffice_for_every_call(cloud: Cloud, mode: str) -> None:
    cloud.answers.on("logs", "filter_log_events", {"events": []})
    cloud.answers.on("cloudformation", "detect_stack_drift", {"StackDriftDetectionId": "1"})
    detected = {"StackId": "s", "StackDriftDetectionId": "1", "Timestamp": 0, "DetectionStatus": "DETECTION_COMPLETE"}
    cloud.answers.on("cloudformation", "describe_stack_drift_detection_status", detected)
    cloud.answers.on("cloudformation", "describe_stack_resource_drifts", {"StackResourceDrifts": []})
    cloud.deploy(mode=mode)
    backend = AwsBackend(cloud.aws, STACK, cloud.state)
    add_device(backend.store, "sensor-1", now=0)
    rotate(backend.store, "sensor-1", now=0)
    backend.password_uses("sensor-1")
    backend.store.all()
    backend.activity(["sensor-1"])
    backend.disconnect("sensor-1")
    remove(backend.store, "sensor-1")
    cloud.status(with_drift=True)
    cloud.destroy(delete_table=True)
    (policy,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    allowed = [
        action
        for statement in json.loads(policy)["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    for call in cloud.answers.calls:
        name = "".join(word.capitalize() for word in call.operation.split("_"))
        action = f"{'iot' if call.service == 'iot-data' else call.service}:{name}"
        for needed in ACTIONS.get(action, [action]):
            assert any(fnmatchcase(needed, pattern) for pattern in allowed), needed


def test_documented_costs_are_those_of_deploy() -> None:
    cost = monthly(1, interval_s=60, refresh_s=3600, memory_mb=1024)
    for figure in (cost.connection, cost.messages, cost.authorizer):
        assert f"${figure:.4f}" in PAGE
    assert f"${cost.device:.3f}" in PAGE
