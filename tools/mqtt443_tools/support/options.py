"""Options that several commands have, each defined once."""

from pathlib import Path
from typing import Annotated

import typer

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
