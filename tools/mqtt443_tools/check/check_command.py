"""The command `mqtt443 check`: prints each step when it has ended, then the first broken link."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from mqtt443_tools.check.step import Step
from mqtt443_tools.support.paths import STATE

if TYPE_CHECKING:
    from mqtt443_tools.cloud.aws import Aws

AWS_ENDPOINT = re.compile(r"\.iot\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")
STYLES = {"ok": "green", "failed": "red bold", "skipped": "dim"}
EXAMPLE = "Example: mqtt443 check --config config.json"


def check(
    *,
    config: Annotated[Path, typer.Option(help="The board's config.json; its CA file lies beside it.")] = Path(
        "config.json"
    ),
    publish: Annotated[
        bool, typer.Option("--publish/--no-publish", help="Send a message to the board's topic.")
    ] = True,
    state: Annotated[
        Path, typer.Option(help="State folder of the local endpoint, for a config that leads there.")
    ] = STATE,
    profile: Annotated[str | None, typer.Option(help="AWS profile.", show_default=False)] = None,
    region: Annotated[str | None, typer.Option(help="AWS region; default: the endpoint's.", show_default=False)] = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds for TCP, and for TLS; default: the config's timeout_s.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Walk the way a board takes to its endpoint, and name the first broken link.

    It connects as the board would: AWS then ends the connection of a board that has the same client id, which comes
    back by itself. With AWS credentials, and an endpoint of AWS, it asks there, too.
    """
    from mqtt443_tools.check.walk import Options, walk  # noqa: PLC0415 - loads the board's code and the local endpoint's

    options = Options(state=state, aws=_account(profile, region), publish=publish, timeout_s=timeout)
    console = Console(highlight=False, soft_wrap=True)
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
        console.print(Text("every link holds", style="green"))
    else:
        console.print(Text(f"broken: {failed.name}: {failed.cause.text}", style="red bold"))
        console.print(Text(f"to do: {failed.cause.fix}"))
    if failed is not None:
        raise typer.Exit(1)


check.__doc__ = f"{check.__doc__}\n\n    {EXAMPLE}"


def _account(profile: str | None, region: str | None) -> Callable[[str], "Aws | None"]:
    """Return what opens the account of an endpoint: that of the options, else whoever is logged in, in its region."""

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
