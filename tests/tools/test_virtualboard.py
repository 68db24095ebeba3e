"""The virtual board: power, resets, watchdog, deep sleep and what the chip's modules answer, on each interpreter."""

import stat
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.support.errors import CommandError
from mqtt443_tools.virtualboard.interpreters import Interpreter
from mqtt443_tools.virtualboard.supervisor import (
    DEEPSLEEP_RESET,
    HARD_RESET,
    PWRON_RESET,
    SOFT_RESET,
    WDT_RESET,
    VirtualBoard,
    lay_out,
)

from tests.support.board import fake_time as faketime
from tests.support.board import interpreters

DEADLINE_S = 20


@pytest.fixture(params=interpreters.ALL)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    return interpreters.need(request.param)


@pytest.fixture
def run(interpreter: Interpreter, tmp_path: Path) -> Iterator[Callable[..., tuple[list[str], VirtualBoard]]]:
    """Run a main.py to its end; returns its lines and the board."""

    def run(main: str, boot: str = "", **world: object) -> tuple[list[str], VirtualBoard]:
        (tmp_path / "boot.py").write_text(boot)
        (tmp_path / "main.py").write_text(textwrap.dedent(main))
        lines: list[str] = []
        with VirtualBoard(interpreter, tmp_path, lines.append, world=world) as board:
            assert board.wait(DEADLINE_S), f"the board did not stop; it said {lines}"
        return lines, board

    yield run


def test_boot_runs_before_main(run: Any) -> None:
    lines, board = run("print('main')", boot="print('boot')")
    assert lines == ["boot", "main"]
    assert board.exit_code == 0


def test_exception_in_main_is_shown_and_leaves_the_board_at_its_prompt(run: Any) -> None:
    lines, board = run("raise ValueError('broken')")
    assert lines[-1] == "ValueError: broken"
    assert board.exit_code == 1
    assert board.resets == [PWRON_RESET]


def test_files_of_the_board_are_private(run: Any, tmp_path: Path) -> None:
    run("open('secret', 'wb').close()")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600


def test_umqtt_is_found_like_a_frozen_module(run: Any, tmp_path: Path) -> None:
    shadow = tmp_path / "lib" / "umqtt"
    shadow.mkdir(parents=True)
    (shadow / "simple.py").write_text("MQTTClient = 'a file on flash'")
    lines, _ = run("from umqtt.simple import MQTTClient\nprint(MQTTClient)")
    assert "a file on flash" not in lines[0]


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


def test_wifi_joins_with_the_right_password_only(run: Any) -> None:
    main = """
        import network
        wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        for password in ("wrong", "right"):
            wlan.connect("home", password)
            print(wlan.status(), wlan.isconnected())
    """
    lines, _ = run(main, wifi_ssid="home", wifi_password="right")
    assert lines == ["202 False", "1010 True"]


def test_wifi_may_report_a_false_state(run: Any) -> None:
    main = """
        import network
        wlan = network.WLAN(network.STA_IF)
        wlan.active(True)
        wlan.connect("home", "right")
        print(wlan.status(), wlan.isconnected())
    """
    lines, _ = run(main, wifi_up=False, wifi_status=1010, wifi_connected=True)
    assert lines == ["1010 True"]


def test_surroundings_change_while_the_program_runs(interpreter: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import network, time
            wlan = network.WLAN(network.STA_IF)
            wlan.active(True)
            wlan.connect("home", "right")
            print(wlan.isconnected())
            while wlan.isconnected():
                time.sleep(0.01)
            print("gone")
            """
        )
    )
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "True":
            board.set_world(wifi_up=False)

    board = VirtualBoard(interpreter, tmp_path, on_line)
    with board:
        assert board.wait(DEADLINE_S)
    assert lines == ["True", "gone"]


def test_nvs_outlives_a_reset(run: Any) -> None:
    lines, _ = run(
        """
        import esp32, machine
        nvs = esp32.NVS("mqtt443")
        try:
            print(nvs.get_i32("boots"))
        except OSError as error:
            print("none")
            nvs.set_i32("boots", 7)
            nvs.commit()
            machine.reset()
        """
    )
    assert lines == ["none", "7"]


def test_chip_figures_come_from_the_surroundings(run: Any) -> None:
    main = """
        import esp32, ntptime, machine
        print(esp32.mcu_temperature(), esp32.idf_heap_info(esp32.HEAP_DATA)[0][1], machine.Pin(0).value())
        try:
            ntptime.settime()
        except OSError as error:
            print("no time:", error.args[0])
    """
    lines, _ = run(main, temperature_c=61, idf_heap=[[10, 4, 3, 2]], pins={"0": 0}, ntp_error=110)
    assert lines == ["61 4 0", "no time: 110"]


def test_clock_set_by_the_board_leaves_the_host_alone(run: Any) -> None:
    lines, _ = run(
        """
        import machine, time
        before = time.gmtime()[0]
        machine.RTC().datetime((2060, 2, 28, 0, 23, 59, 30, 0))
        print(time.gmtime()[0] == before)
        """
    )
    assert lines == ["True"]


@pytest.mark.parametrize("interpreter", faketime.INTERPRETERS, indirect=True)
def test_board_sets_a_clock_of_its_own_under_faketime(interpreter: Any, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        textwrap.dedent(
            """
            import machine, ntptime, time
            print(time.gmtime()[0])
            machine.RTC().datetime((2031, 2, 28, 0, 23, 59, 30, 0))
            print(machine.RTC().datetime()[:3])
            ntptime.settime()
            print(time.gmtime()[0])
            """
        )
    )
    lines: list[str] = []
    with VirtualBoard(interpreter, tmp_path, lines.append, environment=faketime.board_clock(tmp_path, 2000)) as board:
        assert board.wait(DEADLINE_S)
    assert lines == ["2000", "(2031, 2, 28)", str(time.gmtime()[0])]


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


def test_flash_gets_what_a_push_would_send(tmp_path: Path) -> None:
    root = tmp_path / "flash"
    root.mkdir()
    (tmp_path / "config.json").write_text('{"ca": "own.pem", "password": "secret"}')
    (tmp_path / "own.pem").write_text("certificate")
    (tmp_path / "sensors.py").write_text("def read(): return {}")
    lay_out(root, tmp_path / "config.json")
    assert sorted(path.name for path in root.iterdir()) == [
        "boot.py", "config.json", "lib", "main.py", "own.pem", "sensors.py",
    ]  # fmt: skip
    assert (root / "config.json").stat().st_mode & 0o777 == 0o600
    assert (root / "lib" / "mqtt443" / "__init__.py").exists()


def test_missing_config_is_one_line_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"config\.json: No such file.*mqtt443 device add"):
        lay_out(tmp_path, tmp_path / "config.json")


@pytest.fixture(params=interpreters.MICROPYTHON)
def micropython(request: pytest.FixtureRequest) -> Interpreter:
    return interpreters.need(request.param)


WRITER = """
    import machine, os
    known = os.listdir()
    print("whole" if "data" not in known or open("data", "rb").read() in (b"old" * 400, b"new" * 400) else "torn")
    for text in (b"old", b"new"):
        with open("data.new", "wb") as file:
            file.write(text * 400)
        os.rename("data.new", "data")
    print("end")
"""


def test_flash_keeps_its_files_over_power_cycles(micropython: Any, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "main.py").write_text(
        textwrap.dedent(
            """
            import os
            print(os.getcwd(), "seen" in os.listdir())
            open("seen", "w").close()
            """
        )
    )
    lines: list[str] = []
    for _ in range(2):
        with VirtualBoard(micropython, root, lines.append, flash=tmp_path / "flash.img") as board:
            assert board.wait(DEADLINE_S)
    assert lines == ["/flash False", "/flash True"]
    assert sorted(path.name for path in root.iterdir()) == ["main.py"]


def test_power_cut_tears_the_write_it_hits_and_nothing_else(micropython: Any, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "main.py").write_text(textwrap.dedent(WRITER))
    flash = tmp_path / "flash.img"
    lines: list[str] = []
    with VirtualBoard(micropython, tmp_path / "root", lines.append, flash=flash) as board:
        assert board.wait(DEADLINE_S)
    for write in range(1, 12, 3):
        lines.clear()
        world = {"power_cut_at_write": write}
        with VirtualBoard(micropython, tmp_path / "root", lines.append, world=world, flash=flash) as board:
            assert board.wait(DEADLINE_S)
        assert board.resets == [PWRON_RESET, PWRON_RESET]
        assert lines == ["whole", "whole", "end"], f"after a cut at write {write}"
