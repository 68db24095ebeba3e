"""The command `mqtt443 check`: prints each step when it is done, then the first broken link."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mqtt443_tools.check.step import Step
from mqtt443_tools.support.console import terminal
from mqtt443_tools.support.options import ConfigOption, JsonOption, ProfileOption, RegionOption, StateOption
from mqtt443_tools.support.paths import STATE

if TYPE_CHECKING:
    from mqtt443_tools.cloud.aws import Aws

AWS_ENDPOINT = re.compile(r"\.iot\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")
STYLES = {"ok": "green", "failed": "red bold", "skipped": "dim"}
EXAMPLE = "Example: mqtt443 check --config config.json"


def check(
    *,
    config: ConfigOption = Path("config.json"),
    publish: Annotated[
        bool, typer.Option("--publish/--no-publish", help="Send a message to the board's topic.")
    ] = True,
    state: StateOption = STATE,
    profile: ProfileOption = None,
    region: RegionOption = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds for TCP, and for TLS; default: the config's timeout_s.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Try every step from a board to its endpoint, and name the first one that fails.

    It connects as the board would: AWS then closes the connection of the board with the same client id, which
    reconnects by itself. With AWS credentials and an AWS endpoint, it also asks AWS.
    """
    from mqtt443_tools.check.walk import Options, walk  # noqa: PLC0415 - loads the board's code and the local endpoint's

    options = Options(state=state, aws=_account(profile, region), publish=publish, timeout_s=timeout)
    console = terminal()
    steps = []
    for step in walk(config, options):
        steps.append(step)
        if not as_json:
            console.print(_line(step))
    failed = next((step for step in steps if step.cause is not None), None)
    if as_json:
        broken = failed and failed.to_json()["cause"]
        typer.echo(json.dumps({"ok": failed is None, "cause": broken, "steps": [step.to_json() for step in steps]}))
    elif failed is None or failed.cause is None:
        console.print(Text("everything works", style="green"))
    else:
        console.print(Text(f"broken: {failed.name}: {failed.cause.text}", style="red bold"))
        console.print(Text(f"to do: {failed.cause.fix}"))
    if failed is not None:
        raise typer.Exit(1)


check.__doc__ = f"{check.__doc__}\n\n    {EXAMPLE}"


def _account(profile: str | None, region: str | None) -> Callable[[str], "Aws | None"]:
    """Return a function that opens an endpoint's account: the options', or the logged-in one in its region."""

    def open_account(endpoint: str) -> "Aws | None":
        from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415 - loads boto3

        of_aws = AWS_ENDPOINT.search(endpoint)
        if of_aws is None and not profile and not region:
            return None
        return open_aws(profile, region or (of_aws[1] if of_aws else None))

    return open_account


def _line(step: Step) -> Text:
    line = Text(f"{step.status:8}", style=STYLES[step.status])
    line.append(f"{step.name:15}", style="bold")
    line.append(f"{step.detail}  ", style="none")
    line.append(f"{step.seconds * 1000:.0f} ms" if step.status != "skipped" else "", style="dim")
    line.rstrip()
    return line
