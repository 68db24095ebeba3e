"""The life of a program on the virtual board: start, exception, resets, watchdog, deep sleep and interrupt."""

import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.virtualboard.supervisor import (
    DEEPSLEEP_RESET,
    HARD_RESET,
    PWRON_RESET,
    SOFT_RESET,
    WDT_RESET,
    VirtualBoard,
)

from tests.support.board import interpreters
from tests.tools.virtualboard.conftest import DEADLINE_S


def test_boot_runs_before_main(run: Any) -> None:
    lines, board = run("print('main')", boot="print('boot')")
    assert lines == ["boot", "main"]
    assert board.exit_code == 0


def test_exception_in_main_is_shown_and_leaves_the_board_at_its_prompt(run: Any) -> None:
    lines, board = run("raise ValueError('broken')")
    assert lines[-1] == "ValueError: broken"
    assert board.exit_code == 1
    assert board.resets == [PWRON_RESET]


@pytest.mark.parametrize(
    ("call", "cause"), [("reset()", HARD_RESET), ("soft_reset()", SOFT_RESET), ("deepsleep(1)", DEEPSLEEP_RESET)]
)
def test_program_starts_again_with_the_cause_of_the_reset(run: Any, call: Any, cause: Any) -> None:
    lines, board = run(
        f"""
        import machine
        print(machine.reset_cause(), machine.RTC().memory())
        if machine.reset_cause() == machine.PWRON_RESET:
            machine.RTC().memory(b"kept")
            machine.{call}
            print("never reached")
        """
    )
    assert board.resets == [PWRON_RESET, cause]
    assert lines == [f"{PWRON_RESET} b''", f"{cause} b'kept'"]


def test_watchdog_resets_a_stuck_program(run: Any) -> None:
    lines, board = run(
        """
        import machine
        print(machine.reset_cause())
        if machine.reset_cause() == machine.PWRON_RESET:
            machine.WDT(timeout=300)
            while True:
                pass
        """
    )
    assert board.resets == [PWRON_RESET, WDT_RESET]
    assert lines == ["1", "(the watchdog bit: it was not fed in time)", "3"]


def test_fed_watchdog_lets_the_program_live(run: Any) -> None:
    _, board = run(
        """
        import machine, time
        watchdog = machine.WDT(timeout=2000)
        for _ in range(5):
            time.sleep(0.01)
            watchdog.feed()
        """
    )
    assert board.resets == [PWRON_RESET]


def test_feeding_the_watchdog_allocates_nothing_as_on_a_chip(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import gc, machine
            watchdog = machine.WDT(timeout=20000)
            def allocated():
                before = gc.mem_alloc()
                watchdog.feed()
                return gc.mem_alloc() - before
            gc.disable()
            print(allocated())
            """
        )
    )
    lines: list[str] = []
    with VirtualBoard(interpreters.need("alpn32"), tmp_path, lines.append) as board:
        assert board.wait(DEADLINE_S)
    assert lines == ["0"]


def test_interrupt_reaches_the_program(interpreter: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import time
            try:
                print("up")
                while True:
                    time.sleep(0.05)
            except KeyboardInterrupt:
                print("down")
            """
        )
    )
    lines: list[str] = []
    up = threading.Event()

    def on_line(line: str) -> None:
        lines.append(line)
        up.set()

    with VirtualBoard(interpreter, tmp_path, on_line):
        assert up.wait(DEADLINE_S)
    assert lines == ["up", "down"]
