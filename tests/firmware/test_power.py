"""Shutdowns: what is saved before a reset, and that no error on the way prevents it."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mqtt443 import power, storage
from mqtt443_tools.virtualboard.supervisor import DEEPSLEEP_RESET, HARD_RESET, PWRON_RESET

from tests.firmware.lives import live
from tests.support.board.interpreters import ALL, need


class Chip:
    """A `machine` that notes how it was ended, and keeps RTC memory; on a chip neither call returns."""

    def __init__(self) -> None:
        self.ends: list[int | None] = []
        self.rtc = b""

    def reset(self) -> None:
        self.ends.append(None)

    def deepsleep(self, ms: int) -> None:
        assert type(ms) is int
        assert ms > 0, "0 or less never wakes up"
        self.ends.append(ms)

    def RTC(self) -> "Chip":
        return self

    def memory(self, data: bytes | None = None) -> bytes:
        if data is not None:
            self.rtc = bytes(data)
        return self.rtc


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    machine = Chip()
    monkeypatch.setitem(sys.modules, "machine", machine)
    return machine


def no_log(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize("name", ALL)
def test_board_restarts_and_sleeps_as_the_chip_does(name: str, tmp_path: Path) -> None:
    assert live(need(name), tmp_path, "reset,sleep,late,restart,end", lambda _: None) == [
        PWRON_RESET,
        HARD_RESET,
        DEEPSLEEP_RESET,
        DEEPSLEEP_RESET,
        HARD_RESET,
    ]


def test_cause_is_saved_beside_the_rest_of_the_state_file(chip: Chip, tmp_path: Path) -> None:
    storage.save_state(f"{tmp_path}/state", {"interval_s": 5, "cause": "an older one"})
    power.reset(f"{tmp_path}/", "20 failures in a row", {"seq": 7}, no_log)
    assert storage.load_state(f"{tmp_path}/state", no_log) == {"interval_s": 5, "cause": "20 failures in a row"}
    assert storage.recall() == {"seq": 7, "starts": 0}
    assert chip.ends == [None]


def test_reset_without_a_cause_writes_nothing_to_flash(chip: Chip, tmp_path: Path) -> None:
    power.reset(f"{tmp_path}/", None, {"seq": 7}, no_log)
    assert list(tmp_path.iterdir()) == []
    assert chip.ends == [None]


def test_deep_sleep_writes_nothing_to_flash_and_keeps_the_counters(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    power.deep_sleep(60000, {"seq": 7, "starts": 3})
    assert list(tmp_path.iterdir()) == []
    assert storage.recall() == {"seq": 7, "starts": 0}
    assert chip.ends == [60000]


@pytest.mark.parametrize("ms", [0, -1, -86400000])
def test_overdue_sleep_is_the_shortest_not_endless(chip: Chip, ms: int) -> None:
    power.deep_sleep(ms, {})
    assert chip.ends == [1]


@pytest.mark.parametrize("error", [OSError(28, "no space"), MemoryError()])
@pytest.mark.parametrize("name", ["load_state", "save_state"])
def test_reset_saves_its_counters_even_if_the_cause_cannot_be_saved(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, error: Exception
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(storage, name, failing(error))
    power.reset(f"{tmp_path}/", "asked", {"seq": 7}, lines.append)
    assert chip.ends == [None]
    assert storage.recall() == {"seq": 7, "starts": 0}
    assert len(lines) == 1
    assert lines[0].startswith("state: ")


@pytest.mark.parametrize("error", [ValueError("too much for RTC memory"), MemoryError()])
def test_reset_saves_its_cause_even_if_the_counters_cannot_be_kept(
    chip: Chip, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    monkeypatch.setattr(storage, "remember", failing(error))
    power.reset(f"{tmp_path}/", "asked", {"seq": 7}, no_log)
    assert chip.ends == [None]
    assert storage.load_state(f"{tmp_path}/state", no_log) == {"cause": "asked"}


def test_sleep_comes_even_where_nothing_can_be_kept(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "remember", failing(MemoryError()))
    power.deep_sleep(5, {})
    assert chip.ends == [5]


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_machine_that_can_do_neither_keeps_the_program_running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace())
    assert power.reset(f"{tmp_path}/", "asked", {}, no_log) is False
    assert power.deep_sleep(5, {}) is False
    assert list(tmp_path.iterdir()) == []
