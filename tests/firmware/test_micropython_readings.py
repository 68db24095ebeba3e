"""What leaves a board is JSON in UTF-8, whatever sensors.py does; on real MicroPython."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.firmware.micropython import run
from tests.support.board import interpreters

BUILDS = ["stock", "alpn32"]

# Each value is one that MicroPython's own json would print as something else.
SENSORS = b"""
import sys
from collections import OrderedDict, namedtuple

class Cancelled(BaseException):
    pass

def leave():
    sys.exit()

def cancel():
    raise Cancelled

def fail():
    raise OSError("\xb0C")

def read():
    return {
        "good": (1, [2.5, None, True], {"a": "\\u00b0C"}), "latin": "21 \xb0C", "latin_e": "\xe9", "\xb0": 1,
        "inner": {"\xb0": 1}, "pair": namedtuple("P", "a b")(1, 2), "ordered": OrderedDict([("a", 1)]),
        "bytes": b"x", "array": bytearray(1), "view": memoryview(b"x"), "set": {1}, "range": range(2),
        "complex": 1j, "object": object(), "leave": leave, "cancel": cancel, "fail": fail, "type": lambda: int,
        "frozen": frozenset((1,)), "iterator": iter([1]), "module": sys,
    }
"""

PROGRAM = """
import sys
from mqtt443.readings import Readings
from mqtt443.boot import load_sensors
read, failure = load_sensors()
print(Readings(read, dict, lambda: 1793491200, failure=failure).payload().decode())
"""


def payload(build: str, folder: Path, sensors: bytes) -> dict[str, Any]:
    (folder / "sensors.py").write_bytes(sensors)
    loaded: dict[str, Any] = json.loads(run(interpreters.need(build), folder, PROGRAM))
    return loaded


@pytest.mark.parametrize("build", BUILDS)
def test_value_that_json_cannot_hold_costs_that_reading_alone(build: str, tmp_path: Path) -> None:
    got = payload(build, tmp_path, SENSORS)
    assert got["good"] == [1, [2.5, None, True], {"a": "°C"}]
    assert set(got) == {"time", "seq", "good", "errors"}
    assert got["errors"]["fail"] == "OSError"
    assert got["errors"]["leave"].startswith("SystemExit")


@pytest.mark.parametrize("build", BUILDS)
def test_byte_order_mark_in_sensors_py_is_named(build: str, tmp_path: Path) -> None:
    got = payload(build, tmp_path, b"\xef\xbb\xbfdef read():\n    return {}\n")
    assert got["errors"] == {"sensors": "sensors.py begins with a byte order mark; save it as UTF-8 without one"}


@pytest.mark.parametrize("build", BUILDS)
def test_sensors_py_that_exits_at_import_is_named(build: str, tmp_path: Path) -> None:
    got = payload(build, tmp_path, b"import sys\nsys.exit()\n")
    assert set(got) == {"time", "seq", "errors"}
    assert got["errors"]["sensors"].startswith("SystemExit")
