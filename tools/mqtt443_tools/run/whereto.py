"""Chooses where a board's telemetry goes, a running local endpoint or a stack in AWS, and registers the board there."""

import time
from pathlib import Path

from mqtt443_tools.device.backends import DeviceBackend
from mqtt443_tools.device.device_config import add_with_config, rotate_with_config
from mqtt443_tools.device.device_console import reported
from mqtt443_tools.localcore.control.control_client import ControlClient, NotRunning
from mqtt443_tools.localcore.endpoint_file import known_endpoint
from mqtt443_tools.support.config_file import read_config
from mqtt443_tools.support.console import Console
from mqtt443_tools.support.errors import CommandError

LOOPBACK = "127.0.0.1"
DEFAULT_STACK = "mqtt443"


def choose_stack(state: Path, stack: str | None, console: Console) -> str | None:
    """Return the stack that the board is for; None for the local endpoint.

    Raises:
        CommandError: the local endpoint is meant, and no board can reach it.
        UsageError: nothing is running, none was named, and there is no terminal.
    """
    if stack is not None:
        return stack
    if not _runs(state):
        unattended = (
            f"no local endpoint runs on {state}, and no stack is named: run `mqtt443 local --lan` in another terminal, "
            "or add --stack NAME"
        )
        return console.ask("No local endpoint runs. Name of a stack in AWS", unattended, default=DEFAULT_STACK)
    known = known_endpoint(state)
    is_local = not console.is_attended or not console.choose(
        "Where does the telemetry go? Number",
        ["the local endpoint on this computer", "a stack in AWS"],
        "",
    )
    if not is_local:
        return console.ask("Name of the stack", "add --stack NAME", default=DEFAULT_STACK)
    if known is None or known.bind == LOOPBACK:
        raise CommandError(
            "the local endpoint listens on this computer alone, where no board reaches it: stop it, and start it with "
            "`mqtt443 local --lan`"
        )
    return None


def is_registered(config_path: Path, backend: DeviceBackend) -> bool:
    """Return whether a config's device is registered at a backend, with its password."""
    config = read_config(config_path)
    client_id, password = config.get("client_id"), config.get("password")
    if not isinstance(client_id, str) or not isinstance(password, str):
        return False
    if (config.get("endpoint"), config.get("port", 443)) != backend.address():
        return False
    with reported():
        return backend.store.by_client_id(client_id) is not None


def register(config_path: Path, backend: DeviceBackend, client_id: str, console: Console) -> None:
    """Register the device, or give a registered one a new password, and write its config.json. Raises CommandError."""
    config = read_config(config_path)
    with reported():
        found = backend.store.by_client_id(client_id)
    if found is None:
        add_with_config(backend, client_id, config_path, now=time.time())
        console.say(f"registered {client_id}, and wrote {config_path}")
        return
    if config.get("client_id") == client_id and isinstance(config.get("password"), str):
        question = f"{config_path} leads somewhere else than {client_id} is registered. Give it a new password there?"
    else:
        question = f"{client_id} is registered, and {config_path} has no password for it. Give it a new one?"
    if not console.confirm(question, f"{client_id} is registered already; to give it a new password"):
        raise CommandError(f"{client_id} was not changed: choose another name with --name")
    rotate_with_config(backend, client_id, config_path, now=time.time())
    console.say(f"gave {client_id} a new password, and wrote {config_path}")


def _runs(state: Path) -> bool:
    try:
        with ControlClient(state) as control:
            control.clients()
            return True
    except NotRunning:
        return False
