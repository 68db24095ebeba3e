"""`mqtt443 run` with a person at the terminal: every question is asked, and stock MicroPython is downloaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.board import interpreters
from tests.support.chip.esp_image import image
from tests.support.chip.file_server import serving
from tests.support.chip.rom_chip import ESP32
from tests.support.chip.whole_board import WholeBoard
from tests.support.mqtt.endpoint import RunningCore
from tests.support.terminal import Terminal

ALIAS = "127.0.0.2"
WIFI_PASSWORD = "correct horse"
STOCK = "/resources/firmware/ESP32_GENERIC-20250911-v1.26.1.bin"

# The command, with micropython.org on this machine.
PROGRAM = """
import functools, ssl, sys
from mqtt443_tools.flash import image_sources
from mqtt443_tools.support import download

host, ca = sys.argv[1:3]
del sys.argv[1:3]
image_sources.Stock = functools.partial(image_sources.Stock, host=host)
download.https_opener = functools.partial(download.https_opener, ssl.create_default_context(cafile=ca))
from mqtt443_tools.cli import main
main()
"""


def test_every_question_is_asked_and_micropython_is_downloaded(tmp_path: Path) -> None:
    world = {"wifi_ssid": "home", "wifi_password": WIFI_PASSWORD}
    config = tmp_path / "config.json"
    with (
        RunningCore(tmp_path / "state", name=ALIAS, bind=ALIAS) as core,
        serving() as server,
        WholeBoard(tmp_path / "chip", interpreters.need("stock"), world=world) as board,
    ):
        server.pages[STOCK] = image(ESP32)
        (tmp_path / "roots.pem").write_text(server.ca_pem)
        where = ["--port", str(board.port), "--config", str(config), "--state", str(core.state)]
        program = [sys.executable, "-c", PROGRAM, server.url, str(tmp_path / "roots.pem")]
        terminal = Terminal(*program, "run", *where, XDG_CACHE_HOME=str(tmp_path / "cache"))
        try:
            for question, typed in (
                ("Where does the telemetry go? Number", "9"),
                ("expected a number from 1 to 2", "1"),
                ("Put stock MicroPython 1.26.1 on it? [y/N]", "y"),
                ("Which Wi-Fi? Number", "1"),
            ):
                terminal.wait_for(question)
                terminal.type(f"{typed}\r")
            terminal.wait_for_hidden("Password of home")
            terminal.type(f"{WIFI_PASSWORD}\r")
            assert terminal.end() == 0, terminal.screen
        finally:
            terminal.close()
        assert "1  home  -60 dBm" in terminal.screen
        assert f"downloading {server.url}{STOCK}" in terminal.screen
        assert "telemetry arrives: telemetry/esp32-343433 {" in terminal.screen
        assert WIFI_PASSWORD not in terminal.screen
        assert "mqtt443 push" not in terminal.screen, "the next step of a command that run has in it"
        assert server.asked == [STOCK]
        assert core.next_message().client_id == "esp32-343433"
    assert json.loads(config.read_text())["wifi"] == {"ssid": "home", "password": WIFI_PASSWORD}


def test_board_that_the_person_keeps_is_not_changed(tmp_path: Path) -> None:
    with (
        RunningCore(tmp_path / "state", name=ALIAS, bind=ALIAS) as core,
        WholeBoard(tmp_path / "chip", interpreters.need("stock")) as board,
    ):
        before = bytes(board.flash.data)
        where = ["--port", str(board.port), "--config", str(tmp_path / "config.json"), "--state", str(core.state)]
        mqtt443 = str(Path(sys.executable).with_name("mqtt443"))
        terminal = Terminal(mqtt443, "run", *where)
        try:
            for question, typed in (("Where does the telemetry go? Number", "1"), ("on it? [y/N]", "n")):
                terminal.wait_for(question)
                terminal.type(f"{typed}\r")
            assert terminal.end() == 1
        finally:
            terminal.close()
        assert terminal.screen.endswith("mqtt443: the board was not changed\r\n")
        assert bytes(board.flash.data) == before
    assert not (tmp_path / "config.json").exists()
