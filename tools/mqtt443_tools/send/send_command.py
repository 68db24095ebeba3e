"""The command `mqtt443 send`: publishes a command at the local endpoint or at AWS IoT, and waits for the answer."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from mqtt443_tools.device.backends import DeviceBackend, open_backend
from mqtt443_tools.device.device_console import reported
from mqtt443_tools.localcore.control.control_client import ControlClient
from mqtt443_tools.send.answers import Answer, answer_filters, encode, find_answer, parse_arguments
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.options import JsonOption, ProfileOption, RegionOption, StackOption, StateOption
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable

REQUEST_ID_BYTES = 9
MAX_WAIT_S = 86400.0
Messages = Iterator[dict[str, Any]]


def send(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The device's client id.", show_default=False)],
    command: Annotated[
        str,
        typer.Argument(
            metavar="COMMAND", help="interval, send_now, report, restart, or one of your own.", show_default=False
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Arguments of the command.", show_default=False)
    ] = None,
    *,
    timeout: Annotated[
        float, typer.Option(min=0, max=MAX_WAIT_S, help="Seconds to wait for the answer; 0 does not wait.")
    ] = 30,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a command to a device and show its answer."""
    console = Console(to_stderr=as_json)
    request_id = secrets.token_urlsafe(REQUEST_ID_BYTES)
    payload = encode(command, parse_arguments(arguments or ()), request_id)
    backend = open_backend(state, stack, region, profile)
    own_topics = _own_topics(backend, device)
    topic = f"commands/{device}"
    deadline = time.monotonic() + timeout
    try:
        if stack is None:
            with _through_localcore(state, topic, payload, deadline) as (messages, clients):
                if device not in clients:
                    console.warn(
                        f"{device} is not connected; it gets the command only if clean_session is false in its config"
                    )
                answer = find_answer(messages, device, request_id) if timeout else None
        else:
            from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415 - loads boto3
            from mqtt443_tools.send.through_aws import through_aws  # noqa: PLC0415 - loads AWS's SDK
            from mqtt443_tools.watch.aws_messages import open_watcher  # noqa: PLC0415 - loads AWS's SDK

            aws = open_aws(profile, region)
            filters = answer_filters(device, own_topics)
            with through_aws(aws, lambda: open_watcher(aws, stack), filters, topic, payload) as watcher:
                answer = find_answer(watcher.messages(deadline), device, request_id) if timeout else None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if not timeout:
        console.say(f"sent {command} to {device}")
        return
    if answer is None:
        raise CommandError(
            f"no answer from {device} within {timeout:g} s: see whether it is online with "
            f"`mqtt443 watch --filter 'telemetry/{device}'`; it answers unless commands is false in its config.json, "
            "or its package is older than this command"
        )
    _show(console, device, command, answer, as_json=as_json)


def _own_topics(backend: DeviceBackend, device: str) -> tuple[str, ...]:
    """Return a registered device's own topics. Raises CommandError if it is not registered."""
    with reported():
        found = backend.store.by_client_id(device)
    if found is None:
        raise CommandError(f"no device {device} is registered: see `mqtt443 device list`")
    return found.publish


@contextmanager
def _through_localcore(
    state: Path, topic: str, payload: bytes, deadline: float
) -> Iterator[tuple[Messages, list[str]]]:
    """Publish; yield the messages that follow, and the client ids connected just before."""
    with ControlClient(state) as control:
        clients = control.clients()
    with ControlClient(state) as control:
        # All topics, because the control channel names the publisher of a message.
        yield control.publish(topic, payload, "#", deadline), clients


def _show(console: Console, device: str, command: str, answer: Answer, *, as_json: bool) -> None:
    if as_json:
        outcome = {"report": answer.report} if answer.refused is None else {"refused": answer.refused}
        typer.echo(json.dumps({"device": device, "command": command, **outcome}))
    if answer.refused is not None:
        raise CommandError(f"{device} refused {command}: {printable(answer.refused)}")
    if not as_json:
        for name, value in answer.report.items():
            console.say(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
        if not answer.report:
            console.say(f"{device}: done")
