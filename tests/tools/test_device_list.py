"""`mqtt443 device list`: who is registered, who is connected, and nothing that identifies a device is cut."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from mqtt443_tools.cli import app
from typer.testing import CliRunner

from tests.support.mqtt.client import RawClient
from tests.support.mqtt.endpoint import RunningCore


@pytest.fixture
def core_with_devices(core: RunningCore) -> Iterator[RunningCore]:
    """hall-1 is connected, hall-2 and a device with a long name are not."""
    for client_id in ("hall-1", "hall-2", "x" * 128):
        core.add_device(client_id, password="secret")
    with RawClient(core) as board:
        assert board.connect("hall-1").code == 0
        yield core


def listed(core: RunningCore, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["device", "list", "--state", str(core.state), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def names(core: RunningCore, *arguments: str) -> list[str]:
    return [device["client_id"] for device in json.loads(listed(core, "--json", *arguments))]


def test_list_says_who_is_connected(core_with_devices: RunningCore) -> None:
    lines = listed(core_with_devices).splitlines()
    assert re.split(r"  +", lines[0].strip()) == ["client id", "user name", "online", "enabled", "secrets", "created"]
    online = {line.split()[0]: line.split()[2] for line in lines[1:]}
    assert online == {"hall-1": "yes", "hall-2": "no", "x" * 128: "no"}


def test_filters_choose_by_name_and_by_connection(core_with_devices: RunningCore) -> None:
    assert names(core_with_devices) == ["hall-1", "hall-2", "x" * 128]
    assert names(core_with_devices, "--match", "hall-*") == ["hall-1", "hall-2"]
    assert names(core_with_devices, "--online") == ["hall-1"]
    assert names(core_with_devices, "--offline", "--match", "hall-?") == ["hall-2"]
    assert listed(core_with_devices, "--match", "cellar") == "none of the 3 registered devices matches\n"


def test_stopped_endpoint_lists_no_connections(core_with_devices: RunningCore) -> None:
    core_with_devices.stop()
    assert names(core_with_devices, "--online") == []
