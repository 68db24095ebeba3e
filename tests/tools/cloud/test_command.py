"""`mqtt443 cloud` as a person or a script runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.cloud import cloud_command
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.lambda_zip import build, key
from typer.testing import CliRunner, Result

from tests.support.aws.account import STACK, Cloud
from tests.support.aws.iot_control_plane import ENDPOINT
from tests.support.aws.stubs import ENVIRONMENT, Refuse

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse:UserWarning")
Run = Callable[..., Result]


@pytest.fixture
def run(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a subcommand in the account of the test; a CommandError is raised as the command line reports it."""
    monkeypatch.setattr(cloud_command, "open_aws", lambda *_: cloud.aws)
    cloud.answers.on("logs", "filter_log_events", {"events": []})

    def invoke(*arguments: str) -> Result:
        more = ["--state", str(cloud.state)] if arguments[0] == "deploy" else []
        result = CliRunner().invoke(app, ["cloud", *arguments, *more])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_deploy_ends_with_endpoint_and_next_command(run: Run) -> None:
    result = run("deploy", "--yes", "--devices", "200")
    assert result.stdout.splitlines()[-3:] == [
        "about $9.50 a month for 200 devices (list prices of Ireland, see docs/aws.md)",
        f"endpoint {ENDPOINT} port 443 mode default",
        "next: mqtt443 device add my-board --stack mqtt443 --region eu-west-1 --out config.json",
    ]
    assert "  add    Authorizer (AWS::IoT::Authorizer)" in result.stderr
    assert result.exit_code == 0


def test_deploy_as_json_prints_its_progress_elsewhere(run: Run) -> None:
    shown = json.loads(run("deploy", "--yes", "--json", "--mode", "named").stdout)
    assert (shown["endpoint"], shown["port"], shown["mode"], shown["stack"]) == (ENDPOINT, 443, "named", STACK)
    assert shown["cost_usd_a_month"] > 0


def test_every_option_reaches_its_parameter(run: Run, cloud: Cloud) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:ops"
    run(
        "deploy", "--yes", "--mode", "domain", "--refresh", "300", "--disconnect", "600", "--memory", "512",
        "--concurrency", "3", "--log-days", "7", "--refusals", "2", "--alarm-topic", topic,
    )  # fmt: skip
    (stack,) = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}
    chosen = {
        "Mode": "domain",
        "RefreshSeconds": "300",
        "DisconnectSeconds": "600",
        "MemoryMb": "512",
        "ReservedConcurrency": "3",
        "LogRetentionDays": "7",
        "AuthErrorsPerMinute": "2",
        "AlarmTopicArn": topic,
    }
    assert {name: parameters[name] for name in chosen} == chosen


def test_deploy_without_a_terminal_is_wrong_use_and_changes_nothing(run: Run, cloud: Cloud) -> None:
    with pytest.raises(UsageError, match="add --yes"):
        run("deploy")
    assert cloud.stacks() == {}
    cloud.deploy()
    with pytest.raises(UsageError, match="add --yes"):
        run("destroy")
    assert STACK in cloud.stacks()


@pytest.mark.parametrize(("answer", "is_destroyed"), [("mqtt443", True), ("mqtt444", False), ("yes", False)])
def test_destroy_asks_for_the_name(
    run: Run, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, answer: str, is_destroyed: bool
) -> None:
    cloud.deploy()
    asked: list[str] = []
    monkeypatch.setattr(Console, "is_attended", True)

    def prompt(question: str, **_: object) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("typer.prompt", prompt)
    if is_destroyed:
        run("destroy")
    else:
        with pytest.raises(CommandError, match="nothing was deleted"):
            run("destroy")
    assert asked == ["Delete mqtt443 but keep its devices? Type the name of the stack to confirm"]
    assert (STACK not in cloud.stacks()) == is_destroyed


def test_status_in_words_and_as_json(run: Run, cloud: Cloud) -> None:
    cloud.deploy()
    refusal = {"decision": "refuse", "client_id": "x\x1b[2J", "reason": "wrong password"}
    logged = {"timestamp": int(cloud.iot.now.timestamp() * 1000), "message": json.dumps(refusal)}
    cloud.answers.on("logs", "filter_log_events", {"events": [logged]})
    lines = run("status", "--no-drift").stdout.splitlines()
    assert lines == [
        "stack mqtt443 CREATE_COMPLETE",
        "stack mqtt443-store CREATE_COMPLETE",
        "default authorizer mqtt443",
        f"endpoint {ENDPOINT} port 443 mode default table {cloud.deploy().table}",
        "2026-11-01T12:00:00+00:00 refuse x\\x1b[2J: wrong password",
        "no problems found",
    ]
    shown = json.loads(run("status", "--no-drift", "--json").stdout)
    assert (shown["problems"], shown["decisions"][0]["reason"]) == ([], "wrong password")


def test_missing_permission_is_one_line(run: Run, cloud: Cloud) -> None:
    cloud.answers.on("iot", "describe_default_authorizer", Refuse("UnauthorizedException", "", 401))
    with pytest.raises(CommandError, match=r"^the permission iot:DescribeDefaultAuthorizer is missing: add it"):
        run("deploy", "--yes")


def test_interruption_says_how_to_continue(run: Run, cloud: Cloud) -> None:
    cloud.answers._left_until["cloudformation", "execute_change_set"] = 0
    result = run("deploy", "--yes")
    assert result.exit_code == 130
    assert "run the same command again to finish" in result.stderr


def test_policy_that_breaks_a_rule_is_wrong_use(run: Run, tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text("{}")
    with pytest.raises(UsageError, match="Version"):
        run("deploy", "--yes", "--policy", str(tmp_path / "policy.json"))


def test_zip_writes_what_deploy_uploads(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "authorizer.zip"
    assert run("zip", str(out)).stdout == f"{out} {key(build()).removesuffix('.zip')}\n"
    assert out.read_bytes() == build()
    with pytest.raises(CommandError, match="File exists"):
        run("zip", str(out / "below"))


@pytest.mark.parametrize("subcommand", ["deploy", "status", "destroy", "zip"])
def test_help_has_an_example(subcommand: str) -> None:
    shown = CliRunner().invoke(app, ["cloud", subcommand, "--help"])
    assert f"Example: mqtt443 cloud {subcommand}" in " ".join(shown.output.split())


def test_missing_credentials_are_one_line_on_stderr() -> None:
    hidden = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    environment = {**os.environ, **{name: value for name, value in ENVIRONMENT.items() if name not in hidden}}
    for name in hidden:
        environment.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", "from mqtt443_tools.cli import main; main()", "cloud", "status"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("mqtt443: no working AWS credentials: log in with")
    assert result.stderr.count("\n") == 1
