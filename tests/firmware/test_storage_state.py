"""The state file and RTC memory return everything that was saved or nothing, and never crash."""

import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import storage
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import HARD_RESET, PWRON_RESET, VirtualBoard, lay_out

from tests.firmware.micropython import run
from tests.support.board.interpreters import MICROPYTHON, need

DEADLINE_S = 30
RTC_BYTES = 2048
VALUES = {"interval_s": 5, "cause": "20 failures; ConnectFailed: nothing listens"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


def unheard(line: str) -> None:
    pytest.fail(f"said: {line}")


class Chip(types.ModuleType):
    """A `machine` whose RTC memory is an attribute, as large as on an ESP32."""

    def __init__(self) -> None:
        super().__init__("machine")
        self.data = b""
        chip = self

        class RTC:
            def memory(self, data: bytes | None = None) -> bytes | None:
                if data is None:
                    return chip.data
                if len(data) > RTC_BYTES:
                    raise ValueError("buffer too long")
                chip.data = bytes(data)
                return None

        self.RTC = RTC


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    chip = Chip()
    monkeypatch.setitem(sys.modules, "machine", chip)
    return chip


def test_saved_state_is_loaded(tmp_path: Path) -> None:
    path = str(tmp_path / "state")
    storage.save_state(path, VALUES)
    assert storage.load_state(path, unheard) == VALUES


def test_missing_state_file_is_an_empty_state(tmp_path: Path) -> None:
    assert storage.load_state(str(tmp_path / "state"), unheard) == {}


def test_torn_state_is_the_one_before_and_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state"
    storage.save_state(str(path), {"interval_s": 1})
    storage.save_state(str(path), {"interval_s": 2})
    path.write_bytes(path.read_bytes()[:5])
    said: list[str] = []
    assert storage.load_state(str(path), said.append) == {"interval_s": 1}
    assert len(said) == 1
    assert "state.old" in said[0]


@pytest.mark.parametrize("data", [b"", b"[1]", b"5", b'"x"', b"{", b"\xff\xfe", b"null"])
def test_state_that_is_no_object_is_empty(tmp_path: Path, data: bytes) -> None:
    path = str(tmp_path / "state")
    storage.write(path, data)
    assert storage.load_state(path, unheard) == {}


def test_failing_flash_is_reported_to_the_caller(tmp_path: Path) -> None:
    storage.save_state(str(tmp_path / "state"), {})
    (tmp_path / "state.new").mkdir()
    with pytest.raises(OSError, match=r"state\.new"):
        storage.save_state(str(tmp_path / "state"), VALUES)


def test_remembered_values_are_recalled(chip: Chip) -> None:
    storage.remember({"seq": 812, "starts": 0})
    assert storage.recall() == {"seq": 812, "starts": 0}


def test_rtc_memory_after_power_on_is_nothing(chip: Chip) -> None:
    assert storage.recall() == {}


def test_oversized_rtc_memory_is_refused_and_the_old_content_kept(chip: Chip) -> None:
    storage.remember({"seq": 1})
    with pytest.raises(ValueError, match="too long"):
        storage.remember({"cause": "x" * RTC_BYTES})
    assert storage.recall() == {"seq": 1}


def test_all_2044_bytes_can_be_remembered(chip: Chip) -> None:
    values = {"cause": "x" * (2044 - len(json.dumps({"cause": ""})))}
    storage.remember(values)
    assert len(chip.data) == RTC_BYTES
    assert storage.recall() == values


def test_any_changed_bit_of_rtc_memory_makes_it_nothing(chip: Chip) -> None:
    storage.remember({"seq": 812})
    whole = chip.data
    for bit in range(len(whole) * 8):
        torn = bytearray(whole)
        torn[bit // 8] ^= 1 << bit % 8
        chip.data = bytes(torn)
        assert storage.recall() == {}, f"bit {bit}"


@given(data=st.binary(max_size=RTC_BYTES), whole=st.booleans())
def test_any_rtc_memory_is_a_dict(data: bytes, whole: bool) -> None:
    chip = Chip()
    chip.data = storage._checksum(data) + data if whole else data
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "machine", chip)
        assert isinstance(storage.recall(), dict)


@given(values=st.dictionaries(st.text(max_size=10), JSON, max_size=5))
def test_any_dict_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    path = str(tmp_path_factory.mktemp("state") / "state")
    storage.save_state(path, values)
    assert storage.load_state(path, unheard) == values


class ClockOnly(types.ModuleType):
    """A chip whose RTC is only a clock, such as an RP2040."""

    def __init__(self) -> None:
        super().__init__("machine")
        self.RTC = object


@pytest.mark.parametrize("machine", [None, types.ModuleType("machine"), ClockOnly()])
def test_missing_rtc_memory_recalls_nothing(monkeypatch: pytest.MonkeyPatch, machine: types.ModuleType | None) -> None:
    monkeypatch.setitem(sys.modules, "machine", machine)
    storage.remember({"seq": 1})
    assert storage.recall() == {}


PROGRAM = """
import machine
from mqtt443 import storage

print(machine.reset_cause(), storage.recall(), storage.load_state("state", print))
if machine.reset_cause() == 1:
    try:
        storage.remember({"cause": "x" * 2048})
    except ValueError as e:
        print(type(e).__name__)
    storage.remember({"seq": 7})
    storage.save_state("state", {"interval_s": 5})
    storage.save_state("state", {"interval_s": 6})
    with open("state", "wb") as file:
        file.write(b'{"interval_s"')
    machine.reset()
"""


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def test_both_outlive_a_reset_on_micropython(micropython: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    root = tmp_path / "root"
    root.mkdir()
    lay_out(root, tmp_path / "config.json")
    (root / "main.py").write_text(PROGRAM)
    lines: list[str] = []
    with VirtualBoard(micropython, root, lines.append) as board:
        assert board.wait(DEADLINE_S)
    assert board.resets == [PWRON_RESET, HARD_RESET]
    assert lines == [
        "1 {} {}",
        "ValueError",
        "state is missing or torn; taken from state.old",
        "2 {'seq': 7} {'interval_s': 5}",
    ]


def test_micropython_without_a_chip_has_no_rtc_memory(micropython: Interpreter, tmp_path: Path) -> None:
    source = "from mqtt443 import storage\nstorage.remember({'seq': 1})\nprint(storage.recall())"
    assert run(micropython, tmp_path, source) == "{}\n"
