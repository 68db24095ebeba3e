"""Why a board started, and when it stays at its prompt: after three crashes, or because a person asked for it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mqtt443 import boot, errors, power, storage
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import DEEPSLEEP_RESET, HARD_RESET, PWRON_RESET, SOFT_RESET, WDT_RESET

from tests.firmware.lives import lay_out, live
from tests.firmware.micropython import run
from tests.support.board.interpreters import ALL, MICROPYTHON, need

SAFE = "safe mode: three crashes in a row; the last: %s. Press RESET to try again"


@pytest.fixture(params=ALL)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


@pytest.fixture(params=MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return need(request.param)


def starts(interpreter: Interpreter, root: Path, steps: str, **world: object) -> list[dict[str, Any]]:
    """Return what each start said of itself."""
    lines: list[str] = []
    resets = live(interpreter, root, steps, lines.append, **world)
    said = [json.loads(line) for line in lines if line.startswith("{")]
    assert len(said) == len(resets), lines
    return said


def test_third_crash_leaves_the_board_at_its_prompt_until_the_next_start(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    said = starts(interpreter, tmp_path, "crash,crash,watchdog,crash,end")
    assert [one["reason"] for one in said] == [None, None, None, SAFE % "watchdog", None]
    assert [one["starts"] for one in said] == [1, 2, 3, 0, 1]
    # The cloud hears of it, too.
    assert said[4]["cause"] == "three crashes in a row; the last: watchdog"


def test_soft_resets_without_progress_are_crashes(interpreter: Interpreter, tmp_path: Path) -> None:
    said = starts(interpreter, tmp_path, "soft,soft,soft,end")
    assert [one["reason"] for one in said] == [None, None, None, SAFE % "soft reset"]
    said = starts(interpreter, tmp_path, "soft,soft,healthy+soft,soft,soft,end")
    assert {one["reason"] for one in said} == {None}


def test_crash_after_safe_mode_is_the_first_of_three_again(interpreter: Interpreter, tmp_path: Path) -> None:
    said = starts(interpreter, tmp_path, "crash,crash,crash,crash,crash,crash,crash,end")
    assert [one["reason"] for one in said] == [None, None, None, SAFE % "reset", None, None, None, SAFE % "reset"]


def test_reset_after_a_healthy_start_is_not_a_crash(interpreter: Interpreter, tmp_path: Path) -> None:
    said = starts(interpreter, tmp_path, "crash,crash,healthy+crash,crash,crash,end")
    assert [one["starts"] for one in said] == [1, 2, 3, 1, 2, 3]
    assert {one["reason"] for one in said} == {None}


@pytest.mark.parametrize("step", ["sleep", "own sleep", "late", "restart", "reset"])
def test_start_that_ended_by_order_has_not_crashed(interpreter: Interpreter, tmp_path: Path, step: str) -> None:
    said = starts(interpreter, tmp_path, f"crash,crash,{step},crash,{step},end")
    assert [one["starts"] for one in said] == [1, 2, 3, 1, 2, 1]
    assert {one["reason"] for one in said} == {None}


def test_power_on_clears_the_crash_count_in_rtc_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine = chip(monkeypatch, PWRON_RESET)
    storage.remember({"starts": 3, "seq": 5})
    assert boot.count_start(f"{tmp_path}/", no_log) == (None, None, {"starts": 1, "seq": 5}, None)
    machine.code = WDT_RESET
    assert boot.count_start(f"{tmp_path}/", no_log) == (None, "watchdog", {"starts": 2, "seq": 5}, None)


def test_cause_of_each_start_is_reported(interpreter: Interpreter, tmp_path: Path) -> None:
    said = starts(interpreter, tmp_path, "crash,watchdog,sleep,soft,restart,crash,healthy+soft,end")
    causes = [None, "reset", "watchdog", None, "soft reset", "asked", "reset", None]
    assert [one["cause"] for one in said] == causes


def test_counters_outlive_deep_sleep_and_restart(interpreter: Interpreter, tmp_path: Path) -> None:
    said = starts(interpreter, tmp_path, "sleep,restart,reset,end")
    assert [one["counters"] for one in said] == [{}, {"seq": 9}, {"seq": 7}, {}]


def test_safe_mode_file_keeps_the_board_at_its_prompt_and_its_cause(interpreter: Interpreter, tmp_path: Path) -> None:
    (tmp_path / "safe_mode").touch()
    storage.save_state(str(tmp_path / "state"), {"cause": "asked", "interval_s": 5})
    said = starts(interpreter, tmp_path, "end")
    assert said[0]["reason"] == "safe mode: delete the file safe_mode. Press RESET to try again"
    (tmp_path / "safe_mode").unlink()
    said = starts(interpreter, tmp_path, "crash,end")
    assert [(one["reason"], one["cause"]) for one in said] == [(None, "asked"), (None, "reset")]
    assert storage.load_state(str(tmp_path / "state"), no_log)["interval_s"] == 5


def test_pin_that_is_held_low_is_seen(interpreter: Interpreter, tmp_path: Path) -> None:
    lines: list[str] = []
    lay_out(tmp_path)
    (tmp_path / "main.py").write_text(
        "from mqtt443.boot import pin_held\nprint([pin_held(pin) for pin in (4, 5, 6)])\n"
    )
    live(interpreter, tmp_path, "", lines.append, pins={"4": 0, "5": 1})
    assert lines == ["[True, False, False]"]


# On CPython, with a chip of this file's own.


def no_log(text: str) -> None:
    raise AssertionError(text)


class Chip(SimpleNamespace):
    """A `machine` with a reset cause and RTC memory."""

    code: int
    rtc: bytes = b""

    def reset_cause(self) -> int:
        return self.code

    def RTC(self) -> "Chip":
        return self

    def memory(self, data: bytes | None = None) -> bytes:
        if data is not None:
            assert len(data) <= 2048
            self.rtc = bytes(data)
        return self.rtc


def chip(monkeypatch: pytest.MonkeyPatch, code: int) -> Chip:
    machine = Chip(code=code)
    monkeypatch.setitem(sys.modules, "machine", machine)
    return machine


@pytest.mark.parametrize("count", [-(10**9), -1, "3", None, 2.5, [3], {"3": 3}])
def test_count_in_rtc_memory_that_makes_no_sense_starts_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: object
) -> None:
    chip(monkeypatch, WDT_RESET)
    storage.remember({"starts": count})
    reason, cause, counters, _ = boot.count_start(f"{tmp_path}/", no_log)
    assert (reason, cause) == (None, "watchdog")
    assert counters["starts"] <= 1


def test_counters_that_are_no_whole_numbers_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chip(monkeypatch, DEEPSLEEP_RESET)
    storage.remember({"seq": 5, "dropped": "5", "expired": None, "refused": [1], "failures": 0.5})
    assert boot.count_start(f"{tmp_path}/", no_log)[2] == {"starts": 1, "seq": 5}


@pytest.mark.parametrize("cause", [5, ["x"], {"x": 1}, True])
def test_saved_cause_that_is_no_text_gives_way_to_the_chips(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cause: object
) -> None:
    chip(monkeypatch, WDT_RESET)
    storage.save_state(f"{tmp_path}/state", {"cause": cause})
    assert boot.count_start(f"{tmp_path}/", no_log)[1] == "watchdog"
    assert boot.count_start(f"{tmp_path}/", no_log)[1] == "watchdog"
    assert not storage.load_state(f"{tmp_path}/state", no_log)["cause"]


@pytest.mark.parametrize("code", [0, 6, 99, -1])
def test_cause_that_the_chip_does_not_know_counts_as_a_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    chip(monkeypatch, code)
    reasons = [boot.count_start(f"{tmp_path}/", no_log)[0] for _ in range(4)]
    assert reasons == [None, None, None, SAFE % "reset"]


def test_files_are_looked_for_in_the_boards_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chip(monkeypatch, HARD_RESET)
    (tmp_path / "safe_mode").touch()
    assert "safe_mode" in boot.count_start(f"{tmp_path}/", no_log)[0]
    assert boot.count_start("", no_log)[0] is None


@pytest.mark.parametrize("fault", [OSError(28, "no space"), ValueError("too much for RTC memory")])
@pytest.mark.parametrize("name", ["save_state", "remember"])
def test_start_continues_without_storage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: Exception, name: str
) -> None:
    chip(monkeypatch, HARD_RESET)
    storage.save_state(f"{tmp_path}/state", {"cause": "asked"})

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(storage, name, fail)
    lines: list[str] = []
    reason, cause, _, _ = boot.count_start(f"{tmp_path}/", lines.append)
    assert (reason, cause) == (None, "asked")
    assert len(lines) == 1
    assert lines[0].startswith("state: ")


def test_plain_start_writes_nothing_to_flash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chip(monkeypatch, PWRON_RESET)
    storage.save_state(f"{tmp_path}/state", {"interval_s": 5})
    monkeypatch.setattr(storage, "save_state", lambda *_: pytest.fail("flash wears out"))
    for code in (PWRON_RESET, DEEPSLEEP_RESET, SOFT_RESET, WDT_RESET):
        chip(monkeypatch, code)
        boot.count_start(f"{tmp_path}/", no_log)


def test_healthy_touches_rtc_memory_once_and_keeps_the_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = chip(monkeypatch, PWRON_RESET)
    storage.remember({"starts": 2, "seq": 5})
    power.mark_boot_ok()
    assert storage.recall() == {"starts": 0, "seq": 5}
    monkeypatch.setattr(machine, "memory", lambda: machine.rtc)  # takes no data
    power.mark_boot_ok()


def test_missing_pin_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def pin(*_: int) -> None:
        raise ValueError("invalid pin")

    pin.IN = pin.PULL_UP = 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "machine", SimpleNamespace(Pin=pin))
    with pytest.raises(errors.ConfigError, match="no pin 24"):
        boot.pin_held(24)


NO_CHIP = """
from mqtt443 import boot, power
print(boot.count_start("", print), boot.pin_held(0), power.mark_boot_ok())
print(power.reset("", "asked", {"seq": 1}, print), power.deep_sleep(5, {"seq": 1}))
print(boot.count_start("", print))
"""
STARTED = "(None, None, {'starts': 1}, None)"


def test_host_that_is_no_board_starts_and_ends_nothing(micropython: Interpreter, tmp_path: Path) -> None:
    lines = run(micropython, tmp_path, NO_CHIP).splitlines()
    assert lines == [f"{STARTED} False None", "False False", STARTED]


def test_cpython_without_a_chip_starts_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "machine", None)
    monkeypatch.chdir(tmp_path)
    exec(NO_CHIP, {})
    assert capsys.readouterr().out.splitlines() == [f"{STARTED} False None", "False False", STARTED]
    assert list(tmp_path.iterdir()) == []
