"""The command `mqtt443 watch`: shows messages that arrive at a local endpoint or at AWS IoT, one line each."""

import base64
import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from mqtt443_tools.support.console import Console, terminal
from mqtt443_tools.support.errors import UsageError
from mqtt443_tools.support.options import (
    JsonOption,
    ProfileOption,
    RegionOption,
    SecondsOption,
    StackOption,
    StateOption,
    refuse_aws_options,
)
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.printable import printable

if TYPE_CHECKING:
    from mqtt443_tools.localcore.control.control_client import ControlClient
    from mqtt443_tools.watch.aws_messages import AwsWatcher

MAX_SHOWN = 500
"""Longest payload shown, in characters of text or in bytes of hex."""


def watch(
    *,
    topic_filter: Annotated[str, typer.Option("--filter", help="Topic filter, as AWS matches it.")] = "telemetry/#",
    as_json: JsonOption = False,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after this many messages.")] = None,
    seconds: SecondsOption = None,
) -> None:
    """Show messages as they arrive at the local endpoint, or at AWS IoT with your own credentials."""
    from mqtt443_tools.localcore.localcore_errors import TopicError  # noqa: PLC0415 - loads the local endpoint
    from mqtt443_tools.localcore.mqtt.topics import check_filter  # noqa: PLC0415 - loads the local endpoint

    try:
        check_filter(topic_filter)
    except TopicError as error:
        raise UsageError(f"--filter {topic_filter}: {error}") from None
    if seconds is not None and not seconds <= threading.TIMEOUT_MAX:
        raise UsageError(f"--seconds {seconds:g}: leave it out to watch until Ctrl-C")
    out, console = terminal(), Console()
    deadline = None if seconds is None else time.monotonic() + seconds
    seen = 0
    try:
        with _source(state, stack, region, profile) as source:
            messages = source.watch(topic_filter, deadline)
            console.warn(f"watching {topic_filter}")
            for message in messages:
                if "dropped" in message:
                    console.warn(f"{message['dropped']} messages were dropped: this terminal is too slow")
                    continue
                out.print(Text(json.dumps(decoded(message)) if as_json else describe(message)))
                seen += 1
                if seen == count:
                    return
            if deadline is None or time.monotonic() < deadline:
                console.warn("the local endpoint was stopped")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _source(state: Path, stack: str | None, region: str | None, profile: str | None) -> "ControlClient | AwsWatcher":
    if stack is None:
        from mqtt443_tools.localcore.control.control_client import ControlClient  # noqa: PLC0415

        refuse_aws_options(region, profile)
        return ControlClient(state)
    # boto3 takes a second to load, and the local mode does not need it.
    from mqtt443_tools.cloud.aws import open_aws  # noqa: PLC0415
    from mqtt443_tools.watch.aws_messages import open_watcher  # noqa: PLC0415

    return open_watcher(open_aws(profile, region), stack)


def decoded(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message for scripts: with its payload as `json` too, or as `text`, if it is that."""
    try:
        text = base64.b64decode(message["payload"]).decode()
    except UnicodeDecodeError:
        return message
    try:
        return {**message, "json": json.loads(text, parse_constant=_no_json)}
    except (ValueError, RecursionError):
        return {**message, "text": text}


def _no_json(constant: str) -> None:
    raise ValueError(constant)  # NaN and the infinities are Python's own


def describe(message: dict[str, Any]) -> str:
    """Return one line about a message: time, topic, and the payload as text, or in hex if it is not text."""
    at = time.strftime("%H:%M:%S", time.localtime(message["received_at"]))
    payload = base64.b64decode(message["payload"])
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        text = ""
    if not payload:
        shown = "(empty)"
    elif text.isprintable() and text:
        shown = printable(text, MAX_SHOWN)
    else:
        shown = payload[:MAX_SHOWN].hex() + ("…" if len(payload) > MAX_SHOWN else "")
    return f"{at} {printable(message['topic'])} {shown}"
