"""The package stays within firmware/budget.json: .mpy bytes, heap after import, connected and frozen, least heap."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from mqtt443_tools.virtualboard import package_size

from tests.support.board import interpreters
from tests.support.mqtt.endpoint import RunningCore

BUDGET = json.loads(package_size.BUDGET.read_text())


def test_package_fits_its_flash() -> None:
    modules = package_size.mpy_bytes()
    assert sum(modules.values()) <= BUDGET["mpy_bytes"], modules


@pytest.fixture
def config(core: RunningCore, tmp_path: Path) -> Callable[..., Path]:
    def config(transport: str, mqtt: str = "5") -> Path:
        path = tmp_path / "board" / "config.json"
        path.parent.mkdir()
        (path.parent / "ca.pem").write_bytes(core.ca.read_bytes())
        password = core.add_device("board")
        login = {"client_id": "board", "username": "board", "password": password}
        place = {"endpoint": core.host, "port": core.port, "ca": "ca.pem", "transport": transport}
        path.write_text(json.dumps({**place, **login, "interval_s": 1, "mqtt": mqtt}))
        return path

    return config


@pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
@pytest.mark.parametrize("transport", ["alpn", "wss"])
def test_package_fits_the_heap_of_a_plain_esp32(config: Callable[..., Path], transport: str, mqtt: str) -> None:
    held = package_size.heap(interpreters.need("alpn32"), config(transport, mqtt))
    assert held.after_import <= BUDGET["heap_after_import_bytes"]
    assert held.after_import < held.connected <= BUDGET[f"heap_connected_{transport}_bytes"]
    assert held.names <= BUDGET["names"]


@pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
def test_frozen_package_fits_its_budget(config: Callable[..., Path], mqtt: str) -> None:
    frozen, from_flash = interpreters.need("frozen32"), interpreters.need("alpn32")
    path = config("alpn", mqtt)
    held = package_size.heap(frozen, path)
    assert held.after_import < held.connected <= BUDGET["heap_connected_frozen_bytes"]
    assert held.connected < package_size.heap(from_flash, path).connected / 2, "its code is not on the heap"


@pytest.mark.parametrize("transport", ["alpn", "wss"])
def test_package_publishes_in_a_small_heap(config: Callable[..., Path], transport: str) -> None:
    least = package_size.least_heap(interpreters.need("alpn32"), config(transport))
    assert package_size.LEAST_KB * 1024 / 2 < least <= BUDGET["least_heap_bytes"]


@pytest.mark.parametrize("transport", ["alpn", "wss"])
def test_message_leaves_little_for_the_garbage_collector(config: Callable[[str], Path], transport: str) -> None:
    left = package_size.garbage(interpreters.need("alpn32"), config(transport))
    assert 0 < left <= BUDGET["garbage_message_bytes"]
