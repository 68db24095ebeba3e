"""The command `mqtt443 push`: options in, the library called, exit code out. mpremote is loaded only when it runs."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqtt443_tools.support.config_file import read_config
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.options import (
    ConfigOption,
    JsonOption,
    PortOption,
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
    YesOption,
)
from mqtt443_tools.support.paths import STATE

if TYPE_CHECKING:
    from mqtt443_tools.device.backends import DeviceBackend
    from mqtt443_tools.factory.batch import Recipe

EXAMPLE = "Example: mqtt443 push --config config.json"


def push(
    *,
    config: ConfigOption = Path("config.json"),
    port: PortOption = None,
    source: Annotated[bool, typer.Option("--source", help="Send the package as source, not compiled.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    start: Annotated[bool, typer.Option("--start/--no-start", help="Restart the board at the end.")] = True,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Write a littlefs image for `mqtt443 flash --files` instead; with --csv, a folder of them."),
    ] = None,
    blocks: Annotated[int, typer.Option(min=16, max=8192, help="For --bundle: its size, in 4,096 bytes.")] = 512,
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Register the devices in this table; make a bundle for each, and a label sheet."),
    ] = None,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put boot.py, main.py, the device package, the config with its CA, and sensors.py onto a board on USB.

    Sends only what changed; stops the program on the board, and starts it again. With --stack, or with the CA file of
    the local endpoint, it first compares the config with the devices registered there, and warns.
    """
    from mqtt443_tools.device.backends import open_backend  # noqa: PLC0415 - loads the local endpoint's code
    from mqtt443_tools.device.config_advice import advise  # noqa: PLC0415
    from mqtt443_tools.device.device_console import reported  # noqa: PLC0415
    from mqtt443_tools.factory.batch import Recipe  # noqa: PLC0415 - loads littlefs
    from mqtt443_tools.flash import ports  # noqa: PLC0415 - loads pyserial
    from mqtt443_tools.push import board_tree  # noqa: PLC0415 - loads the board's code
    from mqtt443_tools.push import bundle as bundles  # noqa: PLC0415
    from mqtt443_tools.push.push import PushRequest  # noqa: PLC0415
    from mqtt443_tools.push.push import push as push_files  # noqa: PLC0415
    from mqtt443_tools.push.serial_repl import open_link  # noqa: PLC0415

    console = Console(to_stderr=as_json, yes=yes)
    if table is not None:
        if bundle is None:
            raise UsageError("--csv needs --bundle FOLDER for the bundles")
        backend = open_backend(state, stack, region, profile)
        with reported():
            # The local endpoint's address is of no use to a board; a stack's is what it needs.
            keys = read_config(config) | (backend.config() if stack else {})
            recipe = Recipe(keys, config.parent, blocks, source)
            made = _make_batch(table, backend, recipe, bundle, console)
        if as_json:
            typer.echo(json.dumps(made))
        return
    settings = board_tree.read_settings(config)
    own = board_tree.own_files(config, settings)
    warnings = advise(read_config(config), config, state=state, stack=stack, region=region, profile=profile)
    for warning in warnings:
        console.warn(f"warning: {warning}")
    if bundle is not None:
        files = bundles.contents(settings, own, source=source)
        size = bundles.write(bundle, files, blocks)
        console.say(f"wrote {bundle}: {len(files)} files of {settings.client_id}, {size:,} B; it holds the password")
        console.say(f"next: mqtt443 flash --files {bundle}")
        if as_json:
            typer.echo(json.dumps({"bundle": str(bundle), "files": sorted(files), "size_bytes": size}))
        return
    request = PushRequest(settings, own, source=source, dry_run=dry_run, start=start)
    device = port or ports.choose(ports.usb_ports(), console).device
    console.say(f"port {device}")
    with open_link(device) as link:
        result = push_files(link, request, console)
    if as_json:
        typer.echo(json.dumps({"port": device, "dry_run": dry_run, "warnings": warnings, **asdict(result)}))


push.__doc__ = f"{push.__doc__}\n\n    {EXAMPLE}"


def _make_batch(
    table: Path, backend: "DeviceBackend", recipe: "Recipe", folder: Path, console: Console
) -> dict[str, object]:
    """Register the devices of a table and make their bundles; return what was done, for JSON."""
    from mqtt443_tools.factory.batch import LABELS, make, read_rows  # noqa: PLC0415

    rows = read_rows(table)
    with console.progress("registering") as advance:
        written, existing = make(rows, backend, recipe, folder, now=time.time(), progress=advance)
    for path in written:
        console.say(f"wrote {path}")
    console.say(f"{len(written)} devices registered, {existing} already were; labels in {folder / LABELS}")
    console.say("the bundles hold passwords: flash each onto its board with `mqtt443 flash --files`, then delete it")
    return {"bundles": [str(path) for path in written], "there": existing}
