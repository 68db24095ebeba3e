"""The command `mqtt443 push`: options in, the library called, exit code out. mpremote is loaded only when it runs."""

import json
import time
from collections.abc import Mapping
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
    refuse_aws_options,
)
from mqtt443_tools.support.paths import STATE

if TYPE_CHECKING:
    from mqtt443_tools.push.board_tree import Settings


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
    blocks: Annotated[
        int, typer.Option(min=16, max=8192, help="For --bundle: its size in blocks of 4,096 bytes.")
    ] = 512,
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
    """Send the program, the config with its CA file, and sensors.py to a board on USB.

    Stops the program on the board, sends only what changed, and restarts the board. With --stack, or with the CA file
    of the local endpoint, it first compares the config with the devices registered there, and warns if they differ.
    """
    from mqtt443_tools.device.config_advice import advise  # noqa: PLC0415 - loads the local endpoint's code
    from mqtt443_tools.push import board_tree  # noqa: PLC0415 - loads the board's code

    console = Console(to_stderr=as_json, yes=yes)
    if stack is None:
        refuse_aws_options(region, profile)
    if table is not None:
        if bundle is None:
            raise UsageError("--csv needs --bundle FOLDER for the bundles")
        place = (state, stack, region, profile)
        result = _make_batch(table, config, bundle, place, console, blocks=blocks, source=source)
    else:
        settings = board_tree.read_settings(config)
        own = board_tree.own_files(config, settings)
        warnings = advise(read_config(config), config, state=state, stack=stack, region=region, profile=profile)
        for warning in warnings:
            console.warn(f"warning: {warning}")
        if bundle is not None:
            result = _write_bundle(bundle, settings, own, console, blocks=blocks, source=source)
        else:
            result = _push_to_board(port, settings, own, console, source=source, dry_run=dry_run, start=start)
            result["warnings"] = warnings
    if as_json:
        typer.echo(json.dumps(result))


def _push_to_board(
    port: str | None, settings: "Settings", own: Mapping[str, bytes], console: Console, **how: bool
) -> dict[str, object]:
    """Push to the board on a port; return what was done, for JSON."""
    from mqtt443_tools.flash import ports  # noqa: PLC0415 - loads pyserial
    from mqtt443_tools.push.push import PushRequest  # noqa: PLC0415
    from mqtt443_tools.push.push import push as push_files  # noqa: PLC0415
    from mqtt443_tools.push.serial_repl import open_link  # noqa: PLC0415 - loads mpremote

    request = PushRequest(settings, own, **how)
    device = port or ports.choose(ports.usb_ports(), console).device
    console.say(f"port {device}")
    with open_link(device) as link:
        result = push_files(link, request, console)
    return {"port": device, "dry_run": request.dry_run, **asdict(result)}


def _write_bundle(
    bundle: Path, settings: "Settings", own: Mapping[str, bytes], console: Console, *, blocks: int, source: bool
) -> dict[str, object]:
    """Write a board's bundle; return what was done, for JSON."""
    from mqtt443_tools.push import board_tree  # noqa: PLC0415 - loads the board's code
    from mqtt443_tools.push import bundle as bundles  # noqa: PLC0415 - loads littlefs

    files = bundles.contents(settings, own, board_tree.program(source=source))
    size = bundles.write(bundle, files, blocks)
    console.say(f"wrote {bundle}: {len(files)} files of {settings.client_id}, {size:,} B; it holds the password")
    console.say(f"next: mqtt443 flash --files {bundle}")
    return {"bundle": str(bundle), "files": sorted(files), "size_bytes": size}


def _make_batch(
    table: Path,
    config: Path,
    folder: Path,
    place: tuple[Path, str | None, str | None, str | None],
    console: Console,
    *,
    blocks: int,
    source: bool,
) -> dict[str, object]:
    """Register the devices of a table and make their bundles; return what was done, for JSON.

    Args:
        table: CSV.
        config: what the devices share.
        folder: for the bundles.
        place: the arguments of `open_backend`.
        console: for output.
        blocks: size of a bundle.
        source: the package as source.
    """
    from mqtt443_tools.device.backends import open_backend  # noqa: PLC0415
    from mqtt443_tools.device.device_console import reported  # noqa: PLC0415
    from mqtt443_tools.factory.batch import LABELS, Recipe, make, read_rows  # noqa: PLC0415 - loads littlefs

    backend = open_backend(*place)
    with reported():
        # The local endpoint's address is of no use to a board; a stack's is what it needs.
        keys = read_config(config) | (backend.config() if place[1] else {})
        recipe = Recipe(keys, config.parent, blocks, source)
        rows = read_rows(table)
        with console.progress("registering") as advance:
            written, existing = make(rows, backend, recipe, folder, now=time.time(), progress=advance)
    for path in written:
        console.say(f"wrote {path}")
    console.say(f"{len(written)} devices registered, {existing} already were; labels in {folder / LABELS}")
    console.say("the bundles hold passwords: flash each onto its board with `mqtt443 flash --files`, then delete it")
    return {"bundles": [str(path) for path in written], "there": existing}
