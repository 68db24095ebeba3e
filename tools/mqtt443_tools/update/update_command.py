"""The command `mqtt443 update`: sends an update to boards through AWS IoT Jobs, and shows its progress."""

import json
import re
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from mqtt443_tools.device.backends import DeviceBackend, open_backend
from mqtt443_tools.device.device_console import reported
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
    place_options,
)
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable
from mqtt443_tools.update.boards import choose_devices, files_update, package_update, sensors_update
from mqtt443_tools.update.changes import changes
from mqtt443_tools.update.end_job import clean_up
from mqtt443_tools.update.follow_job import BAD, JobState, follow, job_state, results
from mqtt443_tools.update.job_documents import Update, config_update, keys_to_ask, refuse_shown_secrets
from mqtt443_tools.update.job_service import JobService
from mqtt443_tools.update.open_service import open_service
from mqtt443_tools.update.start_job import Rollout, check_targets, new_job_id, start_job

MAX_SHOWN = 20
MAX_NAMED = 3
"""How many boards of a group that changes in the same way are named."""
JOB_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""AWS IoT API Reference, "DescribeJob"."""
FLEET_WITHIN_S = 50
"""Shorter than the minute after which the rollout reaches a second board, so that a bad config stops at the first."""

JOB_OPTIONS = {"status", "cancel", "yes", "state", "stack", "region", "profile", "as_json"}
"""The parameters that go with a job that exists."""


def update(
    context: typer.Context,
    devices: Annotated[
        list[str] | None, typer.Argument(metavar="DEVICE", help="Client ids.", show_default=False)
    ] = None,
    *,
    all_devices: Annotated[bool, typer.Option("--all", help="All registered devices that are enabled.")] = False,
    group: Annotated[
        Path | None, typer.Option(show_default=False, help="A table with client ids in its first column.")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", show_default=False, help="A key of config.json; KEY=- asks for its value."),
    ] = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="KEY", show_default=False, help="Reset a key to its default.")
    ] = None,
    within: Annotated[
        int | None,
        typer.Option(
            min=10,
            max=3600,
            show_default=False,
            help="Seconds to try a new config; default: 120, or 50 for several boards.",
        ),
    ] = None,
    sensors: Annotated[bool, typer.Option("--sensors", help="Send sensors.py and lib/, or the folder board/.")] = False,
    folder: Annotated[Path, typer.Option(help="For --sensors: where they are.")] = Path(),
    package: Annotated[bool, typer.Option("--package", help="Send the package of this mqtt443.")] = False,
    file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE[:PATH]", show_default=False, help="Send a file, to PATH on the board."),
    ] = None,
    delete: Annotated[
        list[str] | None, typer.Option(metavar="PATH", show_default=False, help="Remove a file of the board.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Restart the boards.")] = False,
    per_minute: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, show_default=False, help="Boards per minute; default: one, then faster with each success."
        ),
    ] = None,
    abort_percent: Annotated[
        float, typer.Option(min=0.01, max=100, help="Cancel the rest once this share of boards has failed.")
    ] = Rollout.abort_percent,
    abort_after: Annotated[
        int, typer.Option(min=1, help="Number of boards that must have ended before that.")
    ] = Rollout.abort_after,
    timeout_minutes: Annotated[
        int, typer.Option(min=1, max=10080, help="A board that has started fails after this time.")
    ] = Rollout.timeout_minutes,
    follow_s: Annotated[
        float | None,
        typer.Option("--follow", min=0, show_default=False, help="Seconds to follow the job; default: to its end."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and what it would change.")
    ] = False,
    status: Annotated[str | None, typer.Option(metavar="JOB", show_default=False, help="Show a job.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="JOB", show_default=False, help="Cancel a job.")] = None,
    yes: YesOption = False,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Update boards over the air: config, sensors, files or package."""
    console = Console(to_stderr=as_json, yes=yes)
    where = place_options(state, stack, region, profile)
    job_id = cancel if status is None else status
    _check(context, is_of_config=bool(config or unset), of_job=job_id)
    if job_id is not None:
        with open_service(state, stack, region, profile) as service:
            if cancel:
                _cancel(service, cancel)
            now = job_state(service, job_id)
            _conclude(service, job_id, now, console, where, as_json=as_json, was_asked_to_cancel=bool(cancel))
        return
    if sum(map(bool, (config or unset, sensors, package, file or delete, restart))) != 1:
        raise UsageError(
            "choose one update: --config or --unset, --sensors, --package, --file or --delete, or --restart"
        )
    refuse_shown_secrets(config or [])  # before anything that shows an argument
    backend = open_backend(state, stack, region, profile)
    with reported():
        targets = choose_devices(backend.store, devices or (), all_devices=all_devices, group=group)
    check_targets(targets)
    if config or unset:
        wanted = config_update(
            _with_secrets(config or [], console), unset or (), within or (FLEET_WITHIN_S if len(targets) > 1 else None)
        )
    elif sensors or package:
        wanted = sensors_update(folder) if sensors else package_update()
    else:
        wanted = Update("restart", {}, "restart") if restart else files_update(file or (), delete or ())
    rollout = Rollout(per_minute, abort_percent, abort_after, timeout_minutes)
    console.say(f"{wanted.summary}{f' ({len(wanted.bundle):,} bytes)' if wanted.bundle else ''}")
    console.say(f"to {_named(targets)}")
    if dry_run:
        with reported(), open_service(state, stack, region, profile) as service:
            versions = _versions(backend, targets) if stack is None and wanted.action == "package" else {}
            _show_changes(service, targets, wanted, versions, console, as_json=as_json)
        return
    if len(targets) > 1 and not console.confirm(f"Update {len(targets)} devices?"):
        raise CommandError("no device was updated")
    job_id = new_job_id(time.time())
    with open_service(state, stack, region, profile) as service:
        with console.progress("preparing") as progress:
            start_job(service, job_id, targets, wanted, rollout, progress=progress)
        again = f"mqtt443 update --status {job_id}{where}"
        console.say(f"job {job_id}; Ctrl-C leaves it running, see it again with: {again}")
        try:
            ended = follow(service, job_id, lambda now: console.say(now.line()), timeout_s=follow_s)
        except KeyboardInterrupt:
            console.warn(
                f"the job continues; see it with `{again}`, end it with `{again.replace('--status', '--cancel')}`"
            )
            raise
        _conclude(service, job_id, ended, console, where, as_json=as_json)


def _check(context: typer.Context, *, is_of_config: bool, of_job: str | None) -> None:
    """Refuse options that have no effect together, and a wrong name of a job. Raises UsageError."""
    given = given_options(context)
    if of_job is not None:
        unused = [option for name, option in given.items() if name not in JOB_OPTIONS]
        if unused or {"status", "cancel"} <= given.keys():
            what = f": leave out {', '.join(unused)}" if unused else ""
            raise UsageError(f"--status and --cancel name a job and nothing else{what}")
        if not JOB_NAME.fullmatch(of_job):
            raise UsageError(f"{of_job!r}: not the name of a job, such as {new_job_id(time.time())}")
    elif "within" in given and not is_of_config:
        raise UsageError("--within goes with --config or --unset")
    elif "folder" in given and "sensors" not in given:
        raise UsageError("--folder goes with --sensors")


def _with_secrets(texts: list[str], console: Console) -> list[str]:
    """Replace each `KEY=-` with a value that the user types, or with a line of standard input."""
    asked = keys_to_ask(texts)
    found = [text for text in texts if text not in {f"{key}=-" for key in asked}]
    for key in asked:
        if console.is_attended:
            value = console.ask(key, "", hidden=True)
        else:
            line = sys.stdin.readline(4096)
            if not line:
                raise UsageError(f"{key}=-: standard input ends before the line with this value")
            value = line.rstrip("\r\n").removeprefix("\ufeff")
        found.append(f"{key}={value}")
    return found


def _named(targets: list[str], most: int = MAX_SHOWN) -> str:
    more = f" and {len(targets) - most} more" if len(targets) > most else ""
    return f"{', '.join(targets[:most])}{more}"


def _versions(backend: DeviceBackend, targets: list[str]) -> dict[str, str]:
    """Return which version of the package boards have reported, as only the local endpoint knows."""
    return {client_id: seen.version for client_id, seen in backend.activity(targets).items() if seen.version}


def _show_changes(
    service: JobService,
    targets: list[str],
    wanted: Update,
    versions: dict[str, str],
    console: Console,
    *,
    as_json: bool,
) -> None:
    """Print what an update would change; that it cannot be told is no failure of a dry run."""
    try:
        found = changes(service, targets, wanted, versions)
    except CommandError as error:
        console.warn(f"what would change is not known: {error}")
        found = []
    if found:
        console.say("would change, as far as is known (a push with the cable leaves no trace):")
    for each in found:
        console.say(f"  {len(each.client_ids)} of {len(targets)}: {each.text}: {_named(each.client_ids, MAX_NAMED)}")
    if as_json:
        told = [{"devices": each.client_ids, "change": each.text} for each in found]
        answer = {"action": wanted.action, "devices": targets, "bytes": len(wanted.bundle), "changes": told}
        typer.echo(json.dumps(answer))


def _cancel(service: JobService, job_id: str) -> None:
    """Cancel a job, even for boards that have begun."""
    if job_state(service, job_id).status == "COMPLETED":
        raise CommandError(f"job {job_id} has ended; there is nothing to cancel")
    service.call("cancel_job", jobId=job_id, comment="with mqtt443 update --cancel", force=True)


def _conclude(
    service: JobService,
    job_id: str,
    state: JobState,
    console: Console,
    where: str,
    *,
    as_json: bool,
    was_asked_to_cancel: bool = False,
) -> None:
    """Print the result of a job, and remove its leftovers; raises CommandError as `_show` does."""
    try:
        _show(service, job_id, state, console, as_json=as_json, was_asked_to_cancel=was_asked_to_cancel)
    finally:
        try:
            if clean_up(service, job_id, state):
                console.warn(f"job {job_id} was deleted, because its document held a secret")
        except CommandError as error:
            console.warn(f"{error}; to remove what is left of the job: mqtt443 update --status {job_id}{where}")


def _show(
    service: JobService, job_id: str, state: JobState, console: Console, *, as_json: bool, was_asked_to_cancel: bool
) -> None:
    """Print the result of a job; raises CommandError if a board failed, or if the job was cancelled unasked."""
    rows = list(results(service, job_id))
    if as_json:
        boards = [{"client_id": row.client_id, "result": row.result, "details": row.details} for row in rows]
        typer.echo(json.dumps({"job": job_id, "status": state.status, "counts": state.counts, "boards": boards}))
    elif rows:
        table = result_table(dict.fromkeys(("client id", "result", "reason"), True))
        for row in rows:
            table.add_row(*(Text(printable(cell)) for cell in (row.client_id, row.result, row.details)))
        print_table(table)
    if was_asked_to_cancel:
        console.say(f"job {job_id} was cancelled")
        return
    failed = sum(count for word, count in state.counts.items() if word in BAD)
    total = sum(state.counts.values())
    if state.status == "CANCELED":
        why = f" ({state.why})" if state.why else ""
        which = "the only board that had it" if total == 1 else f"{failed} of the {total} boards that had it"
        raise CommandError(f"job {job_id} was cancelled{why}{f': {which} failed' if failed else ''}")
    if failed:
        raise CommandError(f"job {job_id}: {failed} of {total} boards failed")
    if not state.has_ended:
        console.say(f"job {job_id} continues: {state.line()}")
