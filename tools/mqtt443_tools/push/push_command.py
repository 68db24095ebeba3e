"""The command `mqtt443 push`: options in, the library called, exit code out. mpremote is loaded only when it runs."""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqtt443_tools.device.backends import DeviceBackend, open_backend
from mqtt443_tools.device.device_console import reported
from mqtt443_tools.flash.progress import Screen
from mqtt443_tools.support.config_file import read_config
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import STATE

if TYPE_CHECKING:
    from mqtt443_tools.factory.batch import Recipe

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
    bundle: Annotated[
        Path | None,
        typer.Option(help="Write a littlefs image for `mqtt443 flash --files` instead; with --csv, a folder of them."),
    ] = None,
    blocks: Annotated[int, typer.Option(min=16, max=8192, help="For --bundle: its size, in 4,096 bytes.")] = 512,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Register the devices of this table, with a bundle each, and a sheet of labels."),
    ] = None,
    state: Annotated[Path, typer.Option(help="For --csv: the state folder of the local endpoint.")] = STATE,
    stack: Annotated[str | None, typer.Option(help="For --csv: a stack in AWS instead.")] = None,
    region: Annotated[str | None, typer.Option(help="For --stack: the AWS region.")] = None,
    profile: Annotated[str | None, typer.Option(help="For --stack: the AWS profile.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Overwrite a config.json that may be newer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Put boot.py, main.py, the device package, the config with its CA, and sensors.py onto a board on USB.

    Only what changed is sent; a program that runs on the board is stopped for it, and started again.
    """
    try:
        from mqtt443_tools.factory.batch import Recipe  # noqa: PLC0415
        from mqtt443_tools.flash import ports  # noqa: PLC0415 - the set-up for `make demo` has neither
        from mqtt443_tools.push import board_tree as tree  # noqa: PLC0415
        from mqtt443_tools.push import bundle as bundles  # noqa: PLC0415
        from mqtt443_tools.push.push import Wish  # noqa: PLC0415
        from mqtt443_tools.push.push import push as push_files  # noqa: PLC0415
        from mqtt443_tools.push.serial_repl import open_link  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(
            f"push needs {error.name}, which is not installed: .venv/bin/pip install --editable '.[board]'"
        ) from error
    screen = PushScreen(as_json=as_json, yes=yes)
    if table is not None:
        if bundle is None:
            raise UsageError("--csv needs --bundle FOLDER for the bundles")
        with reported():
            backend = open_backend(state, stack, region, profile)
            # The local endpoint's own address is nothing to a board; a stack's is what it needs.
            keys = read_config(config) | (backend.config() if stack else {})
            _factory(table, backend, Recipe(keys, config.parent, blocks, source), bundle, screen, as_json=as_json)
        return
    settings = tree.read_settings(config)
    if bundle is not None:
        files = bundles.contents(settings, tree.own_files(config, settings), source=source)
        size = bundles.write(bundle, files, blocks)
        screen.say(f"wrote {bundle}: {len(files)} files of {settings.client_id}, {size:,} B; it holds the password")
        screen.say(f"next: mqtt443 flash --files {bundle}")
        if as_json:
            typer.echo(json.dumps({"bundle": str(bundle), "files": sorted(files), "size_bytes": size}))
        return
    wish = Wish(settings, tree.own_files(config, settings), source=source, dry=dry_run, start=start)
    device = port or ports.choose(ports.usb_ports(), screen.ask_port if sys.stdin.isatty() else None).device
    screen.say(f"port {device}")
    with open_link(device) as link:
        done = push_files(link, wish, screen)
    if as_json:
        typer.echo(json.dumps({"port": device, "dry_run": dry_run, **asdict(done)}))


push.__doc__ = f"{push.__doc__}\n\n    {EXAMPLE}"


def _factory(
    table: Path, backend: DeviceBackend, recipe: "Recipe", folder: Path, screen: "PushScreen", *, as_json: bool
) -> None:
    """Make the bundles of a table, and say which."""
    from mqtt443_tools.factory.batch import LABELS, make, read_rows  # noqa: PLC0415

    rows = read_rows(table)
    with screen.writing():
        written, there = make(rows, backend, recipe, folder, now=time.time(), progress=screen.progress)
    for path in written:
        screen.say(f"wrote {path}")
    screen.say(f"{len(written)} devices registered, {there} had been; labels in {folder / LABELS}")
    screen.say("the bundles hold passwords: flash each onto its board with `mqtt443 flash --files`, then delete it")
    if as_json:
        typer.echo(json.dumps({"bundles": [str(path) for path in written], "there": there}))


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
