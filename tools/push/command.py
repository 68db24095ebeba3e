"""The command `mqtt443 push`: options in, the library called, exit code out. mpremote is loaded only when it runs."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tools.errors import CommandError, UsageError
from tools.flash.screen import Screen

EXAMPLE = "Example: mqtt443 push --config config.json"


def push(
    *,
    config: Annotated[Path, typer.Option(help="The board's config.json; its CA and sensors.py lie beside it.")] = Path(
        "config.json"
    ),
    port: Annotated[
        str | None, typer.Option(help="The board's serial port; without it, it is looked for.", show_default=False)
    ] = None,
    source: Annotated[bool, typer.Option("--source", help="Send the package as source, not compiled.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Start the board again in the end.")] = True,
    yes: Annotated[bool, typer.Option("--yes", help="Overwrite a config.json that may be newer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Put boot.py, main.py, the device package, the config with its CA, and sensors.py onto a board on USB.

    Only what changed is sent; a program that runs on the board is stopped for it, and started again.
    """
    try:
        from tools.flash import ports  # noqa: PLC0415 - the set-up for `make demo` has neither
        from tools.push import tree  # noqa: PLC0415
        from tools.push.link import open_link  # noqa: PLC0415
        from tools.push.push import Wish  # noqa: PLC0415
        from tools.push.push import push as push_files  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(
            f"push needs {error.name}, which is not installed: .venv/bin/pip install --editable '.[board]'"
        ) from error
    screen = PushScreen(as_json=as_json, yes=yes)
    settings = tree.read_settings(config)
    wish = Wish(settings, tree.own_files(config, settings), source=source, dry=dry_run, start=start)
    device = port or ports.choose(ports.usb_ports(), screen.ask_port if sys.stdin.isatty() else None).device
    screen.say(f"port {device}")
    with open_link(device) as link:
        done = push_files(link, wish, screen)
    if as_json:
        typer.echo(json.dumps({"port": device, "dry_run": dry_run, **asdict(done)}))


push.__doc__ = f"{push.__doc__}\n\n    {EXAMPLE}"


class PushScreen(Screen):
    """The screen of `flash`, with the question that push may have."""

    def __init__(self, *, as_json: bool, yes: bool) -> None:
        super().__init__(as_json=as_json)
        self._yes = yes

    def ask_overwrite(self, why: str) -> bool:
        """Return whether the board's config may go; raises UsageError if nobody can answer."""
        if self._yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"{why}: to overwrite it, add --yes")
        return typer.confirm(f"{why[0].upper()}{why[1:]}. Overwrite it?", err=True)
