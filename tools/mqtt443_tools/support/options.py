"""Options that several commands share, each defined once."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.paths import STATE

StateOption = Annotated[Path, typer.Option("--state", help="State folder of the local endpoint.")]
StackOption = Annotated[
    str | None,
    typer.Option("--stack", show_default=False, help="A stack of `mqtt443 cloud deploy`, not the local endpoint."),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", show_default=False, help="AWS region; default: the profile's, or AWS_REGION.")
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", show_default=False, help="AWS profile; default: AWS_PROFILE.")
]
ConfigOption = Annotated[
    Path, typer.Option("--config", help="The board's config.json; its CA file and sensors.py are beside it.")
]
PortOption = Annotated[
    str | None, typer.Option("--port", show_default=False, help="The board's serial port; default: auto-detect.")
]
SecondsOption = Annotated[
    float | None, typer.Option("--seconds", min=0, show_default=False, help="Stop after this many seconds.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Answer every question with yes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def given_options(context: typer.Context) -> dict[str, str]:
    """Return what stands on a command's line, such as `--folder`, by the name of its parameter."""
    return {
        option.name: option.opts[0] if option.opts[0].startswith("-") else str(option.metavar)
        for option in context.command.params
        if option.name is not None
        and (source := context.get_parameter_source(option.name)) is not None
        and source.name == "COMMANDLINE"
    }


def refuse_aws_options(region: str | None, profile: str | None) -> None:
    """Refuse what only an account in AWS has, for a command that works on the local endpoint. Raises UsageError."""
    for option, value in (("--region", region), ("--profile", profile)):
        if value is not None:
            raise UsageError(f"{option} {value}: without --stack, this is about the local endpoint; add --stack NAME")


def place_options(state: Path, stack: str | None, region: str | None, profile: str | None) -> str:
    """Return the options, with a space before each, that lead another command to the same place, if it needs any."""
    if not stack:
        return "" if state == STATE else f" --state {shlex.quote(str(state))}"
    given = (("--stack", stack), ("--region", region), ("--profile", profile))
    return "".join(f" {option} {shlex.quote(value)}" for option, value in given if value)
