"""What `push` and `check` warn of before a config goes to a board, each line with what to do next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.device.config_advice import advise

from tests.support.mqtt.endpoint import RunningCore

ALIAS = "127.0.0.2"
WIFI = {"ssid": "home"}


@pytest.fixture
def device(core: RunningCore, tmp_path: Path) -> dict[str, Any]:
    """The keys of a config that leads to the local endpoint, whose CA file is beside it."""
    core.add_device("b1", username="user")
    shutil.copy(core.ca, tmp_path / "ca.pem")
    endpoint = {"host": "iot.lan", "port": 8443, "bind": "192.168.1.5"}
    (core.state / "endpoint.json").write_text(json.dumps(endpoint))
    return {
        **{"endpoint": "iot.lan", "port": 8443, "ca": "ca.pem"},
        **{"client_id": "b1", "username": "user", "wifi": WIFI},
    }


def test_config_that_can_work_gets_no_warning(core: RunningCore, device: dict[str, Any], tmp_path: Path) -> None:
    assert advise(device, tmp_path / "config.json", state=core.state) == []


@pytest.mark.parametrize(
    ("keys", "warning"),
    [
        ({"wifi": None}, "no wifi: a real board with Wi-Fi stays offline; add"),
        (
            {"wifi": {"ssid": "home", "password": "short"}},
            "wifi.password: a Wi-Fi password has 8 to 63 bytes",
        ),
        ({"endpoint": "localhost"}, "endpoint localhost: to a real board, that is the board itself; run"),
        ({"endpoint": "127.0.0.1"}, "endpoint 127.0.0.1: to a real board"),
        ({"endpoint": "old.lan"}, "endpoint old.lan port 8443: the local endpoint is at iot.lan port 8443; fix it in "),
        ({"port": 443}, "endpoint iot.lan port 443: the local endpoint is at iot.lan port 8443"),
        ({"client_id": "b2"}, "client_id b2: not registered at the local endpoint; run `mqtt443 device add b2 --out "),
        ({"username": "b1"}, "username b1: b1 is registered as user; fix it in "),
    ],
)
def test_config_that_cannot_work_gets_one_warning(
    core: RunningCore, device: dict[str, Any], tmp_path: Path, keys: dict[str, Any], warning: str
) -> None:
    (line,) = advise(device | keys, tmp_path / "config.json", state=core.state)
    assert line.startswith(warning)


def test_config_for_another_endpoint_is_not_compared_with_the_local_one(
    core: RunningCore, device: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("of another endpoint")
    assert advise(device | {"client_id": "b2", "endpoint": "x.lan"}, tmp_path / "config.json", state=core.state) == []
