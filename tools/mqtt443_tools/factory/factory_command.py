"""The command `mqtt443 factory run`: options in, a station run until the table is done, exit code out."""

import json
import shlex
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.command_line import new_app
from mqtt443_tools.support.config_file import read_config
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import (
    ConfigOption,
    JsonOption,
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
)
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix

PRINT_S = 30.0

app = new_app(
    "factory",
    "Flash, register, test and label board after board from a table.",
    "mqtt443 factory run devices.csv --image MQTT443_ESP32.bin",
)


@app.command("run", epilog="Example: mqtt443 factory run devices.csv --image MQTT443_ESP32.bin --labels labels")
def run(
    table: Annotated[
        Path,
        typer.Argument(metavar="DEVICES.CSV", help="Columns: client_id, and username, publish, subscribe if needed."),
    ],
    *,
    image: Annotated[Path, typer.Option(help="The image for every board.")],
    config: ConfigOption = Path("config.json"),
    port: Annotated[
        list[str] | None, typer.Option(show_default=False, help="A serial port; repeatable. Default: all ports on USB.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(show_default=False, help="The record; default: DEVICES-record.csv beside the table.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(show_default=False, help="Folder to save each label in, as SVG.")
    ] = None,
    print_with: Annotated[
        str | None, typer.Option("--print", show_default=False, help="Command that prints a label file, such as 'lp'.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="Seconds from flash to the first telemetry.")] = 90,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Flash, register, test and label a board for each device of a table; run it again to resume.

    Keys that all devices share, such as wifi, come from --config; your own code beside it goes onto every board.
    """
    needs_posix("mqtt443 factory")
    from mqtt443_tools.device.backends import open_backend  # noqa: PLC0415 - loads the local endpoint's code
    from mqtt443_tools.device.device_console import reported  # noqa: PLC0415
    from mqtt443_tools.factory.arrivals import Arrivals  # noqa: PLC0415
    from mqtt443_tools.factory.batch import Recipe, read_rows  # noqa: PLC0415 - loads littlefs
    from mqtt443_tools.factory.record import Record  # noqa: PLC0415
    from mqtt443_tools.factory.station import Job, Station  # noqa: PLC0415 - loads esptool
    from mqtt443_tools.flash.image import read_image  # noqa: PLC0415
    from mqtt443_tools.flash.ports import usb_ports  # noqa: PLC0415
    from mqtt443_tools.push import board_tree, bundle  # noqa: PLC0415

    console = Console(to_stderr=as_json)
    rows = read_rows(table)
    ports = port or [each.device for each in usb_ports()]
    if not ports:
        raise UsageError("no serial port on USB: plug in the stations' cables, or name ports with --port")
    kept = Record(record or table.with_name(f"{table.stem}-record.csv"))
    with (
        tempfile.TemporaryDirectory(prefix="mqtt443-factory-") as folder,
        _watching(state, stack, region, profile) as messages,
        reported(),
    ):
        backend = open_backend(state, stack, region, profile)
        keys = read_config(config) | backend.config()
        beside = Path(folder)
        keys["ca"] = backend.write_ca(beside / board_tree.CONFIG)
        job = Job(
            image=read_image(image),
            recipe=Recipe(keys, beside, bundle.DEFAULT_BLOCKS, source=False),
            compiled={**board_tree.program(source=False), **own_code(config.parent)},
            backend=backend,
            arrivals=Arrivals(messages),
            timeout_s=timeout,
            label=_labels(labels, print_with),
            now=time.time,
        )
        station = Station(rows, kept, job, console)
        if station.existing:
            console.say(f"{station.existing} of {len(rows)} devices are done already")
        try:
            station.run(ports)
        except KeyboardInterrupt:
            console.say(f"stopped; {station.made} were done in this run, and the same command continues from here")
            raise typer.Exit(130) from None
    console.say(f"{station.made} boards done, {station.failed} attempts failed; record in {kept.path}", style="green")
    if as_json:
        counts = {"done": station.made, "failed_attempts": station.failed, "already_done": station.existing}
        typer.echo(json.dumps({**counts, "record": str(kept.path)}))


@contextmanager
def _watching(
    state: Path, stack: str | None, region: str | None, profile: str | None
) -> Iterator[Iterator[Mapping[str, Any]]]:
    """Connect to the endpoint; yield the telemetry of all boards from now on. Raises CommandError."""
    if stack is None:
        from mqtt443_tools.localcore.control.control_client import ControlClient  # noqa: PLC0415

        with ControlClient(state) as control:
            yield control.watch("#", None)
        return
    from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415 - loads boto3
    from mqtt443_tools.watch.aws_messages import open_watcher  # noqa: PLC0415

    with open_watcher(open_aws(profile, region), stack) as watcher:
        yield watcher.watch("telemetry/+", None)


def _labels(folder: Path | None, print_with: str | None) -> Callable[[str, str], None]:
    """Return what saves and prints the label of a client id and a MAC address."""
    from mqtt443_tools.factory.labels import label  # noqa: PLC0415 - loads segno

    def make(client_id: str, mac: str) -> None:
        if folder is None and print_with is None:
            return
        with tempfile.TemporaryDirectory(prefix="mqtt443-label-") as scratch:
            path = (folder or Path(scratch)) / f"{client_id}.svg"
            try:
                write_private(path, label(client_id, mac).encode())
                if print_with is not None:
                    command = [*shlex.split(print_with), str(path)]
                    subprocess.run(command, check=True, capture_output=True, timeout=PRINT_S)
            except (OSError, subprocess.SubprocessError) as error:
                raise CommandError(f"the label of {client_id} was not made: {error}") from error

    return make
