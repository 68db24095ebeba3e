"""`mqtt443 cloud`: the thin command over deploy.py, status.py and destroy.py. Progress goes to stderr."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from mqtt443_authorizer.errors import AuthorizerError
from mqtt443_authorizer.files import write_private

from mqtt443_tools.cloud import cost, lambda_zip
from mqtt443_tools.cloud.aws import open_aws
from mqtt443_tools.cloud.deploy import deploy as run_deploy
from mqtt443_tools.cloud.deploy_options import Mode, Options
from mqtt443_tools.cloud.destroy import destroy as run_destroy
from mqtt443_tools.cloud.stacks import Pace
from mqtt443_tools.cloud.status import Status
from mqtt443_tools.cloud.status import status as run_status
from mqtt443_tools.cloud.talk import Talk
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable

DEFAULT_STACK = "mqtt443"
MAX_LINE_CHARS = 1000

app = typer.Typer(
    help="Deploy the authorizer to AWS, see how it is, take it away again.",
    epilog="Example: mqtt443 cloud deploy --region eu-west-1",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Stack = Annotated[str, typer.Option(help="Name of the stack, and of the authorizer in it.")]
Region = Annotated[str | None, typer.Option(help="AWS region; default: that of the profile or AWS_REGION.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile; default: AWS_PROFILE.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for scripts.")]


@app.command(epilog="Example: mqtt443 cloud deploy --mode domain --alarm-topic arn:aws:sns:eu-west-1:123456789012:ops")
def deploy(
    *,
    stack: Stack = DEFAULT_STACK,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="default: the account's default authorizer; named: devices name it; domain: a host name of its own, "
            "for boards without ALPN. First: default; later: as it is."
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
    refresh: Annotated[
        int | None, typer.Option(min=300, max=86400, help="Seconds until AWS asks the authorizer again; first: 3600.")
    ] = None,
    disconnect: Annotated[
        int | None, typer.Option(min=300, max=86400, help="Seconds until AWS ends a connection; first: 86400.")
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(min=0, max=1000, help="Calls at once, reserved and at most; first: 10, 0: no reserve.")
    ] = None,
    memory: Annotated[
        int | None, typer.Option(min=256, max=3008, help="MB of the Lambda function; first: 1024.")
    ] = None,
    log_days: Annotated[int | None, typer.Option(help="Days that the log is kept; first: 30.")] = None,
    refusals: Annotated[
        int | None, typer.Option(min=1, help="Refused connections a minute that raise an alarm; first: 10.")
    ] = None,
    alarm_topic: Annotated[str | None, typer.Option(help="ARN of an SNS topic for alarms; '' for none.")] = None,
    signing: Annotated[
        bool | None,
        typer.Option("--signing/--no-signing", help="Devices bring a signed token; fixed by the first deploy."),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="A policy template of your own, see docs/authorizer.md; later: as it is.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Folder that keeps the key which signs tokens.")] = STATE,
    devices: Annotated[int, typer.Option(min=1, help="For the cost estimate.")] = 10,
    interval: Annotated[int, typer.Option(min=1, help="For the cost estimate: seconds between readings.")] = 60,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Deploy the authorizer, change a deployed one, or finish an interrupted deploy.

    What would change is shown first. Options that are left out stay as the last deploy set them.
    """
    options = Options(
        mode=mode,
        refresh_s=refresh,
        disconnect_s=disconnect,
        memory_mb=memory,
        concurrency=concurrency,
        log_days=log_days,
        auth_errors_per_minute=refusals,
        alarm_topic=alarm_topic,
    )
    with _ended_well():
        deployed = run_deploy(
            open_aws(profile, region),
            stack,
            options,
            signing=signing,
            policy=policy,
            state=state,
            talk=_talk(yes),
            pace=Pace(),
        )
    estimate = cost.monthly(devices, interval_s=interval, refresh_s=deployed.refresh_s, memory_mb=deployed.memory_mb)
    if as_json:
        typer.echo(json.dumps({**asdict(deployed), "cost_usd_a_month": round(estimate.total, 2)}))
        return
    for line in estimate.lines():
        typer.echo(line)
    typer.echo(f"endpoint {deployed.endpoint} port {deployed.port} mode {deployed.mode}")
    typer.echo(f"next: mqtt443 device add my-board --stack {stack} --region {deployed.region} --out config.json")


@app.command(epilog="Example: mqtt443 cloud status --json")
def status(
    *,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    profile: Profile = None,
    drift: Annotated[bool, typer.Option("--drift/--no-drift", help="Compare every resource with the stack.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show what is there, what is not as it was deployed, alarms, and the authorizer's last decisions."""
    with _ended_well():
        found = run_status(open_aws(profile, region), stack, with_drift=drift, pace=Pace(), now=datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    for line in _status_lines(found):
        typer.echo(printable(line, MAX_LINE_CHARS))


@app.command(epilog="Example: mqtt443 cloud destroy --stack mqtt443")
def destroy(
    *,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    profile: Profile = None,
    delete_table: Annotated[bool, typer.Option("--delete-table", help="Delete the devices too.")] = False,
    yes: Yes = False,
) -> None:
    """Take the authorizer away; the devices' table stays, unless --delete-table.

    Asks for the stack's name. Run it again after an interruption, or after a domain's seven days.
    """

    def confirm(what: str) -> bool:
        return yes or _answer(f"{what}? Type the stack's name to go on", str) == stack

    with _ended_well():
        run_destroy(
            open_aws(profile, region),
            stack,
            delete_table=delete_table,
            confirm=confirm,
            talk=_talk(yes),
            pace=Pace(),
            now=datetime.now(UTC),
        )


@app.command("zip", epilog="Example: mqtt443 cloud zip authorizer.zip && mqtt443 local --zip authorizer.zip")
def zip_code(
    out: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    policy: Annotated[Path | None, typer.Option(help="A policy template of your own.")] = None,
) -> None:
    """Write the zip that deploy uploads; the same code gives the same bytes."""
    with _ended_well():
        content = lambda_zip.build(policy=None if policy is None else lambda_zip.read_policy(policy))
    try:
        write_private(out, content)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror}") from error
    typer.echo(f"{out} {lambda_zip.key(content).removesuffix('.zip')}")


def _talk(yes: bool) -> Talk:
    return Talk(
        say=lambda line: typer.echo(printable(line, MAX_LINE_CHARS), err=True),
        ask=lambda question: yes or bool(_answer(question, bool)),
    )


def _answer(question: str, kind: type[bool] | type[str]) -> bool | str:
    if not sys.stdin.isatty():
        raise UsageError("this asks before it changes anything, and nobody is there to answer: add --yes")
    if kind is bool:
        return typer.confirm(question, err=True)
    return str(typer.prompt(question, err=True))


@contextmanager
def _ended_well() -> Iterator[None]:
    """Turn a policy's errors into those of a command, and say what an interruption means."""
    try:
        yield
    except AuthorizerError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        typer.echo("interrupted: AWS goes on with what it has begun; run the same command again to finish", err=True)
        raise typer.Exit(130) from None


def _status_lines(found: Status) -> Iterator[str]:
    for name, state in found.stacks.items():
        yield f"stack {name} {state}"
    yield f"default authorizer {found.default_authorizer or 'none'}"
    if found.deployed is not None:
        where = found.deployed
        yield f"endpoint {where.endpoint} port {where.port} mode {where.mode} table {where.table}"
    for alarm, state in found.alarms.items():
        yield f"alarm {alarm} {state}"
    for decision in found.decisions:
        yield (
            f"{decision['at']} {decision['decision']} {decision.get('client_id') or decision.get('username')}: "
            f"{decision.get('reason')}"
        )
    for problem in found.problems:
        yield f"problem: {problem}"
    if not found.problems:
        yield "all is as it was deployed"
