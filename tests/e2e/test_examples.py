"""examples/: each runs on every interpreter with an emulated sensor, and its telemetry has the measured value."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.cli import app
from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.paths import ROOT
from typer.testing import CliRunner

from tests.support.board import interpreters
from tests.support.board.virtual import Board
from tests.support.mqtt.endpoint import RunningCore

EXAMPLES = ROOT / "examples"

# Strict: a temperature is there only after the conversion and its time; one sensor has no power.
DS18B20 = {
    "onewire.py": "class OneWire:\n    def __init__(self, pin):\n        self.pin = pin\n",
    "ds18x20.py": """
from time import ticks_diff, ticks_ms

class DS18X20:
    def __init__(self, bus):
        assert bus.pin._id == 4
        self.began = None

    def scan(self):
        return [bytearray(b"\\x28\\x01"), bytearray(b"\\x28\\x02")]

    def convert_temp(self):
        self.began = ticks_ms()

    def read_temp(self, rom):
        if rom[1] == 2 or self.began is None or ticks_diff(ticks_ms(), self.began) < 750:
            return 85.0
        return 21.5
""",
}


@contextmanager
def running(core: RunningCore, folder: Path, name: str, interpreter: str, **options: Any) -> Iterator[Board]:
    """A board with an example's code, and what emulates its sensor under lib/."""
    shutil.copytree(EXAMPLES / name / "board", folder / "board")
    for module, source in options.pop("emulated", {}).items():
        (folder / "board" / "lib").mkdir(exist_ok=True)
        (folder / "board" / "lib" / module).write_text(source)
    password = core.add_device(name)
    login: dict[str, Any] = {"client_id": name, "username": name, "password": password}
    found = interpreters.need(interpreter)
    with Board(folder, found, core.ca.read_bytes(), port=core.port, **login, **options) as board:
        yield board


@pytest.mark.parametrize("interpreter", interpreters.MICROPYTHON)
def test_relay_is_switched_by_command(core: RunningCore, tmp_path: Path, interpreter: str) -> None:
    with running(core, tmp_path / "b", "relay", interpreter):
        assert json.loads(core.next_message().payload)["relay_on"] is False
        for arguments, answer in ((["on=true", "for_s=1"], "on: true"), (["on=false"], "on: false")):
            command = ["send", "relay", "relay", *arguments, "--state", str(core.state)]
            assert CliRunner().invoke(app, command, catch_exceptions=False).stdout == answer + "\n"
        refused = CliRunner().invoke(app, ["send", "relay", "relay", "on=5", "--state", str(core.state)])
        assert "on must be true or false" in str(refused.exception)
        CliRunner().invoke(app, ["send", "relay", "relay", "on=true", "for_s=1", "--state", str(core.state)])
        states: list[bool] = []
        while states[-2:] != [True, False]:  # by itself, at the first reading after its second
            reading = json.loads(core.next_message().payload)
            states += [reading["relay_on"]] if "relay_on" in reading else []


@pytest.mark.parametrize("interpreter", interpreters.MICROPYTHON)
def test_failed_ds18b20_costs_only_its_own_reading(core: RunningCore, tmp_path: Path, interpreter: str) -> None:
    with running(core, tmp_path / "b", "ds18b20", interpreter, emulated=DS18B20):
        reading = json.loads(core.next_message().payload)
    assert reading["temperature_2801_c"] == 21.5
    assert reading["errors"] == {"temperature_2802_c": "ValueError: not converted: too little power on the wire?"}


@pytest.mark.parametrize("interpreter", interpreters.MICROPYTHON)
def test_board_on_battery_sleeps_between_readings(core: RunningCore, tmp_path: Path, interpreter: str) -> None:
    keys = json.loads((EXAMPLES / "battery" / "config.json").read_text())
    world = {"adc_uv": {"35": 1_600_000}}
    with running(core, tmp_path / "b", "battery", interpreter, world=world, **keys) as board:
        reading = json.loads(core.next_message().payload)
        board.wait_for("asleep for")
    assert (reading["battery_v"], reading["battery_low"]) == (3.2, True)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_example_compiles_and_shows_its_wiring(name: str) -> None:
    assert "sensors.py" in own_code(EXAMPLES / name)
    page = (EXAMPLES / name / "README.md").read_text()
    assert "![Wiring](wiring.svg)" in page
    picture = ET.parse(EXAMPLES / name / "wiring.svg").getroot()
    assert picture.find("{http://www.w3.org/2000/svg}title") is not None
