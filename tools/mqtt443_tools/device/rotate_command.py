"""`mqtt443 device rotate`: a new password for one device, or over the air for many."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mqtt443_tools.device import registration
from mqtt443_tools.device.backends import DeviceBackend, open_backend
from mqtt443_tools.device.device_console import (
    credentials,
    disconnect,
    read_password,
    reported,
    show_secret,
    undone_unless_delivered,
)
from mqtt443_tools.device.device_options import Out, Password
from mqtt443_tools.support.config_file import read_config, update_config
from mqtt443_tools.support.console import Console, print_table, result_table
from mqtt443_tools.support.errors import CommandError, UsageError
from mqtt443_tools.support.options import (
    JsonOption,
    ProfileOption,
    RegionOption,
    StackOption,
    StateOption,
    YesOption,
    given_options,
)
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable
from mqtt443_tools.update.boards import choose_devices
from mqtt443_tools.update.follow_job import BoardResult
from mqtt443_tools.update.job_service import JobService
from mqtt443_tools.update.open_service import open_service
from mqtt443_tools.update.rotation import BAD, Rotation
from mqtt443_tools.update.start_job import check_targets

DAY_S = 86_400
FOLLOW_S = 300.0
"""More than the 120 s that a board tries a password, plus a reset or two."""


def rotate(
    context: typer.Context,
    devices: Annotated[
        list[str] | None,
        typer.Argument(metavar="CLIENT_ID", help="One device; with --over-the-air, any number.", show_default=False),
    ] = None,
    *,
    password: Password = None,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="End the old password and the device's connection; make no new password.")
    ] = False,
    keep_hours: Annotated[
        int, typer.Option(min=1, max=8760, help="Hours until the old password ends by itself.")
    ] = registration.KEEP_S // 3600,
    out: Out = None,
    over_the_air: Annotated[
        bool,
        typer.Option(
            "--over-the-air", help="Send the new password to the board; drop the old one once the board uses it."
        ),
    ] = False,
    all_devices: Annotated[bool, typer.Option("--all", help="With --over-the-air: every enabled device.")] = False,
    group: Annotated[
        Path | None,
        typer.Option(show_default=False, help="With --over-the-air: a table with client ids in its first column."),
    ] = None,
    older_than: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=1, show_default=False, help="With --all: only passwords that are older."),
    ] = None,
    follow_s: Annotated[
        float, typer.Option("--follow", min=0, help="Over the air: seconds to wait for each board.")
    ] = FOLLOW_S,
    yes: YesOption = False,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a device a new password; the old one stays valid for a while, until --drop-old or the next rotation."""
    given = set(given_options(context))
    _check(given, over_the_air=over_the_air, is_one=len(devices or ()) == 1, out=out)
    backend = open_backend(state, stack, region, profile)
    if over_the_air:
        with reported():
            chosen = choose_devices(backend.store, devices or (), all_devices=all_devices, group=group)
            if older_than is not None:
                chosen = _older(backend, chosen, time.time() - older_than * DAY_S)
        check_targets(chosen)
        console = Console(to_stderr=as_json, yes=yes)
        if len(chosen) > 1 and not console.confirm(f"Give {len(chosen)} devices a new password?"):
            raise CommandError("no password was changed")
        with open_service(state, stack, region, profile) as service:
            rows = _over_the_air(backend, service, chosen, console, follow_s=follow_s, out=out)
        _report(rows, console, out, as_json=as_json)
        return
    (client_id,) = devices or [""]
    text = None if drop_old else read_password(password)
    with reported():
        if uses := backend.password_uses(client_id):  # before the old password is gone
            typer.echo(uses, err=True)
        if drop_old:
            registration.drop_old(backend.store, client_id)
            disconnect(backend, client_id, "has one password now", as_json=as_json)
            return
        added = registration.rotate(backend.store, client_id, password=text, now=time.time(), keep_s=keep_hours * 3600)
    if out is not None:
        try:
            update_config(out, credentials(added))
        except CommandError:
            with reported():
                registration.take_back(backend.store, added)
            raise
    with undone_unless_delivered(
        lambda: registration.take_back(backend.store, added), "the old password stays", is_delivered=out is not None
    ):
        show_secret("rotated", added, out, {}, is_chosen=text is not None, as_json=as_json)


def _older(backend: DeviceBackend, client_ids: list[str], before: float) -> list[str]:
    """Return those whose newest password was made before a time (Unix seconds), or whose rotation has not ended."""
    found = []
    for device in backend.store.all():
        newest, *old = device.secrets
        if newest.created_at < before or any(not each.expires_at for each in old):
            found.append(device.client_id)
    return sorted(set(found) & set(client_ids))


def _over_the_air(
    backend: DeviceBackend,
    service: JobService,
    client_ids: list[str],
    console: Console,
    *,
    follow_s: float,
    out: Path | None,
) -> list[BoardResult]:
    """Rotate the passwords of boards, and say what became of each; `out` is the config.json of the only one."""
    deliver = None if out is None else lambda password: update_config(out, {"password": password})
    rotation = Rotation(backend, service, follow_s=follow_s, deliver=deliver)
    rows: list[BoardResult] = []
    try:
        with reported():
            for row in rotation.run(client_ids):
                console.say(f"{row.client_id}: {row.result}{f': {row.details}' if row.details else ''}")
                rows.append(row)
    except KeyboardInterrupt:
        console.warn("boards that have begun keep both passwords; run the command again to go on")
        raise
    for job_id in rotation.not_deleted:
        console.warn(f"job {job_id} has a password in its document, and could not be deleted: delete it")
    return rows


def _report(rows: list[BoardResult], console: Console, out: Path | None, *, as_json: bool) -> None:
    """Print what became of the boards; raises CommandError if one needs a person."""
    counts = {word: sum(row.result == word for row in rows) for word in dict.fromkeys(row.result for row in rows)}
    if as_json:
        boards = [{"client_id": row.client_id, "result": row.result, "details": row.details} for row in rows]
        typer.echo(json.dumps({"counts": counts, "boards": boards}))
    elif len(rows) > 1:
        table = result_table(dict.fromkeys(("client id", "result", "reason"), True))
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in (row.client_id, row.result, row.details)))
        print_table(table)
    elif not rows:
        console.say("no password is that old")
    if out is not None and counts.get("done"):
        console.say(f"wrote {out}")
    if counts.get("waiting"):
        console.say("a waiting board needs to be online and to have updates in its config.json; then run this again")
    if bad := sum(counts.get(word, 0) for word in (*BAD, "not started")):
        raise CommandError(f"{bad} of {len(rows)} boards have no new password")


def _check(given: set[str], *, over_the_air: bool, is_one: bool, out: Path | None) -> None:
    """Check which options were given together. Raises UsageError, and CommandError for an `out` that is no config."""
    if over_the_air:
        if given & {"password", "drop_old", "keep_hours"}:
            raise UsageError("--over-the-air makes the password: leave out --password, --drop-old and --keep-hours")
        if "older_than" in given and "all_devices" not in given:
            raise UsageError("--older-than goes with --all")
        if out is not None and not is_one:
            raise UsageError("--out is for one device")
    else:
        if given & {"all_devices", "group", "older_than", "follow_s"}:
            raise UsageError("--all, --group, --older-than and --follow go with --over-the-air")
        if not is_one:
            raise UsageError("name one device, or add --over-the-air")
        if "drop_old" in given and (out is not None or given & {"password", "keep_hours"}):
            raise UsageError("--drop-old makes no new password: leave out --out, --password and --keep-hours")
    if out is not None:
        read_config(out)
