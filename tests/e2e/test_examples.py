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
from mqtt443_tools.support import board_code, board_packages
from mqtt443_tools.support.board_code import own_code
from mqtt443_tools.support.download import https_opener
from mqtt443_tools.support.paths import ROOT
from typer.testing import CliRunner

from tests.support.board import interpreters
from tests.support.board.virtual import Board
from tests.support.chip.file_server import serving
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

# The interface of the driver that requirements.txt names, and no more of it than the board can tell apart.
BME280 = """
from array import array

class BME280:
    def __init__(self, mode=8, address=0x76, i2c=None, **unused):
        if i2c.readfrom_mem(address, 0xD0, 1) != b"\\x60":
            raise OSError("not a BME280")
        self.i2c, self.address = i2c, address
        i2c.writeto_mem(address, 0xF4, bytearray([0x27]))

    def read_compensated_data(self, result=None):
        assert self.i2c.readfrom_mem(self.address, 0xF4, 1) == b"\\x27", "asleep"
        raw = self.i2c.readfrom_mem(self.address, 0xF7, 8)
        pressure, temperature, humidity = raw[0] << 8 | raw[1], raw[3] << 8 | raw[4], raw[6] << 8 | raw[7]
        return array("f", (temperature / 100, pressure * 2, humidity / 1000))
"""
BUS = {"118": {"208": 0x60, "247": 0xC5, "248": 0xE6, "250": 0x08, "251": 0x66, "253": 0xAF, "254": 0xC8}}


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
def test_bme280_gets_its_driver_from_mip_and_survives_a_loose_wire(
    core: RunningCore, tmp_path: Path, interpreter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as server:
        (requirement,) = (EXAMPLES / "bme280/board/requirements.txt").read_text().splitlines()[1:]
        path, _, commit = requirement.removeprefix("github:robert-hh/BME280/").partition("@")
        server.pages[f"/robert-hh/BME280/{commit}/{path}"] = BME280.encode()
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setitem(board_packages.HOSTS, "github", f"{server.url}/{{0}}/{{1}}/{{ref}}/{{path}}")
        monkeypatch.setattr(board_packages, "https_opener", lambda: https_opener(server.context))
        with running(core, tmp_path / "b", "bme280", interpreter, world={"i2c": BUS}) as board:
            reading = json.loads(core.next_message().payload)
            measured = [reading[key] for key in ("temperature_c", "humidity_percent", "pressure_hpa")]
            assert measured == [21.5, 45.0, 1013.2], reading
            board.virtual.set_world(i2c={})
            while "errors" not in reading:
                reading = json.loads(core.next_message().payload)
            assert "OSError" in str(reading["errors"])
            while "no BME280 answers" not in str(reading["errors"]):
                reading = json.loads(core.next_message().payload)
            board.virtual.set_world(i2c=BUS)
            while "temperature_c" not in reading:
                reading = json.loads(core.next_message().payload)


@pytest.mark.parametrize("interpreter", interpreters.MICROPYTHON)
def test_board_on_battery_sleeps_between_readings(core: RunningCore, tmp_path: Path, interpreter: str) -> None:
    keys = json.loads((EXAMPLES / "battery" / "config.json").read_text())
    world = {"adc_uv": {"35": 1_600_000}}
    with running(core, tmp_path / "b", "battery", interpreter, world=world, **keys) as board:
        reading = json.loads(core.next_message().payload)
        board.wait_for("asleep for")
    assert (reading["battery_v"], reading["battery_low"]) == (3.2, True)


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_example_compiles_and_shows_its_wiring(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_code, "required", lambda _: {})
    assert "sensors.py" in own_code(EXAMPLES / name)
    page = (EXAMPLES / name / "README.md").read_text()
    assert "![Wiring](wiring.svg)" in page
    picture = ET.parse(EXAMPLES / name / "wiring.svg").getroot()
    assert picture.find("{http://www.w3.org/2000/svg}title") is not None
