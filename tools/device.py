"""`mqtt443 device`: the thin command over devices.py, with board_config.py for --out."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from authorizer.errors import AlreadyRegistered, AuthorizerError, DeviceError, NotRegistered
from authorizer.filestore import FileStore
from authorizer.policy import Template
from authorizer.secret import MAX_PASSWORD_BYTES
from authorizer.settings import policy_path
from tools import devices
from tools.board_config import copy_ca, read_config, update_config
from tools.errors import CommandError, UsageError
from tools.localcore.certificates import local_ca
from tools.localcore.control_client import ControlError, disconnect_live
from tools.paths import STATE

app = typer.Typer(
    help="Register devices with the local endpoint, and change them.",
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
    endpoint: Annotated[str, typer.Option(help="For --out: the host to connect to.")] = "localhost",
    port: Annotated[int, typer.Option(min=1, max=65535, help="For --out: its port.")] = 8443,
    ca: Annotated[
        Path | None, typer.Option(help="For --out: its CA file, copied beside it; default: the local endpoint's.")
    ] = None,
    state: State = STATE,
    as_json: AsJson = False,
) -> None:
    """Register a device; a generated password is shown once, or goes only into --out."""
    if out is not None:
        read_config(out)  # what cannot be merged is found before the password exists
    chosen = _password(password)
    store = _store(state)
    with _reported():
        added = devices.add_device(
            store,
            client_id,
            username=username,
            password=chosen,
            publish=publish or (),
            subscribe=subscribe or (),
            now=time.time(),
            template=Template.load(policy_path(os.environ)),
        )
    if out is not None:
        try:
            place = {"endpoint": endpoint, "port": port, "ca": copy_ca(ca or local_ca(state), out)}
            update_config(out, {**place, **_credentials(added)})
        except CommandError:
            with _reported():
                devices.remove(store, client_id)  # nobody knows its password
            raise
    _show_secret("added", added, out, is_chosen=chosen is not None, as_json=as_json)


@app.command("list", epilog="Example: mqtt443 device list --json")
def list_devices(*, state: State = STATE, as_json: AsJson = False) -> None:
    """List the registered devices, without anything secret."""
    with _reported():
        found = _store(state).all()
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
        created = f"{datetime.fromtimestamp(device.created_at, UTC):%Y-%m-%d %H:%M} UTC"
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
    out: Out = None,
    state: State = STATE,
    as_json: AsJson = False,
) -> None:
    """Give a device a new password; the old one stays valid until --drop-old or the next rotation."""
    store = _store(state)
    if drop_old:
        source = context.get_parameter_source("password")
        if out is not None or (source is not None and source.name == "COMMANDLINE"):
            raise UsageError("--drop-old makes no new password: leave out --out and --password")
        with _reported():
            device = devices.drop_old(store, client_id)
        _cut(state, device.client_id, "has one password now", as_json=as_json)
        return
    if out is not None:
        read_config(out)
    chosen = _password(password)
    with _reported():
        added = devices.rotate(store, client_id, password=chosen, now=time.time())
    if out is not None:
        try:
            update_config(out, _credentials(added))
        except CommandError:
            with _reported():
                devices.take_back(store, added)
            raise
    _show_secret("rotated", added, out, is_chosen=chosen is not None, as_json=as_json)


@app.command(epilog="Example: mqtt443 device disable sensor-1")
def disable(client_id: ClientId, *, state: State = STATE, as_json: AsJson = False) -> None:
    """Keep a device from logging in, and cut its connection."""
    with _reported():
        devices.set_enabled(_store(state), client_id, False)
    _cut(state, client_id, "is disabled", as_json=as_json)


@app.command(epilog="Example: mqtt443 device enable sensor-1")
def enable(client_id: ClientId, *, state: State = STATE) -> None:
    """Let a disabled device log in again."""
    with _reported():
        devices.set_enabled(_store(state), client_id, True)
    typer.echo(f"{client_id} is enabled")


@app.command(epilog="Example: mqtt443 device remove sensor-1 --yes")
def remove(
    client_id: ClientId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    state: State = STATE,
    as_json: AsJson = False,
) -> None:
    """Forget a device, and cut its connection."""
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("remove asks before it forgets a device, and nobody is there to answer: add --yes")
        if not typer.confirm(f"Forget {client_id}?"):
            raise CommandError(f"{client_id} stays as it is")
    with _reported():
        devices.remove(_store(state), client_id)
    _cut(state, client_id, "is removed", as_json=as_json)


def _store(state: Path) -> FileStore:
    return FileStore(state / "devices.json")


def _password(given: str | None) -> str | None:
    """Give the chosen password; where it is to come from standard input, read one line of it."""
    if given != "-":
        return given
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return sys.stdin.readline(MAX_PASSWORD_BYTES + 2).removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UsageError("the password on standard input is not UTF-8") from None


def _credentials(added: devices.Added) -> dict[str, object]:
    return {"client_id": added.device.client_id, "username": added.device.username, "password": added.password}


def _show_secret(done: str, added: devices.Added, out: Path | None, *, is_chosen: bool, as_json: bool) -> None:
    """Say what was done; the password only if it was generated and is written nowhere else."""
    shown = _credentials(added)
    if is_chosen or out is not None:
        del shown["password"]
    if out is not None:
        shown["out"] = str(out)
    if as_json:
        typer.echo(json.dumps(shown))
        return
    typer.echo(f"{done} {added.device.client_id}, user name {added.device.username}")
    if "password" in shown:
        typer.echo(f"password {added.password}  (not stored: it cannot be shown again)")
    if out is not None:
        typer.echo(f"wrote {out}")


def _cut(state: Path, client_id: str, done: str, *, as_json: bool) -> None:
    """Cut the device's live connection, and say what was done."""
    try:
        was_connected = disconnect_live(state, client_id)
    except ControlError as error:
        raise CommandError(
            f"{client_id} {done}, but its connection may still be up: {error}; restart `mqtt443 local`"
        ) from error
    if as_json:
        typer.echo(json.dumps({"client_id": client_id, "disconnected": was_connected}))
    else:
        typer.echo(f"{client_id} {done}{'; its connection was cut' if was_connected else ''}")


@contextmanager
def _reported() -> Iterator[None]:
    """Turn the library's errors into those of a command: wrong values are wrong use, the rest has failed."""
    try:
        yield
    except DeviceError as error:
        raise UsageError(str(error)) from error
    except NotRegistered as error:
        raise CommandError(f"{error}: see `mqtt443 device list`") from error
    except AlreadyRegistered as error:
        raise CommandError(f"{error}: choose another, or see `mqtt443 device rotate`") from error
    except AuthorizerError as error:
        raise CommandError(str(error)) from error
