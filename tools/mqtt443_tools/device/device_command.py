"""`mqtt443 device`: a thin command over registration.py; backends.py knows where devices are kept."""

import json
import time
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from mqtt443_authorizer.device import Device
from rich.text import Text

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import open_backend
from mqtt443_tools.device.device_config import add_with_config
from mqtt443_tools.device.device_console import (
    disconnect,
    minute,
    read_password,
    reported,
    show_secret,
    undone_unless_delivered,
)
from mqtt443_tools.device.device_options import ClientId, Out, Password
from mqtt443_tools.device.rotate_command import rotate
from mqtt443_tools.support.activity import Activity
from mqtt443_tools.support.command_line import new_app
from mqtt443_tools.support.console import Console, print_table, result_table
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import (
    JsonOption,
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
    YesOption,
)
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable

app = new_app(
    "device",
    "Register, list and change the devices of the local endpoint, or of a stack in AWS.",
    "mqtt443 device add sensor-1 --out config.json",
)


@app.command(epilog="Example: mqtt443 device add myClientName --username username --password -")
def add(
    client_id: ClientId,
    *,
    username: Annotated[str | None, typer.Option(help="Default: the client id.")] = None,
    password: Password = None,
    publish: Annotated[list[str] | None, typer.Option(help="A topic it may also publish to; repeatable.")] = None,
    subscribe: Annotated[list[str] | None, typer.Option(help="A filter it may also subscribe to; repeatable.")] = None,
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
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a device; a generated password is shown once, or only written to --out."""
    if out is None and (endpoint is not None or port is not None or ca is not None):
        raise UsageError("--endpoint, --port and --ca go with --out")
    chosen = read_password(password)
    backend = open_backend(state, stack, region, profile)
    topics, filters = publish or (), subscribe or ()
    if out is not None:
        overrides = {key: value for key, value in (("endpoint", endpoint), ("port", port)) if value is not None}
        config: dict[str, object] = {}
        added = add_with_config(
            backend,
            client_id,
            out,
            now=time.time(),
            username=username,
            password=chosen,
            publish=topics,
            subscribe=filters,
            overrides=overrides,
            ca=ca,
        )
    else:
        with reported():
            config = backend.config()
            added = registration.add_device(
                backend.store,
                client_id,
                username=username,
                password=chosen,
                publish=topics,
                subscribe=filters,
                now=time.time(),
                template=backend.template(),
            )
    with undone_unless_delivered(
        lambda: registration.remove(backend.store, client_id), "nothing was registered", is_delivered=out is not None
    ):
        show_secret("added", added, out, config, is_chosen=chosen is not None, as_json=as_json)


@app.command("list", epilog="Example: mqtt443 device list --match 'hall-*' --online")
def list_devices(
    *,
    match: Annotated[str, typer.Option(help="Client ids to list, with * and ? as in file names.")] = "*",
    online: Annotated[
        bool | None, typer.Option("--online/--offline", help="Only those that are connected, or are not.")
    ] = None,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the registered devices, without secrets."""
    backend = open_backend(state, stack, region, profile)
    with reported():
        registered = backend.store.all()
        matching = [device for device in registered if fnmatchcase(device.client_id, match)]
        activity = backend.activity([device.client_id for device in matching])
    known = sum(each.online is not None for each in activity.values())
    if online is not None and known < len(matching):
        raise UsageError(
            f"--online, --offline: AWS is asked about {known} of these {len(matching)} devices: add --match"
        )
    found = [device for device in matching if online in {None, activity[device.client_id].online}]
    if as_json:
        typer.echo(json.dumps([_row(device, activity[device.client_id]) for device in found]))
        return
    if not found:
        add_one = f"mqtt443 device add NAME --{'stack ' + stack if stack else f'state {state}'} --out config.json"
        of_all = f"none of the {len(registered)} registered devices matches"
        Console().say(of_all if registered else f"no devices are registered; add one with: {add_one}")
        return
    names = ("client id", "user name")
    short = ("last seen (UTC)", "transport", "version", "failures", "enabled")
    table = result_table({**dict.fromkeys(names, True), **dict.fromkeys(short, False)})
    for device in found:
        seen = activity[device.client_id]
        about = (_last_seen(seen), seen.transport, seen.version, seen.failures, "yes" if device.enabled else "no")
        shown = ["-" if each is None else printable(str(each)) for each in (device.client_id, device.username, *about)]
        table.add_row(*map(Text, shown))  # Text: a name is never read as markup
    print_table(table)


def _row(device: Device, activity: Activity) -> dict[str, object]:
    """Return the fields of a device to show; None is unknown."""
    return {
        "client_id": device.client_id,
        "username": device.username,
        **asdict(activity),
        "enabled": device.enabled,
        "secrets": len(device.secrets),
        "created_at": device.created_at,
    }


def _last_seen(activity: Activity) -> str | None:
    """Return when a device was last seen, for people; None is unknown."""
    if activity.online or activity.online is None:
        return "online" if activity.online else None
    if activity.last_seen is None:
        return "never"
    return minute(int(activity.last_seen)).removesuffix(" UTC")


app.command(epilog="Example: mqtt443 device rotate sensor-1 --out config.json")(rotate)


@app.command(epilog="Example: mqtt443 device disable sensor-1")
def disable(
    client_id: ClientId,
    *,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep a device from logging in, and close its connection."""
    backend = open_backend(state, stack, region, profile)
    with reported():
        registration.set_enabled(backend.store, client_id, False)
    disconnect(backend, client_id, "is disabled", as_json=as_json)


@app.command(epilog="Example: mqtt443 device enable sensor-1")
def enable(
    client_id: ClientId,
    *,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a disabled device log in again."""
    with reported():
        registration.set_enabled(open_backend(state, stack, region, profile).store, client_id, True)
    typer.echo(json.dumps({"client_id": client_id}) if as_json else f"{client_id} is enabled")


@app.command(epilog="Example: mqtt443 device remove sensor-1 --yes")
def remove(
    client_id: ClientId,
    *,
    yes: YesOption = False,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a device, and close its connection."""
    console = Console(to_stderr=as_json, yes=yes)
    backend = open_backend(state, stack, region, profile)
    if not console.confirm(f"Delete {client_id}?", "remove asks before it deletes a device, and there is no terminal"):
        raise CommandError(f"{client_id} was not deleted")
    with reported():
        registration.remove(backend.store, client_id)
    disconnect(backend, client_id, "was deleted", as_json=as_json)
