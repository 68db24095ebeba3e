"""Options that several subcommands of `mqtt443 device` have."""

from pathlib import Path
from typing import Annotated

import typer

ClientId = Annotated[
    str, typer.Argument(metavar="CLIENT_ID", help="The device's client id, as in its config.json.", show_default=False)
]
Password = Annotated[
    str | None,
    typer.Option(
        envvar="MQTT443_PASSWORD",
        show_default=False,
        help="A password of your own; - reads it from standard input. Default: a generated one.",
    ),
]
Out = Annotated[Path | None, typer.Option(help="Write the credentials into this config.json instead of showing them.")]
