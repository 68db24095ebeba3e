"""`mqtt443 flash` in a terminal: the progress bar, a question answered at the keyboard, Ctrl-C in the middle."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.chip.esp_image import file_system, image
from tests.support.chip.rom import DEFL_DATA, Faults
from tests.support.chip.rom_chip import NorFlash
from tests.support.terminal import Terminal
from tests.tools.flash.conftest import Plug

MQTT443 = str(Path(sys.executable).with_name("mqtt443"))


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    (tmp_path / "image.bin").write_bytes(image(code=os.urandom(40_000)))
    opened = []

    def terminal(port: str) -> Terminal:
        opened.append(Terminal(MQTT443, "flash", "--image", str(tmp_path / "image.bin"), "--port", port))
        return opened[-1]

    yield terminal
    for each in opened:
        each.close()


def test_question_is_answered_and_a_bar_fills(plug: Plug, terminal: Callable[..., Terminal]) -> None:
    rom = plug()
    rom.flash.program(0x8000, image()[0x8000:0x8C00])
    rom.flash.program(0x200000, file_system({"main.py": b"1"}))
    shown = terminal(rom.port)
    shown.wait_for("This board holds main.py. Erase it? [y/N]")
    shown.type("y\r")
    assert shown.end() == 0
    assert "writing" in shown.screen
    assert "100%" in shown.screen
    assert "verified: the flash holds what was sent" in shown.screen


def test_ctrl_c_while_writing_reports_the_state_of_the_board(plug: Plug, terminal: Callable[..., Terminal]) -> None:
    rom = plug(flash=NorFlash(), faults=Faults(hang_after=20_000))
    shown = terminal(rom.port)
    shown.wait_for("erasing the board")
    while DEFL_DATA not in rom.commands or not rom.faults.silent:
        assert shown.read(), shown.screen  # the bar moves, or turns
    shown.process.send_signal(signal.SIGINT)
    assert shown.end() == 130
    assert re.search(r"stopped halfway: the board holds no complete image now; run the same command", shown.screen)
    assert "Traceback" not in shown.screen
