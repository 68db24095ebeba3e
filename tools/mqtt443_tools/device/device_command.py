"""`mqtt443 device`: the thin command over registration.py, with places.py for where and board_config.py for --out."""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import open_backend
from mqtt443_tools.device.device_console import credentials, cut, minute, read_password, reported, show_secret
from mqtt443_tools.support.config_file import copy_ca, read_config, update_config
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.paths import STATE

app = typer.Typer(
    help="Register devices with the local endpoint, or with a stack in AWS, and change them.",
    epilog="Example: mqtt443 device add sensor-1 --out config.json",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

ClientId = Annotated[str, typer.Argument(help="The device's client id, as in its config.json.", show_default=False)]
Password = Annotated[
    str | None,
    typer.Option(
        envvar="MQTT443_PASSWORD",
        show_default=False,
        help="A password of your own; - reads it from standard input. Without it one is generated.",
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="Write it into this config.json instead of showing a generated password.")
]
State = Annotated[Path, typer.Option(help="The state folder of the local endpoint.")]
StackName = Annotated[
    str | None, typer.Option("--stack", help="A stack of `mqtt443 cloud deploy`, instead of the local endpoint.")
]
Region = Annotated[str | None, typer.Option(help="For --stack: the AWS region.")]
Profile = Annotated[str | None, typer.Option(help="For --stack: the AWS profile.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document, for scripts.")]


@app.command(epilog="Example: mqtt443 device add myClientName --username username --password -")
def add(
    client_id: ClientId,
    *,
    username: Annotated[str | None, typer.Option(help="Default: the client id.")] = None,
    password: Password = None,
    publish: Annotated[list[str] | None, typer.Option(help="A topic of its own to publish to; repeatable.")] = None,
    subscribe: Annotated[list[str] | None, typer.Option(help="A topic filter of its own; repeatable.")] = None,
    out: Out = None,
    endpoint: Annotated[
        str | None, typer.Option(help="For --out: the host to connect to; default: localhost, or the stack's.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="For --out: its port; default: 8443, or the stack's.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="For --out: its CA file, copied beside it; default: the local one, or Amazon's.")
    ] = None,
    state: State = STATE,
    stack: StackName = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Register a device; a generated password is shown once, or goes only into --out."""
    if out is not None:
        read_config(out)  # what cannot be merged is found before the password exists
    chosen = read_password(password)
    backend = open_backend(state, stack, region, profile)
    with reported():
        config = backend.config()
        added = registration.add_device(
            backend.store,
            client_id,
            username=username,
            password=chosen,
            publish=publish or (),
            subscribe=subscribe or (),
            now=time.time(),
            template=backend.template(),
        )
    if out is not None:
        config |= {key: value for key, value in (("endpoint", endpoint), ("port", port)) if value is not None}
        try:
            config["ca"] = backend.write_ca(out) if ca is None else copy_ca(ca, out)
            update_config(out, {**config, **credentials(added)})
        except CommandError:
            with reported():
                registration.remove(backend.store, client_id)  # nobody knows its password
            raise
    show_secret("added", added, out, config, is_chosen=chosen is not None, as_json=as_json)


@app.command("list", epilog="Example: mqtt443 device list --json")
def list_devices(
    *,
    state: State = STATE,
    stack: StackName = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List the registered devices, without anything secret."""
    with reported():
        found = open_backend(state, stack, region, profile).store.all()
    rows = [
        {
            "client_id": device.client_id,
            "username": device.username,
            "enabled": device.enabled,
            "secrets": len(device.secrets),
            "created_at": device.created_at,
        }
        for device in found
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    console = Console() if sys.stdout.isatty() else Console(width=1000, color_system=None)
    columns = ("client id", "user name", "enabled", "secrets", "created")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for device in found:
        enabled = "yes" if device.enabled else "no"
        created = minute(device.created_at)
        # Text: a name is never read as markup.
        table.add_row(Text(device.client_id), Text(device.username), enabled, str(len(device.secrets)), created)
    console.print(table)


@app.command(epilog="Example: mqtt443 device rotate sensor-1 --out config.json")
def rotate(
    context: typer.Context,
    client_id: ClientId,
    *,
    password: Password = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Make no new password; end the old one and its connection.")
    ] = False,
    keep_hours: Annotated[
        int, typer.Option(min=1, max=8760, help="The old password ends by itself after so many hours.")
    ] = registration.KEEP_S // 3600,
    out: Out = None,
    state: State = STATE,
    stack: StackName = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Give a device a new password; the old one stays valid for a while, until --drop-old or the next rotation."""
    backend = open_backend(state, stack, region, profile)
    if drop_old:
        source = context.get_parameter_source("password")
        if out is not None or (source is not None and source.name == "COMMANDLINE"):
            raise UsageError("--drop-old makes no new password: leave out --out and --password")
    elif out is not None:
        read_config(out)
    chosen = None if drop_old else read_password(password)
    with reported():
        if said := backend.password_uses(client_id):  # before the old one ends
            typer.echo(said, err=True)
        if drop_old:
            registration.drop_old(backend.store, client_id)
            cut(backend, client_id, "has one password now", as_json=as_json)
            return
        added = registration.rotate(
            backend.store, client_id, password=chosen, now=time.time(), keep_s=keep_hours * 3600
        )
    if out is not None:
        try:
            update_config(out, credentials(added))
        except CommandError:
            with reported():
                registration.take_back(backend.store, added)
            raise
    show_secret("rotated", added, out, {}, is_chosen=chosen is not None, as_json=as_json)


@app.command(epilog="Example: mqtt443 device disable sensor-1")
def disable(
    client_id: ClientId,
    *,
    state: State = STATE,
    stack: StackName = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Keep a device from logging in, and cut its connection."""
    backend = open_backend(state, stack, region, profile)
    with reported():
        registration.set_enabled(backend.store, client_id, False)
    cut(backend, client_id, "is disabled", as_json=as_json)


@app.command(epilog="Example: mqtt443 device enable sensor-1")
def enable(
    client_id: ClientId,
    *,
    state: State = STATE,
    stack: StackName = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Let a disabled device log in again."""
    with reported():
        registration.set_enabled(open_backend(state, stack, region, profile).store, client_id, True)
    typer.echo(f"{client_id} is enabled")


@app.command(epilog="Example: mqtt443 device remove sensor-1 --yes")
def remove(
    client_id: ClientId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    state: State = STATE,
    stack: StackName = None,
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Forget a device, and cut its connection."""
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("remove asks before it forgets a device, and nobody is there to answer: add --yes")
        if not typer.confirm(f"Forget {client_id}?"):
            raise CommandError(f"{client_id} stays as it is")
    backend = open_backend(state, stack, region, profile)
    with reported():
        registration.remove(backend.store, client_id)
    cut(backend, client_id, "is removed", as_json=as_json)
