"""Payloads: valid JSON whatever a sensor does, each failure named, the other readings there."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443.boot import load_sensors
from mqtt443.own_readings import own_readings
from mqtt443.readings import Readings


def payload(values: Any) -> dict[str, Any]:
    def read() -> Any:
        if isinstance(values, Exception):
            raise values
        return values

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    text = Readings(read, dict, lambda: 1793491200).payload()
    loaded: dict[str, Any] = json.loads(text, parse_constant=no_constant)
    return loaded


def fails() -> float:
    raise OSError("no answer on I2C")


def test_message_has_time_number_and_readings_in_this_order() -> None:
    source = Readings(lambda: {"t": 21.5}, dict, lambda: 1793491200)
    assert source.payload() == b'{"time": "2026-11-01T00:00:00Z", "seq": 1, "t": 21.5}'
    assert json.loads(source.payload())["seq"] == 2


def test_numbers_go_on_where_they_were() -> None:
    source = Readings(dict, dict, lambda: 1793491200, 41)
    assert json.loads(source.payload())["seq"] == 42
    assert source.seq == 42


def test_link_is_in_the_message_only_when_it_has_something_to_report() -> None:
    told = [{"dropped": 3, "started": "watchdog"}, {}]
    source = Readings(lambda: {"t": 1}, lambda: told.pop(0), lambda: 1793491200)
    assert source.payload() == (
        b'{"time": "2026-11-01T00:00:00Z", "seq": 1, "t": 1, "link": {"dropped": 3, "started": "watchdog"}}'
    )
    assert "link" not in json.loads(source.payload())


def test_link_survives_a_message_that_is_too_large() -> None:
    source = Readings(lambda: {"a": "x" * 200_000}, lambda: {"dropped": 1}, lambda: 1793491200)
    assert set(json.loads(source.payload())) == {"time", "seq", "link", "errors"}


def test_one_failing_sensor_does_not_stop_the_others() -> None:
    got = payload({"a": 1, "temperature_c": fails, "b": lambda: 2})
    assert (got["a"], got["b"]) == (1, 2)
    assert "temperature_c" not in got
    assert got["errors"] == {"temperature_c": "OSError: no answer on I2C"}


@pytest.mark.parametrize("values", [OSError("bus"), None, [1], 5])
def test_read_that_fails_is_reported_not_fatal(values: Any) -> None:
    got = payload(values)
    assert set(got) == {"time", "seq", "errors"}
    assert "sensors" in got["errors"]


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, b"x", object(), {1: 2}, {"a": {"b": math.nan}}, [b""]]
)
def test_value_that_json_cannot_hold_is_an_error_of_that_reading(value: Any) -> None:
    got = payload({"bad": value, "good": 1})
    assert "bad" not in got
    assert got["good"] == 1
    assert set(got["errors"]) == {"bad"}


def test_endless_nesting_is_an_error() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "deep" in payload({"loop": loop})["errors"]["loop"]


@pytest.mark.parametrize("name", ["time", "seq", "link", "errors", 5])
def test_reading_may_not_take_our_names(name: Any) -> None:
    got = payload({name: 1})
    assert got["time"] == "2026-11-01T00:00:00Z"
    assert got["seq"] == 1
    assert set(got["errors"]) == {str(name)}


@pytest.mark.parametrize("most", [1024, 4096, 131072])
def test_reading_that_does_not_fit_costs_that_reading_alone(most: int) -> None:
    values = {"small": 1, "large": "x" * most, "list": [0] * most, "escaped": "\1" * (most // 4), "last": 2}
    text = Readings(lambda: values, dict, lambda: 1793491200, max_bytes=most).payload()
    got = json.loads(text)
    assert set(got) == {"time", "seq", "small", "last", "errors"}
    assert set(got["errors"]) == {"large", "list", "escaped"}
    for why in got["errors"].values():
        assert f"a message has {most} bytes at most (max_payload_bytes)" in why


def test_payload_of_any_readings_is_within_its_limit() -> None:
    for count in (1, 7, 40, 1000):
        values: dict[str, Any] = {"\1" * 50 + str(i): fails if i % 2 else "°" * 30 for i in range(count)}
        source = Readings(dict, lambda: {"started": "x" * 300}, max_bytes=1024)
        source.read = values.copy
        text = source.payload()
        assert len(text) <= 1024
        assert json.loads(text)["link"]


def test_many_failures_are_counted() -> None:
    got = payload({f"sensor {i}": fails for i in range(100)})
    assert len(got["errors"]) == 25
    assert got["errors"]["..."] == "76 more"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_any_readings_make_json_with_each_name_once(values: dict[str, Any]) -> None:
    got = payload(values)
    assert set(values) - {"time", "seq", "link", "errors"} <= set(got) | set(got.get("errors", {}))


@pytest.fixture
def sensors_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sensors", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path / "sensors.py"
    sys.modules.pop("sensors", None)


def test_sensors_py_is_read(sensors_py: Path) -> None:
    sensors_py.write_text("def read():\n    return {'a': 1}\n")
    read, failure = load_sensors()
    assert (read(), failure) == ({"a": 1}, None)


def test_byte_order_mark_is_refused_as_on_micropython(sensors_py: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sensors_py.parent)
    sensors_py.write_bytes(b"\xef\xbb\xbfdef read():\n    return {}\n")
    assert load_sensors() == (None, "sensors.py begins with a byte order mark; save it as UTF-8 without one")


def test_without_sensors_py_the_board_reports_on_itself(sensors_py: Path) -> None:
    assert load_sensors() == (None, None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_like_this\n", "nothing_like_this"),
        ("def read(:\n", "SyntaxError"),
        ("x = 1\n", "read"),
        ("1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_broken_sensors_py_is_reported_in_the_payload(sensors_py: Path, source: str, words: str) -> None:
    sensors_py.write_text(source)
    read, failure = load_sensors()
    assert read is None
    got = json.loads(Readings(read, dict, lambda: 1793491200, failure=failure).payload())
    assert words in got["errors"]["sensors"]


class Module:
    def __init__(self, **members: Any) -> None:
        self.__dict__.update(members)


class Wlan:
    def __init__(self, up: bool) -> None:
        self.up = up

    def isconnected(self) -> bool:
        return self.up

    def status(self, what: str) -> int:
        assert what == "rssi"
        return -61


@pytest.mark.parametrize(
    ("esp32", "network", "names"),
    [
        (None, None, {"uptime_s"}),
        (Module(mcu_temperature=lambda: 40), None, {"uptime_s", "chip_temperature_c"}),
        (Module(raw_temperature=lambda: 104), None, {"uptime_s", "chip_temperature_c"}),
        (None, Module(STA_IF=0, WLAN=lambda _: Wlan(True)), {"uptime_s", "wifi_rssi_dbm"}),
        (None, Module(STA_IF=0, WLAN=lambda _: Wlan(False)), {"uptime_s"}),
        (None, Module(), {"uptime_s"}),
    ],
)
def test_board_s_own_readings_are_those_that_it_has(
    monkeypatch: pytest.MonkeyPatch, esp32: Any, network: Any, names: set[str]
) -> None:
    monkeypatch.setitem(sys.modules, "esp32", esp32)
    monkeypatch.setitem(sys.modules, "network", network)
    got = own_readings(lambda: 7999)
    assert set(got) == names
    values = {name: value() for name, value in got.items()}
    assert values["uptime_s"] == 7
    assert values.get("chip_temperature_c", 40) == 40
    assert values.get("wifi_rssi_dbm", -61) == -61
