"""The command `mqtt443 check`: prints each step when it is done, then the first broken link."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from mqtt443_tools.check.causes import fill
from mqtt443_tools.check.step import Step
from mqtt443_tools.support.config_file import read_config
from mqtt443_tools.support.console import terminal
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.options import (
    ConfigOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
    place_options,
)
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable

if TYPE_CHECKING:
    from mqtt443_tools.cloud.aws import Aws

AWS_ENDPOINT = re.compile(r"\.iot\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$")
STYLES = {"ok": "green", "failed": "red bold", "skipped": "dim"}


def check(
    *,
    config: ConfigOption = Path("config.json"),
    publish: Annotated[
        bool, typer.Option("--publish/--no-publish", help="Send a message to the board's topic.")
    ] = True,
    client_id_safe: Annotated[
        bool,
        typer.Option("--client-id-safe", help="Do not connect as the device: a live board stays connected."),
    ] = False,
    state: StateOption = STATE,
    stack: StackOption = None,
    profile: ProfileOption = None,
    region: RegionOption = None,
    timeout: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds for TCP and for TLS, each; default: timeout_s of the config.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take each step from a board to its endpoint, and name the first one that fails.

    It connects with the board's client id, so AWS closes the connection of that board, which reconnects by itself. With
    --client-id-safe it stops before that, and cannot see whether login and topic are allowed. For an AWS endpoint, it
    also asks AWS, if there are credentials. With --stack it compares the config with that stack.
    """
    from mqtt443_tools.check.walk import Options, walk  # noqa: PLC0415 - loads the board's code and the local endpoint's
    from mqtt443_tools.device.config_advice import advise  # noqa: PLC0415 - loads the local endpoint's code

    options = Options(
        state=state,
        aws=_account(profile, region),
        publish=publish,
        client_id_safe=client_id_safe,
        timeout_s=timeout,
    )
    console = terminal()
    steps = []
    warnings: list[str] = []
    fix = _filled(config, place_options(state, stack, region, profile))
    for step in walk(config, options):
        steps.append(step)
        if not as_json:
            console.print(_line(step))
        if step.name == "config" and step.status == "ok":
            warnings = advise(read_config(config), config, state=state, stack=stack, region=region, profile=profile)
            for warning in warnings if not as_json else ():
                console.print(Text(f"{'warning':8}{'config':15}{printable(warning)}", style="yellow"))
    failed = next((step for step in steps if step.cause is not None), None)
    if as_json:
        broken = failed and failed.to_json(fix)["cause"]
        shown = {"warnings": warnings, "steps": [step.to_json(fix) for step in steps]}
        typer.echo(json.dumps({"ok": failed is None, "cause": broken, **shown}))
    elif failed is None or failed.cause is None:
        said = "everything tried works; CONNECT and publish were not tried" if client_id_safe else "everything works"
        console.print(Text(said, style="green"))
    else:
        console.print(Text(f"broken: {failed.name}: {failed.cause.text}", style="red bold"))
        console.print(Text(f"to do: {fix(failed.cause.fix)}"))
    if failed is not None:
        raise typer.Exit(1)


def _filled(config: Path, place: str) -> Callable[[str], str]:
    """Return what fills the device's own names into an advice, and `place`, the options that lead to the device."""
    try:
        keys = read_config(config)
    except CommandError:
        keys = {}
    client_id = keys.get("client_id")
    names = {"config.json": str(config)}
    if isinstance(client_id, str):
        names |= {"CLIENT_ID": client_id, "TOPIC": str(keys.get("topic", f"telemetry/{client_id}"))}
    return lambda advice: printable(fill(advice, names, place))


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
