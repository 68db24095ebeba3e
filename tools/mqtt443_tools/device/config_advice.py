"""Warns of settings in a valid config.json that keep a real board offline, which the validator cannot know."""

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from mqtt443_tools.device.backends import DeviceBackend, open_backend
from mqtt443_tools.device.device_console import reported
from mqtt443_tools.localcore.endpoint_file import known_endpoint
from mqtt443_tools.localcore.front.certificates import CA_FILE
from mqtt443_tools.support.config_file import MAX_CA_BYTES
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.support.options import place_options
from mqtt443_tools.support.paths import STATE
from mqtt443_tools.support.read_file import read_file
from mqtt443_tools.support.wifi import password_mistake


def advise(
    config: Mapping[str, object],
    path: Path,
    *,
    state: Path = STATE,
    stack: str | None = None,
    region: str | None = None,
    profile: str | None = None,
) -> list[str]:
    """Return a line with the next step for each setting that cannot work.

    Args:
        config: the keys of a valid config.json.
        path: of that file; its CA file is beside it.
        state: state folder of the local endpoint, which is asked if the CA file is its own.
        stack: a stack in AWS, which is asked instead.
        region: AWS region of the stack.
        profile: AWS profile for the stack.

    Raises:
        CommandError: the stack cannot be asked.
    """
    lines = list(_alone(config))
    if stack is not None:
        backend = open_backend(state, stack, region, profile)
        where = place_options(state, stack, region, profile)
        lines += _against(config, backend, path, f"stack {stack}", where)
    elif _is_local(config, path, state) and known_endpoint(state) is not None:
        where = place_options(state, None, None, None)
        lines += _against(config, open_backend(state, None, None, None), path, "the local endpoint", where)
    return lines


def _alone(config: Mapping[str, object]) -> Iterator[str]:
    """Yield the mistakes that the config alone shows."""
    wifi = config.get("wifi")
    if wifi is None:
        yield 'no wifi: a real board with Wi-Fi stays offline; add "wifi": {"ssid": "NAME", "password": "PASSWORD"}'
    elif isinstance(wifi, dict) and (mistake := password_mistake(str(wifi.get("password") or ""))):
        yield f"wifi.password: {mistake}"
    endpoint = str(config.get("endpoint"))
    if _is_loopback(endpoint):
        yield (
            f"endpoint {endpoint}: to a real board, that is the board itself; run `mqtt443 local --lan`, and set "
            "endpoint to the address that it shows"
        )


def _against(config: Mapping[str, object], backend: DeviceBackend, path: Path, name: str, option: str) -> Iterator[str]:
    """Yield what contradicts the device's registration."""
    with reported():
        actual = backend.address()
        found = backend.store.by_client_id(str(config.get("client_id")))
    configured = (config.get("endpoint"), config.get("port", 443))
    if configured != actual and not _is_loopback(str(configured[0])):
        yield (
            f"endpoint {configured[0]} port {configured[1]}: {name} is at {actual[0]} port {actual[1]}; "
            f"fix it in {path}"
        )
    if found is None:
        client_id = config.get("client_id")
        yield (
            f"client_id {client_id}: not registered at {name}; run "
            f"`mqtt443 device add {client_id} --out {path}{option}`"
        )
    elif found.username != config.get("username"):
        username = config.get("username")
        yield f"username {username}: {found.client_id} is registered as {found.username}; fix it in {path}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _is_local(config: Mapping[str, object], path: Path, state: Path) -> bool:
    try:
        own = read_file(path.parent / str(config.get("ca")), MAX_CA_BYTES)
        return own == read_file(state / CA_FILE, MAX_CA_BYTES)
    except CommandError:
        return False
