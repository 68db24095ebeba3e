"""What a program on the virtual board gets from the chip's modules: Wi-Fi, NVS, pins, figures and the clock."""

import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from mqtt443_tools.virtualboard.supervisor import VirtualBoard

from tests.support.board import fake_time
from tests.tools.virtualboard.conftest import DEADLINE_S


def test_umqtt_is_found_like_a_frozen_module(run: Any, tmp_path: Path) -> None:
    shadow = tmp_path / "lib" / "umqtt"
    shadow.mkdir(parents=True)
    (shadow / "simple.py").write_text("MQTTClient = 'a file on flash'")
    lines, _ = run("from umqtt.simple import MQTTClient\nprint(MQTTClient)")
    assert "a file on flash" not in lines[0]


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


@pytest.mark.parametrize("interpreter", fake_time.INTERPRETERS, indirect=True)
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
    with VirtualBoard(interpreter, tmp_path, lines.append, environment=fake_time.board_clock(tmp_path, 2000)) as board:
        assert board.wait(DEADLINE_S)
    assert lines == ["2000", "(2031, 2, 28)", str(time.gmtime()[0])]
