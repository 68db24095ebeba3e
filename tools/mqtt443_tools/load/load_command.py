"""The command `mqtt443 load`: registers a fleet, loads an endpoint with it, reports, and removes the fleet."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated

import typer
from mqtt443.config_schema import mqtt_username

from mqtt443_tools.device.backends import DeviceBackend, open_backend
from mqtt443_tools.device.device_console import reported
from mqtt443_tools.device.registration import Added, NewDevice, add_devices
from mqtt443_tools.load import report
from mqtt443_tools.load.scenario import Plan, command_topics, run
from mqtt443_tools.load.target import Login, Target
from mqtt443_tools.support.console import Console, terminal
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.options import JsonOption, ProfileOption, RegionOption, StackOption, StateOption, YesOption
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.posix import needs_posix

MAX_DEVICES = 100_000
MIN_PAYLOAD_BYTES = 48
MAX_PAYLOAD_BYTES = 128 * 1024


def load(
    *,
    devices: Annotated[int, typer.Option(min=1, max=MAX_DEVICES, help="Number of devices.")] = 100,
    rate: Annotated[float, typer.Option(min=0, help="Telemetry messages per second of the whole fleet.")] = 100,
    seconds: Annotated[float, typer.Option(min=0, help="How long telemetry and commands last.")] = 10,
    commands: Annotated[
        float, typer.Option(min=0, help="Commands per second of the whole fleet, each from one device to the next.")
    ] = 1,
    size: Annotated[
        int, typer.Option(min=MIN_PAYLOAD_BYTES, max=MAX_PAYLOAD_BYTES, help="Payload size in bytes.")
    ] = 200,
    storms: Annotated[int, typer.Option(min=1, help="Number of times that the whole fleet connects.")] = 1,
    at_once: Annotated[int, typer.Option(min=1, help="TLS handshakes in progress at the same time.")] = 50,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for each answer of the endpoint.")] = 30,
    processes: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Processes of the fleet; default: one per processor.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(show_default=False, help="Draw the rates over time to this file, as SVG.")
    ] = None,
    as_json: JsonOption = False,
    state: StateOption = STATE,
    stack: StackOption = None,
    region: RegionOption = None,
    profile: ProfileOption = None,
    yes: YesOption = False,
) -> None:
    """Simulate a fleet of devices, and measure how the endpoint answers.

    The devices are registered for this run and removed when it ends. The exit code is 1 if anything failed.
    """
    needs_posix("mqtt443 load")
    if picture is not None:
        report.check_can_draw()
    plan = Plan(rate, seconds, commands, size, storms, at_once, timeout, processes)
    console = Console(to_stderr=True, yes=yes)
    backend = open_backend(state, stack, region, profile)
    if stack is None:
        _check_running(state)
    elif not console.confirm(f"{_aws_cost(devices, plan)} Go on?"):
        raise typer.Exit(1)
    try:
        with _registered(backend, devices, console) as added:
            results = asyncio.run(run(*_endpoint(backend, state, stack, added), plan, console.say))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if picture is not None:
        try:
            report.draw(picture, results, f"{devices:,} devices, {rate:g} messages a second")
        except OSError as error:
            raise CommandError(f"{picture}: {error.strerror}") from error
    if as_json:
        typer.echo(json.dumps({"devices": devices, "seconds": seconds, "results": report.to_json(results)}))
    else:
        terminal().print(report.table(results))
    failures = report.errors(results)
    for line in failures:
        console.say(line)
    if failures:
        raise typer.Exit(1)


def _check_running(state: Path) -> None:
    """Raise CommandError if no local endpoint runs on a state folder."""
    from mqtt443_tools.localcore.control.control_client import ControlClient  # noqa: PLC0415

    with ControlClient(state):
        pass


def _aws_cost(devices: int, plan: Plan) -> str:
    """Return what a run costs at AWS, in words."""
    from mqtt443_tools.cloud.cost import load_cost  # noqa: PLC0415

    cost = load_cost(
        devices,
        storms=plan.storms,
        seconds=plan.seconds,
        messages=plan.rate * plan.seconds,
        commands=plan.commands * plan.seconds,
        payload_bytes=plan.size,
    )
    return f"This loads AWS IoT with {devices:,} devices, and costs about ${max(cost, 0.01):,.2f} at list prices."


@contextmanager
def _registered(backend: DeviceBackend, count: int, console: Console) -> Iterator[list[Added]]:
    """Register devices while the block runs; each may send commands to the next one."""
    run_id = secrets.token_hex(3)
    client_ids = [f"load-{run_id}-{number:05}" for number in range(1, count + 1)]
    wanted = [NewDevice(client_id, publish=(topic,)) for client_id, topic in command_topics(client_ids).items()]
    with reported():
        added = add_devices(backend.store, wanted, now=time.time(), template=backend.template())
        try:
            yield added
        finally:
            with console.progress("removing the devices") as advance:
                for done, client_id in enumerate(client_ids, 1):
                    backend.store.remove(client_id)
                    advance(done, count)


def _endpoint(
    backend: DeviceBackend, state: Path, stack: str | None, added: Sequence[Added]
) -> tuple[Target, list[Login]]:
    """Return the endpoint and the logins of the devices. Raises CommandError."""
    config = backend.config()
    host, port = backend.address()
    if stack is None:
        from mqtt443_tools.localcore.endpoint_file import known_endpoint  # noqa: PLC0415
        from mqtt443_tools.localcore.front.certificates import local_ca  # noqa: PLC0415 - loads cryptography

        known = known_endpoint(state)
        address = known.bind if known is not None and known.bind != "0.0.0.0" else "127.0.0.1"  # noqa: S104 - compared
        ca = local_ca(state).read_text()
    else:
        from mqtt443_tools.support.amazon_roots import amazon_roots_pem  # noqa: PLC0415

        address, ca = _resolve(host), amazon_roots_pem()
    alpn = None if config.get("transport") == "tls" else "mqtt"
    keys = {key: config.get(key) for key in ("authorizer", "token", "token_key", "token_signature")}
    logins = [
        Login(
            each.device.client_id,
            mqtt_username(SimpleNamespace(username=each.device.username, **keys)),
            each.password,
        )
        for each in added
    ]
    return Target(host, address, port, ca, alpn), logins


def _resolve(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise CommandError(f"{host} has no address: {error.strerror}: check the network") from error
    return str(found[0][4][0])
