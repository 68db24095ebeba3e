"""`mqtt443 cloud`: a thin command over deploy.py, status.py and destroy.py. Progress goes to standard error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from mqtt443_authorizer.errors import AuthorizerError
from mqtt443_authorizer.files import write_private

from mqtt443_tools.cloud import cost
from mqtt443_tools.cloud.aws import open_aws
from mqtt443_tools.cloud.deploy import deploy as run_deploy
from mqtt443_tools.cloud.deploy_options import Mode, Options
from mqtt443_tools.cloud.destroy import destroy as run_destroy
from mqtt443_tools.cloud.stacks import Pace
from mqtt443_tools.cloud.status import Status
from mqtt443_tools.cloud.status import status as run_status
from mqtt443_tools.support import lambda_zip
from mqtt443_tools.support.command_line import new_app
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import JsonOption, ProfileOption, RegionOption, YesOption
from mqtt443_tools.support.paths import STATE

DEFAULT_STACK = "mqtt443"

app = new_app(
    "cloud",
    "Deploy the authorizer to AWS, show its state, or delete it.",
    "mqtt443 cloud deploy --region eu-west-1",
)

DeployedStackOption = Annotated[str, typer.Option("--stack", help="Name of the stack, and of its authorizer.")]


@app.command(epilog="Example: mqtt443 cloud deploy --mode domain --alarm-topic arn:aws:sns:eu-west-1:123456789012:ops")
def deploy(
    *,
    stack: DeployedStackOption = DEFAULT_STACK,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="default: the account's default authorizer; named: devices name it; domain: a host name of its own, "
            "for boards without ALPN. First deploy: default; later: unchanged."
        ),
    ] = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    refresh: Annotated[
        int | None,
        typer.Option(min=300, max=86400, help="Seconds until AWS asks the authorizer again; first deploy: 3600."),
    ] = None,
    disconnect: Annotated[
        int | None, typer.Option(min=300, max=86400, help="Seconds until AWS closes a connection; first deploy: 86400.")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Concurrent calls to reserve, and its maximum; 0 reserves none; first deploy: 10."
        ),
    ] = None,
    memory: Annotated[
        int | None, typer.Option(min=256, max=3008, help="Memory of the Lambda function in MB; first deploy: 1024.")
    ] = None,
    log_days: Annotated[int | None, typer.Option(help="Days to keep the log; first deploy: 30.")] = None,
    refusals: Annotated[
        int | None, typer.Option(min=1, help="Refused connections per minute that raise an alarm; first deploy: 10.")
    ] = None,
    alarm_topic: Annotated[str | None, typer.Option(help="ARN of an SNS topic for alarms; '': none.")] = None,
    updates: Annotated[
        bool | None,
        typer.Option(
            "--updates/--no-updates",
            help="Allow `mqtt443 update`; first deploy: yes; later: unchanged.",
        ),
    ] = None,
    signing: Annotated[
        bool | None,
        typer.Option("--signing/--no-signing", help="Devices send a signed token; the first deploy decides."),
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="Your own policy template (docs/authorizer.md); later deploys keep it.")
    ] = None,
    state: Annotated[Path, typer.Option(help="Folder with the key that signs tokens.")] = STATE,
    devices: Annotated[int, typer.Option(min=1, help="For the cost estimate: number of devices.")] = 10,
    interval: Annotated[int, typer.Option(min=1, help="For the cost estimate: seconds between readings.")] = 60,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Deploy the authorizer, change a deployed one, or finish an interrupted deploy.

    Shows first what would change. Options that you leave out keep the values of the last deploy.
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
        updates=updates,
    )
    with _ended_well():
        deployed = run_deploy(
            open_aws(profile, region),
            stack,
            options,
            signing=signing,
            policy=policy,
            state=state,
            console=Console(to_stderr=True, yes=yes),
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
    stack: DeployedStackOption = DEFAULT_STACK,
    region: RegionOption = None,
    profile: ProfileOption = None,
    drift: Annotated[bool, typer.Option("--drift/--no-drift", help="Compare every resource with the stack.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Show what is deployed, drift, alarms, and the authorizer's last decisions."""
    with _ended_well():
        found = run_status(open_aws(profile, region), stack, with_drift=drift, pace=Pace(), now=datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(found.to_json()))
        return
    console = Console()
    for line in _status_lines(found):
        console.say(line)


@app.command(epilog="Example: mqtt443 cloud destroy --stack mqtt443")
def destroy(
    *,
    stack: DeployedStackOption = DEFAULT_STACK,
    region: RegionOption = None,
    profile: ProfileOption = None,
    delete_table: Annotated[bool, typer.Option("--delete-table", help="Also delete the devices.")] = False,
    yes: YesOption = False,
) -> None:
    """Delete the authorizer; keep the device table, unless --delete-table.

    Asks for the stack's name. Run it again after an interruption, or seven days later for a domain.
    """
    with _ended_well():
        run_destroy(
            open_aws(profile, region),
            stack,
            delete_table=delete_table,
            console=Console(to_stderr=True, yes=yes),
            pace=Pace(),
            now=datetime.now(UTC),
        )


@app.command("zip", epilog="Example: mqtt443 cloud zip authorizer.zip && mqtt443 local --zip authorizer.zip")
def zip_code(
    out: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    *,
    policy: Annotated[Path | None, typer.Option(help="Your own policy template.")] = None,
) -> None:
    """Write the zip that deploy uploads; the same code always gives the same bytes."""
    with _ended_well():
        content = lambda_zip.build(policy=None if policy is None else lambda_zip.read_policy(policy))
    try:
        write_private(out, content)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror}") from error
    typer.echo(f"{out} {lambda_zip.key(content).removesuffix('.zip')}")


@contextmanager
def _ended_well() -> Iterator[None]:
    """Turn a policy's errors into a command's, and say what an interruption means."""
    try:
        yield
    except AuthorizerError as error:
        raise UsageError(str(error)) from error
    except KeyboardInterrupt:
        typer.echo("interrupted: AWS continues what it has begun; run the same command again to finish", err=True)
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
        yield "no drift" if found.is_drift_checked else "no problems found"
