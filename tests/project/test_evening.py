"""An evening with a new board, as the README tells it: the wheel, an empty folder, a chip without a program."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from mqtt443_tools.support.paths import ROOT

from tests.project.test_wheel import Installed, installed, python, wheel  # noqa: F401 - fixtures
from tests.support.board import interpreters
from tests.support.chip.esp_image import image
from tests.support.chip.rom_chip import ESP32
from tests.support.chip.whole_board import WholeBoard

ALIAS = "127.0.0.2"  # this machine, at an address that is not localhost's
WIFI_PASSWORD = "correct horse"


def evening() -> list[list[str]]:
    """Return the commands of the README's section, without the program's name."""
    section = (ROOT / "README.md").read_text().partition("### To a real board")[2].partition("\n### ")[0]
    blocks = re.findall(r"^```sh board\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def first_line(process: subprocess.Popen[str], start: str) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            return line
    raise AssertionError("".join(lines))


@pytest.mark.timeout(900)
def test_evening_of_the_readme_ends_with_an_answering_board(installed: Installed, tmp_path: Path) -> None:  # noqa: F811
    local, run, send = evening()
    installed.environment["MQTT443_WIFI_PASSWORD"] = WIFI_PASSWORD
    (installed.folder / "image.bin").write_bytes(image(ESP32))
    world = {"wifi_ssid": "home", "wifi_password": WIFI_PASSWORD}
    with installed.start(*local, "--address", ALIAS, "--port", "0") as endpoint:
        try:
            ready = first_line(endpoint, "ready ")
            assert f"host={ALIAS} " in ready
            with WholeBoard(tmp_path / "board", interpreters.need("stock"), world=world) as board:
                assert not (installed.folder / "config.json").exists()
                answers = ["--port", str(board.port), "--ssid", "home", "--image", "image.bin", "--yes"]
                done = installed.run(*run, *answers)
                assert done.returncode == 0, done.stdout + done.stderr
                assert "telemetry arrives: telemetry/my-board {" in done.stdout
                assert WIFI_PASSWORD not in done.stdout + done.stderr

                answered = installed.run(*send, "--json")
                assert answered.returncode == 0, answered.stderr
                assert json.loads(answered.stdout)["report"]["transport"] == "wss"

                with installed.start("watch", "--json", "--count", "1", "--seconds", "40") as watched:
                    assert watched.stdout is not None
                    assert watched.stdout.readline() == "watching telemetry/#\n"
                    assert installed.run("send", "my-board", "send_now").returncode == 0
                    message = json.loads(watched.stdout.read())
                assert (message["topic"], message["client_id"]) == ("telemetry/my-board", "my-board")

                again = installed.run(*run, "--port", str(board.port))
                assert again.returncode == 0, again.stdout + again.stderr
                assert "0 to send" in again.stdout
                assert "registered" not in again.stdout
        finally:
            endpoint.terminate()
    assert (installed.folder / "config.json").stat().st_mode & 0o777 == 0o600
